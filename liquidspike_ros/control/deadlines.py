"""Whether the policy keeps up with its control rate."""

from __future__ import annotations

from collections import deque


class Deadlines:
    """Counts control periods that passed without a result, or with a late one.

    Args:
        period: Control period, s.
        share: Share of missed deadlines that is too much.
        window: How long deadlines are counted, s.
    """

    def __init__(self, period: float, share: float, window: float) -> None:
        self._period, self._share, self._window = period, share, window
        self._ticks: deque[tuple[float, int, int]] = deque(maxlen=100_000)
        self.since: float | None = None  # when too many began to be missed

    def count(self, now: float, dt: float, latency: float) -> None:
        """A result came.

        Args:
            now: Steady time, s.
            dt: Time since the tick before its own, s.
            latency: From its tick to the result, s.
        """
        periods = max(round(dt / self._period), 1)
        self._ticks.append((now, periods, periods - 1 + (latency > self._period)))
        while self._ticks[0][0] <= now - self._window:
            self._ticks.popleft()
        due = sum(tick[1] for tick in self._ticks)
        missed = sum(tick[2] for tick in self._ticks)
        if missed <= self._share * due or missed < 2:
            self.since = None
        elif self.since is None:
            self.since = now

    @property
    def missed(self) -> str:
        """What is wrong, or ''."""
        if self.since is None:
            return ''
        return f'overload: more than {self._share:.0%} of deadlines missed'

    def lasting(self, now: float) -> bool:
        """Whether it has been too much for a whole window."""
        return self.since is not None and now - self.since >= self._window
