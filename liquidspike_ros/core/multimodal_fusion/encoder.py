"""One modality: preprocessor -> spike encoder -> liquid cell.

What happens while a modality is absent: its population receives a learned current (near zero to
begin with, so that it falls silent) and its liquid cell goes on with the true timespan. Membrane
and liquid memory thus fade as they would in a quiet world, and are there when it comes back. A
key that is not given and ``present=False`` are the same thing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from ..liquid import build_liquid
from ..spiking.population import LIFPopulation
from ..state import State
from .coded import encode_alone
from .config import ModalityConfig
from .preprocess import preprocess


class ModalityEncoder(nn.Module):
    """Preprocessor -> spike encoder -> liquid cell of one modality; holds no state.

    The current into the neurons is ``sigmoid`` of a linear layer, between 0 and the threshold:
    the firing rate follows it over the whole range and no membrane winds up or runs away.

    Args:
        config: Sizes and preprocessor.
        dt_scale: Timespan units per second of the liquid cell.
        backend: ``'fused'`` or ``'reference'``.
    """

    def __init__(
        self, config: ModalityConfig, *, dt_scale: float = 15.0, backend: str = 'fused'
    ) -> None:
        super().__init__()
        self.input_dim, self.encoder_dim = config.input_dim, config.encoder_dim
        self.num_spike_steps = config.num_spike_steps
        self.preprocessing = config.preprocessing or nn.Identity()
        self.norm = feature_norm(config)
        self.current = nn.Linear(config.input_dim, config.spiking_units)
        # sigmoid(−4) = 0.018 is below the 1 − β = 0.05 that would make a neuron fire at all.
        self.absent = nn.Parameter(torch.full((config.spiking_units,), -4.0))
        self.coding = config.coding
        self.population = LIFPopulation(config.spiking_units, beta=config.beta, backend=backend,
                                        **(config.spiking_options or {}))
        self.liquid = build_liquid(
            config.backbone, config.spiking_units, config.liquid_units, dt_scale=dt_scale,
            backend=backend, options=config.backbone_options,
        )
        self.readout = nn.Linear(self.liquid.output_size, config.encoder_dim)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def state_sizes(self) -> dict[str, int]:
        """Units of each entry of the state."""
        sizes = {'membrane': self.population.units, 'hx': self.liquid.state_size}
        return sizes | {'last': self.input_dim} if self.coding == 'delta' else sizes

    def currents(self, features: Tensor, present: Tensor) -> Tensor:
        """Currents ``[B, T, N]`` of features ``[B, T, input_dim]``."""
        drive = self.current(self.norm(features))
        return torch.sigmoid(torch.where(present.unsqueeze(-1), drive, self.absent))

    def forward(
        self, inputs: Tensor, state: State, dt: Tensor, present: Tensor | None = None,
        return_rates: bool = False,
    ) -> Any:
        """Encode a sequence of raw inputs.

        Args:
            inputs: ``[B, T, …]``.
            state: ``{'membrane': [B, N], 'hx': [B, H]}``, and with delta coding ``'last'``, the
                features that were there last ``[B, input_dim]``.
            dt: Seconds, ``[B, T, 1]``.
            present: ``[B, T]`` bool; all if None.
            return_rates: Also return the spike rates ``[B, T, N]``.

        Returns:
            Features ``[B, T, encoder_dim]`` and the state afterwards, and last the rates.
        """
        if inputs.dim() < 3:
            raise ValueError(f'input: got shape {tuple(inputs.shape)}, '
                             f'expected [B, T, …] with the shape of one sample')
        if present is None:
            present = torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        features = preprocess('input', self.preprocessing, inputs.flatten(0, 1),
                              present.flatten(), self.input_dim).unflatten(0, present.shape)
        rates, membrane, memory = encode_alone(self, features, present, state)
        outputs, hx = self.liquid(rates, state['hx'], dt)
        tokens = self.dropout(self.readout(outputs))
        after = {'membrane': membrane, 'hx': hx} | memory
        return (tokens, after, rates) if return_rates else (tokens, after)


def feature_norm(config: ModalityConfig) -> nn.Module:
    """LayerNorm for a preprocessor's features, nothing for a raw input: its size is its meaning."""
    return nn.Identity() if config.preprocessing is None else nn.LayerNorm(config.input_dim)
