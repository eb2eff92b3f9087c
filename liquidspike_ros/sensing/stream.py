"""Messages in, ticks out: the calls that the live node and the bag reader both make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..robot import RobotSpec
from .buffers import BufferedSample
from .converters import convert
from .observation import InvalidSample, Observation
from .schedule import TickSchedule
from .synchronizer import Synchronizer

MOTION = 'motion'
"""In place of a sensor's name: the message is a bool, whether the robot is told to move."""


class Intake:
    """Converter, synchroniser and schedule behind two calls: ``time``, then ``message``.

    Attributes:
        synchronizer: Takes the snapshots and counts what was refused.
        schedule: Makes the ticks.
        newest: The sample accepted last.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._specs = robot.sensors
        self.synchronizer = Synchronizer(robot)
        self.schedule = TickSchedule(robot)
        self.newest: BufferedSample

    def time(self, now: int) -> list[int]:
        """The ticks that the clock makes by ``now``, earliest first.

        Call before every message and as often as ticks may be late at most.
        """
        ticks = []
        while (tick := self.schedule.on_time(now)) is not None:
            self.synchronizer.mark(tick)
            ticks.append(tick)
        return ticks

    def message(self, now: int, sensor: str, type_name: str, msg: Any) -> int | None:
        """Take a message that arrived at ``now``; the tick time if it makes a tick.

        Call ``time(now)`` first: ticks that the clock owes are earlier than this message.

        Raises:
            InvalidSample: The message is of no use; it is counted with its reason
                (``synchronizer.health()``) and everything else goes on.
        """
        try:
            sample = convert(msg, type_name, self._specs[sensor])
        except InvalidSample as error:
            self.synchronizer.reject(sensor, str(error), now)
            raise
        self.newest = self.synchronizer.add(sensor, sample, now)
        tick = self.schedule.on_sample(sensor, sample.stamp, now)
        if tick is not None:
            self.synchronizer.mark(tick)
        return tick

    def motion(self, now: int, moving: bool) -> None:
        """The robot is told to move, or to stand, from ``now`` on."""
        self.synchronizer.motion(moving, now)

    def jump(self) -> None:
        """The clock jumped: what was sensed before it is forgotten."""
        self.synchronizer.jump()
        self.schedule.reset()

    def reset(self) -> None:
        """As at the start."""
        self.synchronizer.reset()
        self.schedule.reset()


def observe(events: Iterable[tuple[int, str, str, Any]], robot: RobotSpec,
            intake: Intake | None = None) -> Iterator[Observation]:
    """Observations from recorded events, exactly as the live node sees them.

    Messages that cannot be used are left out, as they are live; sensors the robot does not have
    or does not use are skipped.

    Args:
        events: (arrival in ns, sensor name, interface type, message) in order of arrival; with
            the name ``MOTION``, whether the robot is told to move.
        robot: What to make of them.
        intake: Takes the messages, and tells what it refused (``synchronizer.health()``) once
            they are through; a fresh one by default.
    """
    intake = intake or Intake(robot)
    for now, sensor, type_name, msg in events:
        if sensor == MOTION:
            intake.motion(now, bool(msg))
        if sensor not in robot.sensors:
            continue
        for tick in intake.time(now):
            yield intake.synchronizer.snapshot(tick)
        try:
            made = intake.message(now, sensor, type_name, msg)
        except InvalidSample:
            continue
        if made is not None:
            yield intake.synchronizer.snapshot(made)
