"""Topic in, callbacks out: message_filters where it is installed, the same interface where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from .approximate_time import ApproximateTimeSynchronizer as OwnSynchronizer

try:
    import message_filters
except ImportError:  # the pip wheels of rclpy come without it
    message_filters = None

QUEUE_SECONDS = 0.2
"""How much of a sensor's stream waits in its subscription, s: a hiccup of the executor, no more."""


class Subscriber:
    """A subscription that passes every message to its registered callbacks.

    The interface of ``message_filters.Subscriber``, for hosts without that package.
    """

    def __init__(self, node: Node, message_type: type, topic: str, **kwargs: Any) -> None:
        self.topic = topic
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}
        kwargs.setdefault('qos_profile', 10)
        self.sub = node.create_subscription(message_type, topic, self.callback, **kwargs)

    def registerCallback(self, callback: Callable[..., None], *args: Any) -> int:  # noqa: N802
        """Call ``callback(message, *args)`` for every message; returns its connection number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (callback, args)
        return connection

    def signalMessage(self, *message: Any) -> None:  # noqa: N802
        """Pass ``message`` to every registered callback."""
        for callback, args in list(self.callbacks.values()):
            callback(*message, *args)

    def callback(self, message: Any) -> None:
        """What the subscription calls."""
        self.signalMessage(message)

    def getTopic(self) -> str:  # noqa: N802
        """The topic as it was asked for."""
        return self.topic


def sensor_qos(rate: float) -> QoSProfile:
    """QoS of a sensor topic of ``rate`` Hz: best effort, so that any publisher matches."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT,
        depth=max(2, math.ceil(rate * QUEUE_SECONDS)))


def make_subscriber(node: Node, message_type: type, topic: str, *, qos: QoSProfile,
                    events: SubscriptionEventCallbacks | None = None) -> Any:
    """A ``message_filters.Subscriber``, or ours where that package is missing."""
    subscriber = Subscriber if message_filters is None else message_filters.Subscriber
    return subscriber(node, message_type, topic, qos_profile=qos, event_callbacks=events)


def make_synchronizer(subscribers: Sequence[Any], *, rates: Sequence[float], slop: float) -> Any:
    """An ``ApproximateTimeSynchronizer`` over ``subscribers``, stock where installed.

    The queues hold what the fastest sensor sends in one period of the slowest plus the slop: with
    shorter ones the matching message is gone before its partner arrives.

    Args:
        subscribers: Of messages with headers.
        rates: Their nominal rates, Hz.
        slop: Largest stamp difference in a set, s.
    """
    queue_size = max(3, math.ceil(max(rates) * (1.0 / min(rates) + 2 * slop)))
    chosen = OwnSynchronizer if message_filters is None else (
        message_filters.ApproximateTimeSynchronizer)
    # Keywords only: the fourth positional argument changed its meaning between releases.
    return chosen(fs=list(subscribers), queue_size=queue_size, slop=slop)


def clear_synchronizer(synchronizer: Any) -> None:
    """Forget queued messages: after a clock jump the stock one would never match again."""
    with synchronizer.lock:
        for queue in synchronizer.queues:
            queue.clear()
