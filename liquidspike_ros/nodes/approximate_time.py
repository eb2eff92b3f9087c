"""Approximate time matching for hosts without message_filters: same interface, same sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import itertools
import threading
from typing import Any


class ApproximateTimeSynchronizer:
    """Calls back with one message of each input whose header stamps lie within ``slop``.

    Interface and choice of sets are those of ``message_filters.ApproximateTimeSynchronizer``: a
    new message is combined with the nearest queued messages of the other inputs, and the first
    combination that spans less than ``slop`` is used up.

    Args:
        fs: Subscribers (anything with ``registerCallback``).
        queue_size: Messages kept per input.
        slop: Largest difference between the stamps of a set, s.
    """

    def __init__(self, fs: Sequence[Any], queue_size: int, slop: float) -> None:
        self.queue_size = queue_size
        self.slop = round(slop * 1e9)
        self.lock = threading.Lock()
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}
        for index, subscriber in enumerate(fs):
            subscriber.registerCallback(self._add, index)

    def registerCallback(self, callback: Callable[..., None], *args: Any) -> int:  # noqa: N802
        """Call ``callback(*messages, *args)`` for every set; returns its connection number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (callback, args)
        return connection

    def _add(self, message: Any, index: int) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        with self.lock:
            queue = self.queues[index]
            queue[stamp] = message
            while len(queue) > self.queue_size:
                del queue[min(queue)]
            stamps = self._match(stamp, index)
            if stamps is None:
                return
            messages = [q.pop(s) for q, s in zip(self.queues, stamps, strict=True)]
            for callback, args in list(self.callbacks.values()):
                callback(*messages, *args)

    def _match(self, stamp: int, index: int) -> tuple[int, ...] | None:
        """Stamps of a complete set around the message just added, one per input."""
        if stamp not in self.queues[index]:  # older than a full queue: dropped at once
            return None
        choices = [
            [stamp] if i == index else sorted(
                (s for s in queue if abs(s - stamp) <= self.slop), key=lambda s: abs(s - stamp))
            for i, queue in enumerate(self.queues)
        ]
        for stamps in itertools.product(*choices):
            if max(stamps) - min(stamps) < self.slop:
                return stamps
        return None
