"""What the policy should have done at each tick: the command in force, in model units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..control.action import to_action
from ..robot import RobotSpec
from .configuration import DataConfig


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
