"""One recording as one sequence: what the policy would have seen, and what it should have done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..control.action import to_action
from ..robot import RobotSpec
from ..sensing.stream import Intake, observe
from .bags import BagError, BagReader, BagReport
from .configuration import DataConfig
from .recording_facts import (
    AudioMeter,
    command_problems,
    imu_facts,
    label_problems,
    LEAST_FRESH,
    refusals,
    too_rarely_fresh,
)
from .storage import Storage

Array = NDArray[Any]
PCM = 32768.0
BLOCK = 256  # ticks stacked at a time: an hour's recording must not be held twice


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recording, cut into control ticks by the very code the live node runs.

    Attributes:
        name: Where it came from.
        values: Per sensor ``[T, …]`` in the units of ``Observation``. Audio is kept as int16 where
            that loses nothing.
        present: Which sensors were fresh, bool ``[T, M]``, in the robot's sensor order.
        dt: Time since the previous tick, s, float32 ``[T]``.
        labels: Commands in model units, float32 ``[T, A]``; zeros where there is none.
        weight: 1 where the tick has a label, else 0, float32 ``[T]``.
        starts: First tick of each stretch without a clock jump, int64; 0 comes first.
        facts: Plain findings for the training report.
    """

    name: str
    values: Mapping[str, Array]
    present: NDArray[np.bool_]
    dt: NDArray[np.float32]
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]
    starts: NDArray[np.int64]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.dt)


def bag_to_sequence(path: str | Path, robot: RobotSpec, data: DataConfig | None = None,
                    report: BagReport | None = None, storage: Storage | None = None) -> Episode:
    """Turn one recording into a training sequence.

    Args:
        path: The recording.
        robot: Its sensors, command and control rate.
        data: Label settings.
        report: The recording's scan, if it is already there.
        storage: The recording, if it is open already.

    Raises:
        BagError: The recording is not usable, gives no tick with a label, or lacks a sensor at
            more than half of its ticks.
    """
    data = data or DataConfig()
    reader = BagReader(path, robot, report, data, storage)
    names = list(robot.sensors)
    values: dict[str, list[Array]] = {name: [] for name in names}
    ticks: list[tuple[int, float, bool, list[bool]]] = []
    intake, meter = Intake(robot), AudioMeter(robot)
    stream = observe(meter.watch(reader.events()), robot, intake)
    while block := list(islice(stream, BLOCK)):
        for name in names:
            values[name].append(pack(name, np.stack([tick.values[name] for tick in block])))
        ticks += [(tick.stamp, tick.dt, tick.restarted, [tick.present[n] for n in names])
                  for tick in block]
    refused = refusals(reader, intake.synchronizer.health())
    if not ticks:
        why = refused.get(robot.trigger, reader.report.line.partition(': ')[2])
        raise BagError(f'{path}: no control tick, expected at least one (trigger '
                       f'{robot.trigger}): {why}')
    stamps, dt, jumped, present = map(np.array, zip(*ticks, strict=True))
    _require_fresh(path, robot, data, reader.report, present, refused)
    labels, weight = align_labels(reader.commands, stamps, robot, data)
    if not weight.any():
        raise BagError(f'{path}: none of {len(stamps)} ticks has a command on '
                       f'{robot.command.topic} at most {data.label_max_age} s before it')
    jumped[0] = True  # a sequence always starts from rest, as the live policy does after a jump
    joined = {name: _join(name, values.pop(name)) for name in names}
    facts, problems = _measured(reader, robot, data, stamps, weight)
    if len(stamps) < LEAST_FRESH * reader.report.duration * robot.rate and robot.rate > 0:
        problems.append(f'{len(stamps)} ticks in {reader.report.duration:.1f} s, expected '
                        f'{robot.rate:g} a second: {robot.trigger} makes them')
    more, doubts = _imu_measured(joined, robot, present, labels, weight)
    shares = {name: round(float(share), 4) for name, share in
              zip(names, present.mean(axis=0), strict=True)}
    return Episode(
        name=str(path), values=joined, present=present, dt=dt.astype(np.float32), labels=labels,
        weight=weight, starts=np.flatnonzero(jumped), facts={
            'ticks': len(weight), 'labelled': int(weight.sum()), 'fresh': shares,
            'refused': refused, 'audio_rate': meter.rates(), **facts, **more,
            'problems': [*reader.report.problems,
                         *(f'{name}: {why}' for name, why in refused.items()),
                         *problems, *doubts, *meter.problems()]})


