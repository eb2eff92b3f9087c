"""A recording run through the very code the live node runs, tick by tick, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import RobotSpec
from ..sensing.observation import Observation
from ..sensing.stream import Intake, observe
from .bags import BagError, BagReader, Event
from .configuration import DataConfig
from .labels import commands_in_force
from .recording_facts import (
    AudioMeter,
    command_problems,
    imu_facts,
    label_problems,
    LEAST_FRESH,
    refusals,
    too_rarely_fresh,
)

BLOCK = 256  # ticks at a time: an hour's recording must not be held twice


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """The control ticks of one recording.

    Attributes:
        stamps: ns, int64 ``[T]``.
        dt: Time since the previous tick, s, float32 ``[T]``.
        present: Which sensors were fresh, bool ``[T, M]``, in the robot's sensor order.
        starts: First tick of each stretch without a clock jump, int64; 0 comes first.
        facts: Plain findings; ``problems`` among them holds one line each.
    """

    stamps: NDArray[np.int64]
    dt: NDArray[np.float32]
    present: NDArray[np.bool_]
    starts: NDArray[np.int64]
    facts: Mapping[str, Any]


class Replay:
    """Runs one recording through the sensing code.

    Args:
        reader: The recording.
        robot: Whose sensors they are.
        watch: Sees every event on its way, for progress.
    """

    def __init__(self, reader: BagReader, robot: RobotSpec,
                 watch: Callable[[Iterator[Event]], Iterator[Event]] = iter) -> None:
        self.reader, self.robot = reader, robot
        self.intake, self._meter, self._watch = Intake(robot), AudioMeter(robot), watch
        self._rows: list[tuple[int, float, bool, list[bool]]] = []
        self._imu: list[NDArray[np.float32]] = []

    def blocks(self) -> Iterator[list[Observation]]:
        """Yield the observations, some at a time.

        Raises:
            BagError: The recording is not usable.
        """
        names = list(self.robot.sensors)
        events = self._meter.watch(self._watch(self.reader.events()))
        stream = observe(events, self.robot, self.intake)
        while block := list(islice(stream, BLOCK)):
            self._rows += [(tick.stamp, tick.dt, tick.restarted, [tick.present[n] for n in names])
                           for tick in block]
            if 'imu' in names:
                self._imu += [tick.values['imu'].mean(axis=1) for tick in block]
            yield block

    def ticks(self) -> Ticks:
        """What the sensors gave, once all blocks are through.

        Raises:
            BagError: There was no tick.
        """
        report = self.reader.report
        refused = refusals(self.reader, self.intake.synchronizer.health())
        if not self._rows:
            why = refused.get(self.robot.trigger) or '; '.join(report.problems)
            raise BagError(f'{report.path}: no control tick, expected at least one (trigger '
                           f'{self.robot.trigger}){": " if why else ""}{why}')
        stamps, dt, restarted, present = map(np.array, zip(*self._rows, strict=True))
        restarted[0] = True  # a sequence always starts from rest, as a policy after a jump
        problems = [*report.problems, *(f'{name}: {why}' for name, why in refused.items()),
                    *self._meter.problems()]
        if len(stamps) < LEAST_FRESH * report.duration * self.robot.rate:
            problems.append(f'{len(stamps)} ticks in {report.duration:.1f} s, expected '
                            f'{self.robot.rate:g} a second: {self.robot.trigger} makes them')
        fresh = {name: round(float(share), 4) for name, share in
                 zip(self.robot.sensors, present.mean(axis=0), strict=True)}
        return Ticks(stamps=stamps, dt=dt.astype(np.float32), present=present,
                     starts=np.flatnonzero(restarted), facts={
                         'ticks': len(stamps), 'fresh': fresh, 'refused': refused,
                         'audio_rate': self._meter.rates(), 'problems': problems})

    def imu_means(self, present: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Mean angular velocity and acceleration at the ticks with a fresh IMU ``[N, 6]``."""
        index = list(self.robot.sensors).index('imu')
        return np.array(self._imu, np.float32).reshape(-1, 6)[present[:, index]]


def require_fresh(path: str | Path, robot: RobotSpec, data: DataConfig,
                  facts: Mapping[str, Any]) -> None:
    """Refuse a recording at most of whose ticks an enabled sensor would be masked.

    Raises:
        BagError: With the sensor, the share, the reason and the setting that allows it.
    """
    for name in robot.sensors:
        share = facts['fresh'][name]
        if share >= LEAST_FRESH or name in data.allow_missing:
            continue
        off = next((problem.partition(': ')[2] for problem in facts['problems']
                    if problem.startswith(f'{name}: stamps ')), '')
        raise BagError(
            f'{path}: {too_rarely_fresh(name, share, facts["refused"].get(name, ""), off)}')


def with_labels(facts: Mapping[str, Any], replay: Replay, ticks: Ticks,
                labels: NDArray[np.float32], weight: NDArray[np.float32],
                data: DataConfig) -> dict[str, Any]:
    """The facts of the ticks, and those of the labels and of the IMU against them.

    Args:
        facts: Of ``ticks``.
        replay: The recording, all of it replayed.
        ticks: Its ticks.
        labels: In model units ``[T, A]``.
        weight: 1 where a tick has a label ``[T]``.
        data: Label settings.
    """
    reader, robot = replay.reader, replay.robot
    index, young = commands_in_force(reader.commands, ticks.stamps, data)
    ordered = sorted(reader.commands, key=lambda entry: entry[0])
    used = np.array([ordered[i][1] for i in index[young]]).reshape(-1, robot.command.width)
    more, problems = label_problems(reader.commands, used, weight > 0, robot.command, data)
    doubts: list[str] = []
    if 'imu' in robot.sensors:
        names, yaw = robot.command.names, None
        if 'angular.z' in names:
            axis = names.index('angular.z')
            rate = labels[:, axis] * robot.command.scale[axis]
            fresh = ticks.present[:, list(robot.sensors).index('imu')]
            yaw = np.where(weight > 0, rate, np.nan)[fresh]
        imu, doubts = imu_facts(replay.imu_means(ticks.present), yaw)
        more |= imu
    return {**facts, 'labelled': int(weight.sum()), **more,
            'problems': [*facts['problems'], *command_problems(reader), *problems, *doubts]}
