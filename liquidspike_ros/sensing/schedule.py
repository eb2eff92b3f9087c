"""When the policy acts: on the trigger sensor's arrival, or on the clock where that is late."""

from __future__ import annotations

from ..robot import RobotSpec
from .buffers import NANOSECONDS
from .synchronizer import JUMP

LATE = 1.25  # periods after the last tick at which the clock stops waiting for the trigger
EARLY = 0.7  # periods before which a trigger is left to the next tick (fast or bunched frames)


class TickSchedule:
    """Tick times from arrivals; reads no clock itself.

    The tick time is the *arrival* of the trigger sample, not its stamp: everything that has
    arrived by then was also acquired by then, so nothing in hand is left out, ages include the
    camera's own latency, and a bag's log times give the live node's ticks. A tick made by the
    clock has the time at which it was due, not the time at which a timer looked, so timer
    jitter changes nothing either.

    While the trigger lives but is late, the clock ticks at 1.25 periods; once it is gone, at every
    period. When it returns, at most three ticks pass until ticks are in phase with it again. No
    tick is made before the first sample, nor later than a second after the last one: a robot that
    senses nothing at all has nothing to think about.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self._period = round(NANOSECONDS / robot.rate)
        self._trigger = robot.trigger
        self._sample: int | None = None
        self._tick = 0
        self._triggered = False

    def on_sample(self, sensor: str, stamp: int, now: int) -> int | None:
        """Call for each accepted sample of any sensor; the tick time if it makes a tick.

        Args:
            sensor: Its name.
            stamp: Its acquisition time, ns; not used, see above.
            now: Its arrival, ns of ROS time.
        """
        last, self._sample = self._sample, now
        restarted = last is None or not 0 <= now - last <= JUMP * NANOSECONDS
        if restarted:
            self._tick, self._triggered = now, self._trigger != 'timer'
        if sensor != self._trigger:
            return None
        self._triggered = True
        if restarted or now - self._tick >= EARLY * self._period:
            self._tick = now
            return now
        return None

    def on_time(self, now: int) -> int | None:
        """The earliest tick due by ``now`` that no trigger made; call until it returns None."""
        if self._sample is None or now < self._sample:
            return None
        wait = LATE if self._triggered else 1.0
        due = self._tick + round(wait * self._period)
        if due > min(now, self._sample + round(JUMP * NANOSECONDS)):
            return None
        self._tick, self._triggered = due, False
        return due

    def reset(self) -> None:
        """Start again with the next sample."""
        self._sample = None
