"""What an encoder is made of, for those who run it and whom it calls itself."""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn, Tensor

from ..spiking.population import LIFPopulation


class EncoderParts(Protocol):
    """A ``ModalityEncoder``, as ``coded`` and ``side_by_side`` see it."""

    input_dim: int
    encoder_dim: int
    num_spike_steps: int
    coding: str
    norm: nn.Module
    current: nn.Linear
    absent: nn.Parameter
    population: LIFPopulation
    readout: nn.Linear
    dropout: nn.Dropout

    @property
    def liquid(self) -> nn.Module:
        """The liquid cell."""

    def currents(self, features: Tensor, present: Tensor) -> Tensor:
        """Currents ``[B, T, N]`` of features ``[B, T, input_dim]``."""

    def named_children(self) -> Any:
        """As of any module."""
