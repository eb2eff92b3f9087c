"""What goes into a strategy, between its parts, and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..state import State


@dataclass(frozen=True, kw_only=True)
class FusionSizes:
    """Sizes every strategy is built from.

    Attributes:
        fusion_dim: Width of the fused features.
        output_dim: Width of the output.
        num_attention_heads: Heads of cross-modal attention.
        memory_units: Liquid units behind the fusion; 0 for none.
        dt_scale: Timespan units per second.
        backend: ``'fused'`` or ``'reference'``.
    """

    fusion_dim: int
    output_dim: int
    num_attention_heads: int
    memory_units: int
    dt_scale: float
    backend: str


@dataclass(frozen=True, kw_only=True)
class FusionInput:
    """What a strategy works on.

    Attributes:
        features: Preprocessed ``[B, T, input_dim]`` by modality; None if never there.
        present: ``[B, T, M]`` bool.
        weights: ``[B, T, M]``, 0 where absent, sums to 1 over the present.
        dt: Seconds ``[B, T, 1]``.
        complete: Whether ``present`` is known to be True throughout, and masks can be left out.
    """

    features: Mapping[str, Tensor | None]
    present: Tensor
    weights: Tensor
    dt: Tensor
    complete: bool = False

    @property
    def mask(self) -> Tensor | None:
        """``present``, or None where there is nothing to mask."""
        return None if self.complete else self.present


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Encoded modalities.

    Attributes:
        names: Of the modalities, in the order of ``M``.
        tokens: ``[B, T, M, E]``.
        rates: Names and spike rates ``[T, M, B, N]`` of the modalities that ran side by side.
        state: By modality, afterwards.
    """

    names: tuple[str, ...]
    tokens: Tensor
    rates: tuple[tuple[tuple[str, ...], Tensor], ...]
    state: dict[str, State]

    @property
    def features(self) -> dict[str, Tensor]:
        """Tokens ``[B, T, E]`` by modality."""
        return dict(zip(self.names, self.tokens.unbind(-2), strict=True))

    @property
    def spike_rates(self) -> dict[str, Tensor]:
        """Share of spike steps with a spike ``[B, T, N]``, by modality."""
        found = {name: rate for names, rates in self.rates
                 for name, rate in zip(names, rates.permute(1, 2, 0, 3).unbind(0), strict=True)}
        return {name: found[name] for name in self.names}


@dataclass(frozen=True, kw_only=True)
class Fused:
    """What a strategy makes of it.

    Attributes:
        output: ``[B, T, output_dim]``.
        state: Afterwards.
        encoded: What it was made from.
        attention: ``[B, T, heads, M, M]``, if there is any.
        features: ``[B, T, E]`` by modality, where these are not the encoded ones.
    """

    output: Tensor
    state: State
    encoded: Encoded
    attention: Tensor | None = None
    features: Mapping[str, Tensor] | None = None
