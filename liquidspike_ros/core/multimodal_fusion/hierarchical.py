"""Hierarchical fusion: encoders -> attention within pairs, then fours, …, then all -> head."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn, Tensor

from ..computed_buffers import register_constant
from ..state import State
from ..tick.weights import TickWeights
from .attention import CrossModalAttentionFusion
from .batch import Fused, FusionInput, FusionSizes
from .config import ModalityConfig
from .encoded_fusion import EncodedFusion, with_core
from .heads import FusionCore


class HierarchicalFusion(EncodedFusion):
    """Attention in levels: neighbours in pairs, then groups of four, and so on up to all.

    The order of the modality configs decides who is paired. ``info.attention`` is that of the
    last level, where all attend to all.
    """

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        width = next(iter(configs.values())).encoder_dim
        self.groups: Tensor  # [levels, M, M]: who may attend to whom
        register_constant(self, 'groups', partial(_attention_groups, len(configs)))
        self.levels = nn.ModuleList(
            CrossModalAttentionFusion(width, sizes.num_attention_heads) for _ in self.groups
        )
        self.core = FusionCore(width, sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return super().state_sizes | self.core.state_sizes

    def forward(self, batch: FusionInput, state: State) -> Fused:
        """Fuse and read out."""
        encoded = self._encode(batch, state)
        tokens, attention = encoded.tokens, None
        for level, groups in zip(self.levels, self.groups.unbind(0), strict=True):
            tokens, attention = level(tokens, batch.mask, groups)
        output, memory = self.core(tokens, batch, state)
        return Fused(output=output, encoded=encoded, attention=attention,
                     state={'encoders': encoded.state, **memory})

    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        return with_core(super()._laid_out(logits), self.levels, self.groups.unbind(0), self.core)


def _attention_groups(count: int) -> Tensor:
    """Groups of 2, 4, … up to all ``count`` modalities, ``[levels, count, count]``."""
    order = torch.arange(count)
    levels, size = [], 2
    while size < count:
        levels.append(order.unsqueeze(1) // size == order.unsqueeze(0) // size)
        size *= 2
    return torch.stack([*levels, torch.ones(count, count, dtype=torch.bool)])
