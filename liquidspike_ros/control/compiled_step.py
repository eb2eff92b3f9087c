"""The tick through ``torch.compile``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..robot import RobotSpec
from ..sensing.observation import Observation
from .eager_step import Row
from .static_step import StaticStep, WARM_UP


class CompiledStep(StaticStep):
    """The model's step through ``torch.compile``, compiled here: seconds to minutes.

    A live tick never compiles; should one ever need to, it runs eagerly instead.

    Args:
        model: As for ``StaticStep``.
        robot: As for ``StaticStep``.
        device: As for ``StaticStep``.
        dtype: As for ``StaticStep``.

    Raises:
        Exception: Whatever the compiler, or a compiler that is not there, comes up with.
    """

    def __init__(self, model: Any, robot: RobotSpec, device: torch.device,
                 dtype: torch.dtype | None = None) -> None:
        super().__init__(model, robot, device, dtype)
        # In this process: a node must not leave compiler processes behind.
        self._compiled = torch.compile(super()._forward, dynamic=False,
                                       options={'compile_threads': 1})
        with torch.inference_mode(), self._on_stream():
            for _ in range(WARM_UP):
                self._advance()

    def step(self, obs: Observation, introspect: bool = False) -> tuple[Row, Any]:
        """One tick; see ``Stepper``."""
        with torch.compiler.set_stance('eager_on_recompile'):
            return super().step(obs, introspect)

    def _forward(self, inputs: Mapping[str, Tensor], state: Any, dt: Tensor, present: Tensor
                 ) -> Any:
        return self._compiled(inputs, state, dt, present)
