"""One recording as one sequence: what the policy would have seen, and what it should have done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import RobotSpec
from .bags import BagError, BagReader, BagReport
from .configuration import DataConfig
from .labels import align_labels
from .replay import Replay, require_fresh, with_labels
from .storage import Storage

Array = NDArray[Any]
PCM = 32768.0


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
    replay = Replay(BagReader(path, robot, report, data, storage), robot)
    values: dict[str, list[Array]] = {name: [] for name in robot.sensors}
    for block in replay.blocks():
        for name, stored in values.items():
            stored.append(pack(name, np.stack([tick.values[name] for tick in block])))
    ticks = replay.ticks()
    require_fresh(path, robot, data, ticks.facts)
    labels, weight = align_labels(replay.reader.commands, ticks.stamps, robot, data)
    if not weight.any():
        raise BagError(f'{path}: none of {len(weight)} ticks has a command on '
                       f'{robot.command.topic} at most {data.label_max_age} s before it')
    facts = with_labels(ticks.facts, replay, ticks, labels, weight, data)
    return Episode(
        name=str(path), values={name: _join(name, values.pop(name)) for name in robot.sensors},
        present=ticks.present, dt=ticks.dt, labels=labels, weight=weight, starts=ticks.starts,
        facts=facts)


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

