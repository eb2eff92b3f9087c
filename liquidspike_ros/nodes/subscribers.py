"""Topic in, callbacks out: a filter for message_filters that asks for the QoS that is offered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
import math
import time
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import deserialize_message

from ..robot import SensorSpec
from .approximate_time import ApproximateTimeSynchronizer as OwnSynchronizer
from .offered_qos import offers_of, requested_qos

try:
    import message_filters
except ImportError:  # the pip wheels of rclpy come without it
    message_filters = None

REPLAY = 1.0
"""Longest time a new subscription takes to get what its publishers kept, s."""
_LARGE, _BEGINNING = 4096, 64
"""Of messages of more bytes, this many at the beginning tell them apart: header, size, values."""


class OwnFilter:
    """The interface of ``message_filters.SimpleFilter``, for hosts without that package."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, callback: Callable[..., None], *args: Any) -> int:  # noqa: N802
        """Call ``callback(message, *args)`` for every message; returns its connection number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (callback, args)
        return connection

    def signalMessage(self, *message: Any) -> None:  # noqa: N802
        """Pass ``message`` to every registered callback."""
        for callback, args in list(self.callbacks.values()):
            callback(*message, *args)


SimpleFilter: Any = OwnFilter if message_filters is None else message_filters.SimpleFilter


class Subscriber(SimpleFilter):  # type: ignore[misc]  # one of two base classes
    """A subscription that follows the QoS its publishers offer, as one stream of messages.

    A subscription cannot change its QoS, so another takes its place: what waits in the old one goes
    first, then the new one is made. So no message comes twice and none after a later one; those
    that are sent in the moment until the publishers find the new subscription are lost, unless the
    publishers keep them. What they kept and the old one had is left out.

    Call ``adapt`` every now and then from the thread of the executor.

    Args:
        node: Node that subscribes.
        kind: Message class.
        spec: Topic, rate and whether the reliability is fixed.
        raw: Whether callbacks get the serialised bytes.
        polled: Whether messages wait for ``drain`` instead of waking the executor one by one. The
            queue holds ``QUEUE_SECONDS``: drain more often, from the thread that calls ``adapt``.
    """

    def __init__(self, node: Node, kind: type, spec: SensorSpec, *, raw: bool = False,
                 polled: bool = False) -> None:
        super().__init__()
        self.topic, self.polled = spec.topic, polled
        self._node, self._kind, self._spec, self._raw = node, kind, spec, raw
        self.qos = requested_qos(spec, offers_of(node, spec.topic, spec.type))
        self._recent: deque[bytes] = deque(maxlen=self.qos.depth)
        self._replayed = 0  # messages that may still be repetitions
        self._replay_end, self._newest = 0.0, b''
        self._generation, self._closed = 0, False
        self.sub = self._open()

    def getTopic(self) -> str:  # noqa: N802
        """The topic as it was asked for."""
        return self.topic

    def adapt(self) -> None:
        """Look at what is offered now; a change takes the place of the subscription."""
        if self._closed:
            return
        offers = offers_of(self._node, self.topic, self._spec.type)
        wanted = requested_qos(self._spec, offers)
        if (wanted.reliability, wanted.durability) == (self.qos.reliability, self.qos.durability):
            return
        self._leave()
        self.qos = wanted
        if wanted.durability == DurabilityPolicy.TRANSIENT_LOCAL and self._recent:
            self._replayed, self._newest = wanted.depth * len(offers), self._recent[-1]
            self._replay_end = time.monotonic() + REPLAY
        self.sub = self._open()

    def close(self) -> None:
        """Unsubscribe."""
        self._closed = True
        self._drop()

    def drain(self) -> None:
        """Pass on what waits, up to a queue full."""
        if self._closed:
            return
        with self.sub.handle:
            for _ in range(self.qos.depth):  # a flood must not hold it up
                taken = self.sub.handle.take_message(self._kind, True)
                if taken is None:
                    break
                self._pass(taken[0])

    def _drop(self) -> None:
        self._generation += 1  # what an executor still has in hand goes nowhere
        if not self._node.destroy_subscription(self.sub):
            self.sub.destroy()  # it was hidden from the node

    def _open(self) -> Any:
        self._generation += 1
        generation = self._generation

        def receive(data: bytes) -> None:
            if generation == self._generation:
                self._pass(data)

        # One argument: with two, the events executor of some builds raises SystemError.
        # No events: where one is on its way as its subscription goes, that executor crashes.
        subscription = self._node.create_subscription(
            self._kind, self.topic, receive, self.qos, raw=True,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False))
        if self.polled:
            # Executors wait for what a node lists; the events executor also for what a callback
            # group would keep from it. A node without the list goes on in the usual way.
            known = getattr(self._node, '_subscriptions', [])
            if subscription in known:
                known.remove(subscription)
        return subscription

    def _leave(self) -> None:
        """Empty the old subscription and leave it."""
        self.drain()
        self._drop()

    def _pass(self, data: bytes) -> None:
        key = data if len(data) <= _LARGE else data[:_BEGINNING]
        if self._replayed and self._is_repetition(key):
            return
        self._recent.append(key)
        if self._raw:
            self.signalMessage(data)
            return
        try:
            message: Any = deserialize_message(data, self._kind)
        except Exception as error:  # it comes from outside, and would end the node
            self._node.get_logger().error(f'{self.topic}: cannot be read: {error}',
                                          throttle_duration_sec=1.0)
            return
        self.signalMessage(message)

    def _is_repetition(self, key: bytes) -> bool:
        """Whether a message is one of those that publishers kept and that have come before.

        They come in their order, so all up to the newest that has come are old.
        """
        if time.monotonic() > self._replay_end:
            self._replayed = 0
            return False
        self._replayed -= 1
        if key == self._newest:
            self._newest = b''
            return True
        return bool(self._newest) or key in self._recent


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
