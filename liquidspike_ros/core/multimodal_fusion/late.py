"""Late fusion: encoders -> a head each -> weighted sum of the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn, Tensor

from ..derived_weights import stack_weights
from ..dispatch import why_call
from ..products import affine
from ..state import State
from ..tick.weights import TickWeights
from .batch import Fused, FusionInput, FusionSizes
from .config import ModalityConfig
from .encoded_fusion import EncodedFusion
from .heads import OutputHead
from .tick_layout import vote_layout


class LateFusion(EncodedFusion):
    """Every modality speaks for itself; the outputs are summed with masked, learned weights."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        self.heads = nn.ModuleDict({
            name: OutputHead(config.encoder_dim, sizes.fusion_dim, sizes.output_dim)
            for name, config in configs.items()
        })

    def forward(self, batch: FusionInput, state: State) -> Fused:
        """Fuse and read out."""
        encoded = self._encode(batch, state)
        return Fused(output=self._vote(encoded.tokens, batch.weights), encoded=encoded,
                     state={'encoders': encoded.state})

    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        w = super()._laid_out(logits)
        heads = {name: head for name, head in self.heads.items() if type(head) is OutputHead}
        if w is None or len(heads) < len(self.heads):
            return None
        return replace(w, votes=vote_layout(heads, self._encoders()))

    def _vote(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """All heads side by side: tokens ``[B, T, M, E]`` to the weighted sum of their outputs."""
        if why_call(self.heads):
            votes = torch.stack([head(token) for head, token in zip(
                self.heads.values(), tokens.unbind(-2), strict=True)], -2)
            return (votes * weights.unsqueeze(-1)).sum(-2)
        heads = [head for head in self.heads.values() if isinstance(head, OutputHead)]
        w = self.derived.get('heads', lambda: stack_weights(head.weights() for head in heads))
        rows = tokens.flatten(0, 1).transpose(0, 1)  # [M, B·T, E]
        hidden = nn.functional.silu(affine(rows, w['in'], w['in_bias']))
        votes = affine(hidden, w['out'], w['out_bias'])  # [M, B·T, output]
        shares = weights.flatten(0, 1).t().unsqueeze(-1)
        return (votes * shares).sum(0).unflatten(0, tokens.shape[:2])
