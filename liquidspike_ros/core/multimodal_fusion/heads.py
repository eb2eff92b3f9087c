"""What stands behind the encoders: heads, and the joint memory of all modalities."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from ..liquid import CfC
from ..products import linear
from ..state import State
from .batch import FusionInput, FusionSizes


class OutputHead(nn.Module):
    """Fused features -> output: one hidden layer, unbounded."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[..., inputs]`` -> ``[..., outputs]``."""
        return self.layers(x)

    def weights(self) -> dict[str, Tensor]:
        """Both layers' weights with a leading dimension to stack heads on."""
        first, last = self.layers[0], self.layers[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        return {'in': first.weight.unsqueeze(0), 'in_bias': first.bias.view(1, 1, -1),
                'out': last.weight.unsqueeze(0), 'out_bias': last.bias.view(1, 1, -1)}


class FusionCore(nn.Module):
    """Weighted tokens -> fused features -> joint liquid memory -> output head.

    The memory is what lets one modality's past meet another's present: where the sound came
    from a second ago and what is seen there now. The head sees both it and the fused features.
    """

    def __init__(self, encoder_dim: int, sizes: FusionSizes) -> None:
        super().__init__()
        self.projection = nn.Linear(encoder_dim, sizes.fusion_dim)
        self.memory: CfC | None = None
        if sizes.memory_units:
            self.memory = CfC(sizes.fusion_dim, sizes.memory_units, dt_scale=sizes.dt_scale,
                              backend=sizes.backend)
        self.head = OutputHead(sizes.fusion_dim + sizes.memory_units, sizes.fusion_dim // 2 or 1,
                               sizes.output_dim)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {} if self.memory is None else {'memory': {'hx': self.memory.units}}

    def forward(self, tokens: Tensor, batch: FusionInput, state: State) -> tuple[Tensor, State]:
        """Read tokens ``[B, T, M, E]`` out; returns the output and the memory's new state."""
        pooled = (tokens * batch.weights.unsqueeze(-1)).sum(-2)
        fused = nn.functional.silu(linear(self.projection, pooled))
        if self.memory is None:
            return self.head(fused), {}
        remembered, hx = self.memory(fused, state['memory']['hx'], batch.dt)
        return self.head(torch.cat([fused, remembered], -1)), {'memory': {'hx': hx}}
