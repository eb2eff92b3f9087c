"""Simulated time held to the steady clock, or to a ROS clock that somebody else publishes."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

REPORT_PERIOD = 5.0
"""Seconds between two complaints about falling behind."""
PATIENCE = 0.25
"""Lag that is given up instead of being raced after, s."""

FOLLOWING = 0.002
"""Time between two looks at a clock that is followed, s."""
BEHIND = 0.05
"""Lag behind a followed clock that is given up, s: older stamps would be taken for stale data."""


class Pacer:
    """Sleeps until simulated time is due, by absolute deadlines, so that nothing drifts.

    Args:
        factor: Simulated seconds per second.
        clock: Steady clock, s.
    """

    def __init__(self, factor: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._factor, self._clock = factor, clock
        self._begin: tuple[float, int] | None = None
        self._window: tuple[float, int] | None = None
        self._gave_up = False

    def wait(self, now: int, ending: threading.Event) -> str:
        """Sleep until simulated time ``now`` (ns) is due, or ``ending`` is set.

        Returns:
            A complaint with the achieved factor, at most every five seconds; else nothing.
        """
        wall = self._clock()
        if self._begin is None or self._window is None:
            self._begin = self._window = (wall, now)
        ahead = self._begin[0] + (now - self._begin[1]) / 1e9 / self._factor - wall
        if ahead > 0:
            ending.wait(ahead)
        elif ahead < -PATIENCE:
            # Racing to catch up would send the sensors in bursts that no real robot sends.
            self._begin, self._gave_up = (wall, now), True
        return self._report(wall, now)

    def _report(self, wall: float, now: int) -> str:
        assert self._window is not None
        elapsed = wall - self._window[0]
        if elapsed < REPORT_PERIOD:
            return ''
        achieved = (now - self._window[1]) / 1e9 / elapsed
        gave_up, self._gave_up, self._window = self._gave_up, False, (wall, now)
        if not gave_up:
            return ''
        return f'behind real time: factor {achieved:.2f}, expected {self._factor:g}'


class Follower:
    """Lets simulated time run with another clock, whatever that one's zero and pace are.

    Args:
        clock: That clock, ns; 0 before it is known.

    Attributes:
        offset: What to add to simulated time to get that clock's, ns.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last = 0
        self._asked = time.monotonic()
        self.offset: int | None = None

    def wait(self, now: int, ending: threading.Event) -> str:
        """Sleep until simulated time ``now`` (ns) is due, or ``ending`` is set.

        A clock that jumps, back or further than can be made up for, is followed from there on.

        Returns:
            A complaint while nobody publishes the clock, every five seconds; else nothing.
        """
        while not ending.is_set():
            reached = self._clock()
            if reached:
                ahead = self._ahead(reached, now)
                if ahead <= 0:
                    return ''
                ending.wait(min(ahead, FOLLOWING))
            else:
                ending.wait(FOLLOWING)
                if time.monotonic() - self._asked >= REPORT_PERIOD:
                    self._asked = time.monotonic()
                    return 'no /clock yet, expected another simulator that publishes it'
        return ''

    def _ahead(self, reached: int, now: int) -> float:
        jumped_back, self._last = reached < self._last, reached
        if self.offset is not None:
            ahead = (now + self.offset - reached) / 1e9
            if not jumped_back and ahead >= -BEHIND:
                return ahead
        self.offset = reached - now
        return 0.0
