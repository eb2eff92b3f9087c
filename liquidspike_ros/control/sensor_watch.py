"""Which sensors are alive right now, on a steady clock, and what the robot may do without them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math

from ..robot import RobotSpec

OUTSIDE = 'outside'
"""Waived by this name: that nothing enabled sees what the robot could run into."""
MARGIN = 0.02
"""The robot is to stand this much before a needed sensor is older than its ``max_age``, s.

It does where lateness is noticed in time: lag + 1.1 periods + 0.01 s + braking within ``max_age``.
Where sensor or brakes are slower than that, it stands as much later; see docs/safety.md.
"""
LATE_PERIODS, LATE_SECONDS = 1.1, 0.01
"""A sample is not late before this many periods and seconds after the last one."""
SHORTEST_PERIOD = 0.01
"""Samples that follow each other faster are read several at a time, s."""
LAG_SHARE = 0.1


@dataclass
class _Seen:
    """The newest sample of one sensor: when it was acquired and came, on the steady clock, s."""

    acquired: float = -math.inf
    arrived: float = -math.inf
    lag: float = 0.0  # running mean of arrival minus acquisition
    frozen: bool = False


class SensorWatch:
    """Ages of the newest samples, judged whenever asked and not only at ticks.

    Args:
        robot: Which sensors there are, how old they may get and which are required.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self._specs = robot.sensors
        self._outside = tuple(name for name, spec in self._specs.items() if spec.sees_outside)
        self.waived: frozenset[str] = frozenset()
        self.forget()

    def forget(self) -> None:
        """As before the first sample."""
        self._seen = {name: _Seen() for name in self._specs}

    def sample(self, now: float, sensor: str, age: float, frozen: bool) -> None:
        """A sample was accepted that is ``age`` seconds old."""
        seen = self._seen[sensor]
        seen.lag = age if math.isinf(seen.arrived) else seen.lag + LAG_SHARE * (age - seen.lag)
        seen.acquired, seen.arrived, seen.frozen = max(seen.acquired, now - age), now, frozen

    def age(self, now: float, sensor: str) -> float:
        """Seconds since the newest sample was acquired; infinite before the first."""
        return now - self._seen[sensor].acquired

    def missing(self, now: float, sensor: str) -> str:
        """Why this sensor is not alive, with the figure; '' if it is."""
        seen, spec = self._seen[sensor], self._specs[sensor]
        if math.isinf(seen.arrived):
            return 'no sample yet'
        age, silent = self.age(now, sensor), now - seen.arrived
        if age > spec.max_age and silent < age / 2:
            return (f'samples arrive {seen.lag:.2f} s after their stamp, the newest is {age:.2f} s '
                    f'old, expected at most max_age {spec.max_age:g} s')
        if age > spec.max_age:
            return f'silent for {silent:.2f} s, expected a sample younger than {spec.max_age:g} s'
        if seen.frozen:
            return f'frozen: the same payload for over {spec.max_frozen:g} s of moving'
        return ''

    def lost(self, now: float, masked: Iterable[str] = ()) -> str:
        """Why the robot must not move for want of sensors, or ''.

        Args:
            now: Steady time, s.
            masked: Sensors that are of no use for another reason.
        """
        masked = set(masked)
        for name in self._needed():
            if reason := self.missing(now, name) or ('masked' if name in masked else ''):
                return f'{name}: required sensor {reason}'
        outside = self._outside
        if not outside:
            return '' if OUTSIDE in self.waived else (
                'no enabled sensor sees what the robot could run into; enable one, or waive it: '
                f'safety.arm_without: [{OUTSIDE}]')
        if all(name in masked or self.missing(now, name) for name in outside) and not (
                self.waived.issuperset(outside)):
            return f'nothing that sees outside is alive ({", ".join(outside)})'
        return ''

    def time_left(self, now: float, braking: float) -> float:
        """Seconds until the robot has to brake, so as to stand when a needed sensor gets too old.

        A sample that is no later than usual never makes it brake. Infinite where nothing is needed.

        Args:
            now: Steady time, s.
            braking: How long it takes to stop, s.
        """
        left = [self._left(now, name, braking) for name in self._needed()]
        outside = self._outside
        if outside and not self.waived.issuperset(outside):
            left.append(max(self._left(now, name, braking) for name in outside))
        return min(left, default=math.inf)

    def _left(self, now: float, sensor: str, braking: float) -> float:
        spec, seen = self._specs[sensor], self._seen[sensor]
        period = max(1 / spec.rate, SHORTEST_PERIOD)
        late = seen.lag + LATE_PERIODS * period + LATE_SECONDS
        begin = max(spec.max_age - braking - MARGIN, min(late, spec.max_age))
        return begin - self.age(now, sensor)

    def _needed(self) -> list[str]:
        return [name for name, spec in self._specs.items()
                if spec.required and name not in self.waived]

