"""One model step a tick, operator by operator: the way every other one is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..core.state import leaves
from ..robot import RobotSpec
from ..sensing.observation import Observation
from .compatibility import check_action
from .tensors import observation_tensors, scale_camera

Row = NDArray[np.float32]


class Stepper(Protocol):
    """A way of running the model tick by tick; inference mode is the caller's to set."""

    @property
    def state(self) -> Any:
        """Recurrent state after the last tick, nested tensors on the device; None at rest."""

    def reset(self) -> None:
        """Start from rest at the next tick. Touches no device: it must not fail."""

    def step(self, obs: Observation, introspect: bool = False) -> tuple[Row, Any]:
        """One tick.

        Returns:
            Action and finite flag ``[A + 1]``, and with ``introspect`` the model's info on the
            host, else None.
        """


class EagerStep:
    """Calls the model.

    Args:
        model: The policy, on ``device``.
        robot: The robot that the observations are of.
        device: Where the model is.
        dtype: Autocast to it; None for the model's own precision. The state keeps its own.
    """

    def __init__(self, model: Any, robot: RobotSpec, device: torch.device,
                 dtype: torch.dtype | None = None) -> None:
        self._model, self._robot, self._device, self._dtype = model, robot, device, dtype
        self.state: Any = None

    def reset(self) -> None:
        """Start from rest at the next tick."""
        self.state = None

    def step(self, obs: Observation, introspect: bool = False) -> tuple[Row, Any]:
        """One tick; see ``Stepper``."""
        inputs, present = observation_tensors(obs, self._robot, camera_dtype=torch.uint8)
        # Scaled there: a quarter of the bytes travel, and it rounds as other ways of running do.
        inputs = scale_camera({name: value.to(self._device) for name, value in inputs.items()})
        with autocast(self._device, self._dtype):
            output = self._model.step(inputs, self.state, dt=obs.dt,
                                      present=present.to(self._device), return_info=introspect)
        action, self.state = output[0], output[1]
        check_action(action.shape, self._robot)
        packed = with_finite_flag(action, self.state).cpu().numpy()  # the tick's only sync
        return packed, to_host(output[2]) if introspect else None


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    """Autocast to ``dtype``, or nothing."""
    # Without its cache, which would hand out casts of an earlier capture.
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype,
                                                              cache_enabled=False)


def with_finite_flag(action: Tensor, state: Any) -> Tensor:
    """Action and one flag ``[A + 1]``, so that both come to the host in one transfer."""
    parts = [leaf.reshape(-1).to(torch.float32) for leaf in leaves(state)
             if leaf.is_floating_point()]
    flat = action.reshape(-1).to(torch.float32)
    finite = torch.isfinite(torch.cat([flat, *parts])).all()
    return torch.cat([flat, finite.to(torch.float32).reshape(1)])


def to_host(value: Any) -> Any:
    """Nested info as plain dicts, floats and numpy arrays that nothing else writes to."""
    if isinstance(value, Tensor):
        return value.detach().to('cpu', torch.float32 if value.is_floating_point() else None
                                 ).numpy().copy()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_host(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_host(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_host(item) for item in value]
    return value
