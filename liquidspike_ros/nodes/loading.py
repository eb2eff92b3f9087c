"""A checkpoint made ready to drive: loaded, compared with the robot, warmed up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..control.policy_runtime import PolicyRuntime
from ..core.checkpoint import CheckpointError, from_pretrained
from ..robot import RobotError, RobotSpec
from ..untrusted.text import brief

SHAPING = ('enabled', 'width', 'height', 'window', 'beams', 'angle_min', 'angle_max', 'range_max',
           'sample_rate', 'channels')
"""Sensor fields that the weights were trained for."""


@dataclass(frozen=True)
class LoadedPolicy:
    """A warm policy and what its user should know about it."""

    runtime: PolicyRuntime
    device: str
    warnings: tuple[str, ...]


def load_policy(model: str, robot: RobotSpec, device: str, *, runtime: str = 'auto',
                precision: str = 'float32', allow_unknown_robot: bool = False) -> LoadedPolicy:
    """Load a checkpoint for ``robot``.

    Args:
        model: Folder of the checkpoint.
        robot: What the parameters describe.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        runtime: How to run it, as for ``PolicyRuntime``.
        precision: As for ``PolicyRuntime``.
        allow_unknown_robot: Take a checkpoint that does not say which robot it was trained for.

    Raises:
        CheckpointError: No checkpoint is asked for, or it is missing, damaged or of another robot.
        PolicyError: The model does not fit the robot, or is not finite.
        ValueError: The device does not work.
    """
    if not model:
        raise CheckpointError('model: got nothing, expected the folder of a checkpoint '
                              '(-p model:=/path)')
    chosen = choose_device(device)
    network, metadata = from_pretrained(model, device=chosen)
    warnings = compare(model, metadata.get('robot'), robot,
                       allow_unknown_robot=allow_unknown_robot)
    policy = PolicyRuntime(network, robot, device=chosen, runtime=runtime, precision=precision)
    policy.warm_up()
    if policy.reason:
        warnings.append(f'runtime: asked for {runtime}, runs {policy.mode} ({policy.reason})')
    if policy.precision_reason:
        warnings.append(f'precision: asked for {precision}, runs in {policy.precision} '
                        f'({policy.precision_reason})')
    return LoadedPolicy(policy, chosen, tuple(warnings))


def choose_device(device: str) -> str:
    """The device to use, tried out with one small product.

    Raises:
        ValueError: A named device does not work here; 'auto' falls back to the CPU.
    """
    if device == 'cpu':
        return device
    name = 'cuda' if device == 'auto' else device
    try:
        if not torch.cuda.is_available():
            raise RuntimeError('no CUDA device')
        torch.ones(2, 2, device=name).mm(torch.ones(2, 2, device=name)).cpu()
    except (RuntimeError, AssertionError) as error:
        if device == 'auto':
            return 'cpu'
        raise ValueError(f'device: got {brief(device)}, which does not work here '
                         f'({str(error).splitlines()[0]}); expected auto or cpu') from None
    return name


def compare(model: str, stored: Any, robot: RobotSpec, *,
            allow_unknown_robot: bool = False) -> list[str]:
    """Compare the robot a checkpoint was trained for with this one.

    Returns:
        Differences that change how it drives, but not what it can read.

    Raises:
        CheckpointError: A difference that the weights cannot bear; names the first field. Or the
            checkpoint does not say, and that is not allowed.
    """
    if not stored:
        unknown = f'{model}: does not say which robot it was trained for'
        if not allow_unknown_robot:
            raise CheckpointError(
                f'{unknown}: nobody knows what its inputs and outputs mean; train it again, or set '
                'allow_unknown_robot to drive all the same')
        return [f'{unknown} (allow_unknown_robot)']
    try:
        trained = RobotSpec.from_dict(stored)
    except RobotError as error:
        raise CheckpointError(f'{model}/config.json: metadata.robot: {error}') from None
    then, now = trained.to_dict(), robot.to_dict()
    for sensor, fields in then['sensors'].items():
        if not (fields['enabled'] or now['sensors'][sensor]['enabled']):
            continue
        for key in SHAPING:
            if fields.get(key) != now['sensors'][sensor].get(key):
                raise CheckpointError(
                    f'sensors.{sensor}.{key}: got {now["sensors"][sensor].get(key)}, expected '
                    f'{fields.get(key)}, for which {model} was trained')
    if trained.command.names != robot.command.names:
        raise CheckpointError(f'command.names: got {list(robot.command.names)}, expected '
                              f'{list(trained.command.names)}, for which {model} was trained')
    warnings = []
    if trained.command.scale != robot.command.scale:
        warnings.append(f'command limits: full scale is {list(robot.command.scale)}, trained with '
                        f'{list(trained.command.scale)}; the robot moves in proportion')
    if trained.rate != robot.rate:
        warnings.append(f'rate: {robot.rate:g} Hz, trained with {trained.rate:g} Hz')
    return warnings
