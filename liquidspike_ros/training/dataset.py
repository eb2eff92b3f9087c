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
from ..sensing.stream import observe
from .bags import BagError, BagReader, BagReport
from .configuration import DataConfig

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
                    report: BagReport | None = None) -> Episode:
    """Turn one recording into a training sequence.

    Args:
        path: The recording.
        robot: Its sensors, command and control rate.
        data: Label settings.
        report: The recording's scan, if it is already there.

    Raises:
        BagError: The recording is not usable, or gives no tick with a label.
    """
    data = data or DataConfig()
    reader = BagReader(path, robot, report)
    names = list(robot.sensors)
    values: dict[str, list[Array]] = {name: [] for name in names}
    ticks: list[tuple[int, float, bool, list[bool]]] = []
    stream = observe(reader.events(), robot)
    while block := list(islice(stream, BLOCK)):
        for name in names:
            values[name].append(pack(name, np.stack([tick.values[name] for tick in block])))
        ticks += [(tick.stamp, tick.dt, tick.restarted, [tick.present[n] for n in names])
                  for tick in block]
    if not ticks:
        raise BagError(f'{path}: no control tick, expected at least one (trigger {robot.trigger})')
    stamps, dt, jumped, present = map(np.array, zip(*ticks, strict=True))
    labels, weight = align_labels(reader.commands, stamps, robot, data)
    if not weight.any():
        raise BagError(f'{path}: none of {len(stamps)} ticks has a command on '
                       f'{robot.command.topic} at most {data.label_max_age} s before it')
    jumped[0] = True  # a sequence always starts from rest, as the live policy does after a jump
    return Episode(
        name=str(path), values={name: _join(name, values.pop(name)) for name in names},
        present=present, dt=dt.astype(np.float32), labels=labels, weight=weight,
        starts=np.flatnonzero(jumped), facts=_facts(reader, names, present, weight))


def align_labels(commands: Sequence[tuple[int, NDArray[np.float64]]], stamps: NDArray[np.int64],
                 robot: RobotSpec, data: DataConfig
                 ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The command in force at each tick (zero-order hold), in model units.

    A tick at ``t`` gets the last command logged at or before ``t + label_shift``.

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
    ordered = sorted(commands, key=lambda entry: entry[0])  # stable: the later of a tie wins
    times = np.array([time for time, _ in ordered], np.int64)
    actions = np.array([to_action(value, robot.command) for _, value in ordered], np.float32)
    wanted = stamps + round(data.label_shift * 1e9)
    index = np.searchsorted(times, wanted, side='right') - 1
    young = (index >= 0) & (wanted - times[index] <= round(data.label_max_age * 1e9))
    labels[young] = actions[index[young]]
    weight[young] = 1.0
    return labels, weight


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


def _facts(reader: BagReader, names: Sequence[str], present: Array, weight: Array
           ) -> dict[str, Any]:
    shares = {name: round(float(share), 4) for name, share in
              zip(names, present.mean(axis=0), strict=True)}
    problems = [f'{name}: fresh at none of {len(weight)} ticks, expected stamps near the log time'
                for name, share in shares.items() if share == 0
                and not any(p.startswith(f'{name}:') for p in reader.report.problems)]
    problems += [f'{count} messages on {topic} could not be used'
                 for topic, count in sorted(reader.rejected.items())]
    return {'ticks': len(weight), 'labelled': int(weight.sum()), 'fresh': shares,
            'problems': [*reader.report.problems, *problems]}
