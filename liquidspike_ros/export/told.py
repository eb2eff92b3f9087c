"""The eager model with its spikes in another's hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import copy
from typing import Any

import torch
from torch import nn, Tensor

from ..core.multimodal_fusion.encoder import ModalityEncoder
from .flat_step import FlatStep
from .spike_courses import Neuron

MEMBRANE = '.membrane'


class _Liquid(nn.Module):
    """A liquid cell that can be told its input, and keeps what it was called with."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.state_size = cell, cell.state_size
        self.told: Tensor | None = None
        self.seen: tuple[Tensor, Tensor, Tensor]

    def forward(self, rates: Tensor, hx: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """``rates [B, T, N]`` give way to those that were told."""
        self.seen = rates, hx, dt
        done: tuple[Tensor, Tensor] = self.cell(rates if self.told is None else self.told, hx, dt)
        return done


class _Norm(nn.Module):
    """What stands before the coding, with features that can be moved."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.moved: Tensor | float = 0.0

    def forward(self, features: Tensor) -> Tensor:
        """``[B, T, F]`` the same, a little moved."""
        done: Tensor = self.norm(features) + self.moved
        return done


class Told:
    """A copy of the eager model whose populations can be told their spikes.

    Attributes:
        encoders: By their membrane's entry in the state.
        liquids: The same.
        membranes: After the last call ``[B, N]``.
        norms: By entry, of those whose inputs are coded as spikes.
        codes: What went into the synapses at the last call ``[B, 1 or steps, F]``, likewise.
        drives: What came out of them ``[B, 1 or steps, N]``.
    """

    def __init__(self, step: FlatStep) -> None:
        self.step = copy.deepcopy(step)
        self.encoders: dict[str, ModalityEncoder] = {}
        self.liquids: dict[str, _Liquid] = {}
        self.membranes: dict[str, Tensor] = {}
        self.norms: dict[str, _Norm] = {}
        self.codes: dict[str, Tensor] = {}
        self.drives: dict[str, Tensor] = {}
        for entry in step.state:
            if entry.endswith(MEMBRANE):
                encoder = self.step.model.network.fusion.get_submodule(
                    entry.removesuffix(MEMBRANE))
                assert isinstance(encoder, ModalityEncoder)
                self.encoders[entry] = encoder
                # A cell of this kind also keeps the encoder from running side by side with others.
                self.liquids[entry] = _Liquid(encoder.liquid)
                encoder.add_module('liquid', self.liquids[entry])
                encoder.current.register_forward_hook(self._keep(entry))
                if encoder.coding != 'direct':
                    self.norms[entry] = _Norm(encoder.norm)
                    encoder.add_module('norm', self.norms[entry])

    def _keep(self, entry: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(module: nn.Module, given: Any, drive: Tensor) -> None:
            (self.codes[entry],), self.drives[entry] = given, drive

        return keep

    def run(self, arguments: Sequence[Tensor], rates: Mapping[str, Tensor]) -> list[Tensor]:
        """Outputs; rates ``[N]`` by entry, what the populations fire by themselves for others."""
        for entry, liquid in self.liquids.items():
            liquid.told = rates[entry].expand(1, 1, -1) if entry in rates else None
        outputs = list(self.step(*arguments))
        self.membranes = {entry: outputs[1 + self.step.state.index(entry)]
                          for entry in self.encoders}
        return outputs

    def forget_moves(self) -> dict[str, int]:
        """Put moved features back; how many there were, by entry."""
        moved = {entry: int(torch.as_tensor(norm.moved).count_nonzero())
                 for entry, norm in self.norms.items()}
        for norm in self.norms.values():
            norm.moved = 0.0
        return moved

    def neurons(self, entry: str, arguments: Sequence[Tensor]) -> list[Neuron]:
        """Of an entry, with the currents of the last call."""
        encoder, drive = self.encoders[entry], self.drives[entry]
        name, modalities = entry.split('.')[-2], self.step.modalities
        if name in modalities and not arguments[len(modalities)][0, modalities.index(name)]:
            drive = encoder.absent.expand_as(drive)
        held = torch.sigmoid(drive[0]).expand(encoder.num_spike_steps, -1)
        start = arguments[len(modalities) + 2 + self.step.state.index(entry)][0]
        population = encoder.population
        return [Neuron(*values, reset=population.reset) for values in zip(
            start.tolist(), held.t().tolist(), population.beta.clamp(0, 1).tolist(),
            population.threshold.tolist(), strict=True)]
