"""How fast a command may change."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..robot import CommandSpec

Array = NDArray[np.float64]


class RateLimiter:
    """Moves a command towards a target within acceleration limits.

    "Acceleration" leads away from rest, "deceleration" towards it; a command that changes sides
    brakes first and accelerates with the time that is left. A robot that holds on a STOP stays
    where it was told to go last.
    """

    def __init__(self, spec: CommandSpec) -> None:
        self._rest = np.asarray(spec.rest, np.float64)
        self._holds = spec.on_stop == 'hold'
        self._accelerate = np.asarray(spec.max_acceleration, np.float64)
        self._decelerate = np.asarray(spec.max_deceleration, np.float64)
        self._stop = np.asarray(spec.stop_deceleration, np.float64)

    def drive(self, current: Array, target: Array, elapsed: float) -> Array:
        """The command ``[A]`` after ``elapsed`` seconds on the way to ``target``."""
        offset, goal = current - self._rest, target - self._rest
        crosses = offset * goal < 0
        # Braking down to the target's distance, or to standstill where it lies on the other side.
        floor = np.where(crosses, 0.0, np.minimum(np.abs(offset), np.abs(goal)))
        braked = np.maximum(np.abs(offset) - self._decelerate * elapsed, floor)
        left = np.maximum(elapsed - (np.abs(offset) - floor) / self._decelerate, 0.0)
        moved = np.where(crosses & (left == 0), np.copysign(braked, offset), np.copysign(
            np.minimum(braked + self._accelerate * left, np.abs(goal)), goal))
        slowing = ~crosses & (np.abs(goal) <= np.abs(offset))
        return self._rest + np.where(slowing, np.copysign(braked, offset), moved)

    def stop(self, current: Array, elapsed: float) -> Array:
        """The command ``[A]`` after ``elapsed`` seconds of a STOP."""
        if self._holds:
            return current
        offset = current - self._rest
        left = np.maximum(np.abs(offset) - self._stop * elapsed, 0.0)
        return self._rest + np.copysign(left, offset)

    def time_to_stop(self, current: Array) -> float:
        """How long a STOP from ``current`` takes, s."""
        return 0.0 if self._holds else float((np.abs(current - self._rest) / self._stop).max())
