"""One control tick as a pure function of tensors: what every exported format holds.

Inputs, in this order: one tensor per modality, ``present``, ``dt``, then the state, entry by entry.
Outputs: ``action``, then the state afterwards in the same order. An output has another name than
the input it becomes at the next tick (``next.…`` and ``state.…``): ONNX takes equal names for one
and the same value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn, Tensor

from ..core.multimodal_applications import RobotMultiSensorModel
from ..core.state import entries, nest_state, pairs
from ..untrusted.text import Refusal

STATE, NEXT = 'state', 'next'
DTYPES = {'float32': torch.float32, 'bool': torch.bool}


class ExportError(Refusal):
    """A model cannot be exported; one line that says what was got and what was expected."""


@dataclass(frozen=True)
class Port:
    """An input or output of the step.

    Attributes:
        name: As in the manifest and in ONNX.
        shape: With the batch first.
        dtype: Key of ``DTYPES``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = 'float32'

    def zeros(self) -> Tensor:
        """Rest, silence, nothing."""
        return torch.zeros(self.shape, dtype=DTYPES[self.dtype])


class FlatStep(nn.Module):
    """A robot model's ``step`` on a flat list of tensors, weights frozen, in evaluation mode.

    Args:
        model: Copied; the caller's stays as it is.
        batch: Rows; each has its own state, presence and time step.

    Attributes:
        model: The copy.
        modalities: Names of the first inputs.
        inputs: Ports in the order of ``forward``'s arguments.
        outputs: Ports in the order of its results.
        state: Names of the state's entries without ``state.`` or ``next.``.

    Raises:
        ExportError: The model is none for robots, or leaves the size of an input free.
    """

    def __init__(self, model: nn.Module, batch: int = 1) -> None:
        super().__init__()
        if not isinstance(model, RobotMultiSensorModel):
            raise ExportError(f'model_class: got {type(model).__name__}, '
                              f'expected RobotMultiSensorModel')
        self.model: RobotMultiSensorModel = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self.modalities = self.model.modalities
        self._sizes: dict[str, Any] = self.model.network.state_sizes
        sizes = dict(entries(self._sizes))
        self.state = tuple(sizes)
        self.inputs = (
            *(Port(name, (batch, *_fixed(name, self.model.sample_shapes[name])))
              for name in self.modalities),
            Port('present', (batch, len(self.modalities)), 'bool'),
            Port('dt', (batch,)),
            *(Port(f'{STATE}.{name}', (batch, size)) for name, size in sizes.items()),
        )
        self.outputs = (
            Port('action', (batch, self.model.action_dim)),
            *(Port(f'{NEXT}.{name}', (batch, size)) for name, size in sizes.items()),
        )

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """``(*modalities, present, dt, *state)`` -> ``(action, *next state)``."""
        count = len(self.modalities)
        inputs = dict(zip(self.modalities, tensors[:count], strict=True))
        present, dt, *state = tensors[count:]
        action, after = self.model.step(inputs, nest_state(self._sizes, state), dt, present)
        return (action, *self.flatten(after))

    def flatten(self, state: Mapping[str, Any]) -> list[Tensor]:
        """A nested state's tensors in the order of ``state``."""
        return [value for _, value in pairs(self._sizes, state)]

    def rest(self) -> list[Tensor]:
        """The state that a run starts from: zeros."""
        return [port.zeros() for port in self.inputs[-len(self.state):]]

    def example(self) -> tuple[Tensor, ...]:
        """Arguments to trace with: everything present and silent, one period at rest."""
        period = 1.0 / self.model.config['control_rate']
        given = {'present': torch.ones_like, 'dt': lambda value: torch.full_like(value, period)}
        return tuple(given.get(port.name, torch.zeros_like)(port.zeros()) for port in self.inputs)


def _fixed(name: str, shape: Sequence[int | str | None]) -> tuple[int, ...]:
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != len(shape):
        field = 'audio_window' if name == 'audio' else name
        raise ExportError(f'{field}: got any number of samples, expected a fixed one: '
                          f'a graph is made for one shape')
    return sizes
