"""Numbers of a running policy: tick latency percentiles, rates, missed deadlines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import threading
import time

import numpy as np

WINDOW = 900
"""Ticks the percentiles are taken over: a minute at 15 Hz."""


class TickStatistics:
    """What the inference thread notes down and the diagnostics read; bounded.

    Args:
        clock: Steady clock, s.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._times: deque[float] = deque(maxlen=WINDOW)
        self._busy: deque[float] = deque(maxlen=WINDOW)
        self.ticks = 0

    def tick(self, latency: float | None, busy: float) -> None:
        """Note one tick: sensor stamp to publish (s; None without a stamp) and inference (s)."""
        with self._lock:
            self.ticks += 1
            self._times.append(self._clock())
            self._busy.append(busy)
            if latency is not None:
                self._latencies.append(latency)

    def rate(self, window: float = 2.0) -> float:
        """Ticks per second over the last ``window`` s."""
        since = self._clock() - window
        with self._lock:
            return sum(t >= since for t in self._times) / window

    def percentiles(self) -> dict[str, float]:
        """p50, p95, p99 and max of the latency and p99 of inference, s; empty before the first."""
        with self._lock:
            latencies, busy = list(self._latencies), list(self._busy)
        result = {}
        if latencies:
            p50, p95, p99, top = np.percentile(latencies, (50, 95, 99, 100)).tolist()
            result = {'latency_p50': p50, 'latency_p95': p95, 'latency_p99': p99,
                      'latency_max': top}
        if busy:
            result['inference_p99'] = float(np.percentile(busy, 99))
        return result
