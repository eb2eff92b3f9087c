"""Hybrid fusion: encoders -> everybody attends to everybody -> head, plus the late sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..state import State
from ..tick.weights import TickWeights
from .attention import CrossModalAttentionFusion
from .batch import Fused, FusionInput, FusionSizes
from .config import ModalityConfig
from .encoded_fusion import with_core
from .heads import FusionCore
from .late import LateFusion


class HybridFusion(LateFusion):
    """Encoders, cross-modal attention, joint memory; late fusion added as a residual."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        width = next(iter(configs.values())).encoder_dim
        self.attention = CrossModalAttentionFusion(width, sizes.num_attention_heads)
        self.core = FusionCore(width, sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return super().state_sizes | self.core.state_sizes

    def forward(self, batch: FusionInput, state: State) -> Fused:
        """Fuse and read out."""
        encoded = self._encode(batch, state)
        attended, attention = self.attention(encoded.tokens, batch.mask)
        output, memory = self.core(attended, batch, state)
        output = output + self._vote(encoded.tokens, batch.weights)
        return Fused(output=output, encoded=encoded, attention=attention,
                     state={'encoders': encoded.state, **memory})

    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        return with_core(super()._laid_out(logits), [self.attention], [None], self.core)
