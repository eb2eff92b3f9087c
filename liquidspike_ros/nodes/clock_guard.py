"""Whether the system clock was set while the robot runs."""

from __future__ import annotations

from collections.abc import Callable
import time

from ..sensing.synchronizer import JUMP

NANOSECONDS = 1_000_000_000


class ClockGuard:
    """Compares ROS time with a steady clock, from call to call.

    A long silence moves both on alike; a clock that is set (NTP, an operator) moves one of them.
    A simulated clock may run at any speed beside the steady one: rclpy reports its jumps itself.

    Args:
        simulated: Whether ROS time follows ``/clock`` now.
        steady: Steady clock, ns.
    """

    def __init__(self, simulated: Callable[[], bool],
                 steady: Callable[[], int] = time.monotonic_ns) -> None:
        self._simulated, self._steady = simulated, steady
        self._offset: int | None = None

    def jumped(self, now: int) -> bool:
        """Whether ROS time, now ``now`` ns, jumped forward by over a second since the last call."""
        if self._simulated():
            self._offset = None
            return False
        offset = now - self._steady()
        before, self._offset = self._offset, offset
        return before is not None and offset - before > JUMP * NANOSECONDS
