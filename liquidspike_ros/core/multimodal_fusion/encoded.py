"""What the encoders hand on, split by modality only where somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..state import State


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