def _require_fresh(path: str | Path, robot: RobotSpec, data: DataConfig, report: BagReport,
                   present: Array, refused: Mapping[str, str]) -> None:
    """Refuse a recording at most of whose ticks an enabled sensor would be masked.

    Raises:
        BagError: With the sensor, the share, the reason and the setting that allows it.
    """
    for index, name in enumerate(robot.sensors):
        share = float(present[:, index].mean())
        if share >= LEAST_FRESH or name in data.allow_missing:
            continue
        off = next((p.partition(': ')[2] for p in report.problems
                    if p.startswith(f'{name}: stamps ')), '')
        raise BagError(f'{path}: {too_rarely_fresh(name, share, refused.get(name, ""), off)}')


def _measured(reader: BagReader, robot: RobotSpec, data: DataConfig, stamps: Array,
              weight: Array) -> tuple[dict[str, Any], list[str]]:
    index, young = commands_in_force(reader.commands, stamps, data)
    ordered = sorted(reader.commands, key=lambda entry: entry[0])
    used = np.array([ordered[i][1] for i in index[young]]).reshape(-1, robot.command.width)
    facts, problems = label_problems(reader.commands, used, weight > 0, robot.command, data)
    return facts, [*command_problems(reader), *problems]


def _imu_measured(values: Mapping[str, Array], robot: RobotSpec, present: Array, labels: Array,
                  weight: Array) -> tuple[dict[str, Any], list[str]]:
    if 'imu' not in robot.sensors:
        return {}, []
    fresh = present[:, list(robot.sensors).index('imu')]
    names, yaw = robot.command.names, None
    if 'angular.z' in names:
        axis = names.index('angular.z')
        yaw = np.where(weight > 0, labels[:, axis] * robot.command.scale[axis], np.nan)[fresh]
    return imu_facts(values['imu'][fresh], yaw)


def align_labels(commands: Sequence[tuple[int, NDArray[np.float64]]], stamps: NDArray[np.int64],
                 robot: RobotSpec, data: DataConfig
                 ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The command in force at each tick (zero-order hold), in model units.

    A tick at ``t`` gets the last command logged at or before ``t + label_shift``, clipped to the
    limits of the robot file: nothing beyond them could be sent.

    Args:
        commands: ``(log time ns, command [A])`` in any order.
        stamps: Tick times ``[T]``, ns.
        robot: For the command's scale.
        data: ``label_shift`` and ``label_max_age``.

    Returns:
        Labels ``[T, A]`` and weights ``[T]``, 0 where no command is young enough.
    """
    labels = np.zeros((len(stamps), robot.command.width), np.float32)
    weight = np.zeros(len(stamps), np.float32)
    if not commands:
        return labels, weight
    index, young = commands_in_force(commands, stamps, data)
    ordered = sorted(commands, key=lambda entry: entry[0])
    spec = robot.command
    actions = np.array([to_action(np.clip(value, spec.lower, spec.upper), spec)
                        for _, value in ordered], np.float32)
    labels[young] = actions[index[young]]
    weight[young] = 1.0
    return labels, weight


def commands_in_force(commands: Sequence[tuple[int, NDArray[np.float64]]],
                      stamps: NDArray[np.int64], data: DataConfig
                      ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which command is in force at each tick.

    Returns:
        Its index among the commands in time order ``[T]`` (of a tie, the later), and whether it
        is young enough to be a label ``[T]``.
    """
    times = np.sort(np.array([time for time, _ in commands], np.int64))
    wanted = stamps + round(data.label_shift * 1e9)
    index = np.searchsorted(times, wanted, side='right') - 1
    if not len(times):
        return index, np.zeros(len(stamps), np.bool_)
    young = (index >= 0) & (wanted - times[index] <= round(data.label_max_age * 1e9))
    return index, young


def pack(name: str, values: Array) -> Array:
    """Compact storage of ``Episode.values``: audio as the int16 it came from, where it did."""
    if name != 'audio':
        return values
    pcm = np.rint(values * PCM)
    exact = (pcm >= -PCM) & (pcm < PCM) & (pcm.astype(np.float32) / np.float32(PCM) == values)
    return pcm.astype(np.int16) if exact.all() else values


def unpack(name: str, values: Array) -> Array:
    """Undo the compact storage of ``Episode.values``: bit for bit what was observed."""
    if name == 'audio' and values.dtype == np.int16:
        return values.astype(np.float32) / np.float32(PCM)
    return values


def _join(name: str, blocks: list[Array]) -> Array:
    if len({block.dtype for block in blocks}) > 1:  # some could not be packed
        blocks = [unpack(name, block) for block in blocks]
    return np.concatenate(blocks)

