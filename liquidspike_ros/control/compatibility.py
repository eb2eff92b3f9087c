"""Whether a model can drive a robot at all."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ..robot import RobotSpec
from ..untrusted.text import Refusal
from .tensors import INPUT_NAMES, robot_model_config


class PolicyError(Refusal):
    """A model cannot drive this robot; the message names the first field that does not fit."""


def check_model(model: Any, robot: RobotSpec) -> None:
    """Compare a model with a robot.

    Raises:
        PolicyError: Names the first field that differs.
    """
    expected = tuple(INPUT_NAMES[name] for name in robot.sensors)
    modalities = tuple(model.modalities)
    if modalities != expected:
        raise PolicyError(f'model.modalities: got {", ".join(modalities)}, expected '
                          f'{", ".join(expected)} for the sensors of robot {robot.name!r}')
    config = getattr(model, 'config', None)
    if config is None:
        return
    config = {item.name: getattr(config, item.name) for item in fields(config)} if (
        is_dataclass(config)) else dict(config)
    for name, value in robot_model_config(robot).items():
        if name not in config or name == 'control_rate':  # steps take the true dt, at any rate
            continue
        got = tuple(config[name]) if isinstance(config[name], (list, tuple)) else config[name]
        if got != value:
            raise PolicyError(f'model.{name}: got {got}, expected {value} for robot '
                              f'{robot.name!r}')


def check_action(shape: tuple[int, ...], robot: RobotSpec) -> None:
    """Compare the shape of a model's output with the robot's command.

    Raises:
        PolicyError: It is not ``[1, A]``.
    """
    if tuple(shape) != (1, robot.command.width):
        raise PolicyError(f'model: output has shape {list(shape)}, expected '
                          f'[1, {robot.command.width}]')
