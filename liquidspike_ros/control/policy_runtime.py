"""One model step a tick, with recurrent state that never leaves the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor

from ..robot import RobotSpec
from ..sensing.observation import Observation
from .action import TickResult
from .tensors import INPUT_NAMES, observation_tensors, robot_model_config


class PolicyError(ValueError):
    """A model cannot drive this robot; the message names the first field that does not fit."""


class PolicyRuntime:
    """Runs a policy tick by tick.

    Args:
        model: A ``RobotMultiSensorModel`` (or anything with its ``step`` and ``modalities``).
        robot: The robot that the observations are of.
        device: Where the model and its state live.

    Raises:
        PolicyError: The model's inputs or outputs are not this robot's.
    """

    def __init__(self, model: nn.Module, robot: RobotSpec, device: str | torch.device = 'cpu'
                 ) -> None:
        check_model(model, robot)
        self.device = torch.device(device)
        self.robot = robot
        self._model: Any = model.to(self.device).eval()
        self._state: Any = None
        self.warm = False

    def reset(self) -> None:
        """Start the recurrent state from rest at the next tick."""
        self._state = None

    @torch.inference_mode()
    def warm_up(self, ticks: int = 3) -> None:
        """Step on zeros, so that the first real tick is as fast as the others; then reset.

        Raises:
            PolicyError: The model gives NaN or Inf, or the wrong number of actions.
        """
        sensors = self.robot.sensors
        blank = Observation(
            stamp=0, dt=self.robot.period, present=dict.fromkeys(sensors, True),
            age=dict.fromkeys(sensors, 0.0),
            values={name: np.zeros(spec.shape, np.uint8 if name == 'camera' else np.float32)
                    for name, spec in sensors.items()})
        self.reset()
        for tick in range(ticks):
            result = self.step(blank, introspect=tick == 0)
            if not result.finite:
                raise PolicyError(f'model: output or state is not finite on zeros (tick {tick + 1})'
                                  ', expected finite values; train again')
        self.reset()
        self.warm = True

    @torch.inference_mode()
    def step(self, obs: Observation, introspect: bool = False) -> TickResult:
        """One tick. After a clock jump, and after a state that is not finite, it starts from rest.

        NaN never leaves a recurrent state by itself, hence the latter.

        Args:
            obs: What was sensed.
            introspect: Whether to fetch what the model attended to (costs further transfers).
        """
        if obs.clock_jumped:
            self.reset()
        inputs, present = observation_tensors(obs, self.robot)
        inputs = {name: value.to(self.device) for name, value in inputs.items()}
        output = self._model.step(inputs, self._state, dt=obs.dt,
                                  present=present.to(self.device), return_info=introspect)
        action, self._state = output[0], output[1]
        if action.shape != (1, self.robot.command.width):
            raise PolicyError(f'model: output has shape {list(action.shape)}, expected '
                              f'[1, {self.robot.command.width}]')
        packed = _with_finite_flag(action, self._state).cpu().numpy()  # the tick's only sync
        finite = bool(packed[-1] == 1.0)
        if not finite:
            self.reset()
        info = _to_host(output[2]) if introspect else None
        return TickResult(packed[:-1].astype(np.float64), finite, info)


def _leaves(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from _leaves(value)
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from _leaves(value)


def _with_finite_flag(action: Tensor, state: Any) -> Tensor:
    """Action and one flag ``[A + 1]``, so that both come to the host in one transfer."""
    parts = [leaf.reshape(-1).to(torch.float32) for leaf in _leaves(state)
             if leaf.is_floating_point()]
    flat = action.reshape(-1).to(torch.float32)
    finite = torch.isfinite(torch.cat([flat, *parts])).all()
    return torch.cat([flat, finite.to(torch.float32).reshape(1)])


def _to_host(value: Any) -> Any:
    """Nested info as plain dicts, floats and numpy arrays."""
    if isinstance(value, Tensor):
        return value.detach().to('cpu', torch.float32 if value.is_floating_point() else None
                                 ).numpy()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _to_host(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: _to_host(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_host(item) for item in value]
    return value


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
