"""What a network tells about how it came to its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class FusionInfo:
    """Insight into one tick (``[B, …]``) or a sequence of ticks (``[B, T, …]``).

    Attributes:
        modalities: Their names, in the order of every ``M`` below.
        features: Encoded features by modality ``[B, encoder_dim]``; empty unless asked for.
        attention: Row: who attends; column: to whom ``[B, heads, M, M]``. None unless asked for,
            and with the early and late strategies, which have no attention.
        weights: Share of each modality in the fusion ``[B, M]``; 0 where absent, sums to 1.
        spike_rates: Share of spike steps with a spike ``[B, units]``, by modality; early fusion
            has one population, ``'shared'``.
        present: Which modalities were there ``[B, M]``.
    """

    modalities: tuple[str, ...]
    features: Mapping[str, Tensor]
    attention: Tensor | None
    weights: Tensor
    spike_rates: Mapping[str, Tensor]
    present: Tensor

    def attention_map(self, query: str, key: str) -> Tensor:
        """How much ``query`` attends to ``key``, ``[B, heads]``.

        Raises:
            ValueError: No attention here, or an unknown modality.
        """
        if self.attention is None:
            raise ValueError('attention: got None, expected maps: ask for them with '
                             'return_attention_maps=True, from hybrid or hierarchical fusion')
        for name in (query, key):
            if name not in self.modalities:
                raise ValueError(f'attention_map: got {name!r}, '
                                 f'expected one of {", ".join(self.modalities)}')
        row, column = self.modalities.index(query), self.modalities.index(key)
        return self.attention[..., row, column]

    def tick(self, index: int) -> FusionInfo:
        """The insight into one tick of a sequence."""
        return FusionInfo(
            modalities=self.modalities,
            features={name: value[:, index] for name, value in self.features.items()},
            attention=None if self.attention is None else self.attention[:, index],
            weights=self.weights[:, index],
            spike_rates={name: value[:, index] for name, value in self.spike_rates.items()},
            present=self.present[:, index],
        )
