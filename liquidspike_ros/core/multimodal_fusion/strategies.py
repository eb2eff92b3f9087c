"""The four ways to fuse. Each maps preprocessed features of all modalities to the output.

early         features side by side -> one shared encoder -> head (``early``)
late          encoders -> a head each -> weighted sum of the outputs
hybrid        encoders -> everybody attends to everybody -> head, plus the late sum as residual
hierarchical  encoders -> attention within pairs, then groups of four, …, then all -> head
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn, Tensor

from ..computed_buffers import register_constant
from ..derived_weights import DerivedWeights, stack_weights
from ..judgement import why_call
from ..liquid import CfC
from ..products import affine
from ..state import State
from ..tick.weights import (
    attention_layout,
    core_layout,
    encoder_layout,
    shares_of,
    TickWeights,
    vote_layout,
)
from .attention import CrossModalAttentionFusion
from .config import FusionStrategy, ModalityConfig
from .early import EarlyFusion
from .encoded import Encoded
from .encoder import encode, ModalityEncoder
from .parts import Batch, Fused, FusionCore, FusionSizes, OutputHead
from .side_by_side import group_key


class EncodedFusion(nn.Module):
    """What late, hybrid and hierarchical share: an encoder per modality."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({
            name: ModalityEncoder(_preprocessed(config), dt_scale=sizes.dt_scale,
                                  backend=sizes.backend)
            for name, config in configs.items()
        })
        self.derived = DerivedWeights()

    def _encode(self, batch: Batch, state: State) -> Encoded:
        present = None if batch.complete else dict(
            zip(self.encoders, batch.present.unbind(-1), strict=True))
        return encode(self._encoders(), batch.features, present, state['encoders'], batch.dt,
                      self.derived)

    def tick_weights(self, logits: Tensor) -> TickWeights | None:
        """Weights for single ticks in C; None where layers have to be called.

        Args:
            logits: Of the modalities' weights ``[M]``.
        """
        return None if why_call(self) else self._laid_out(logits)

    def _encoders(self) -> dict[str, ModalityEncoder]:
        return {name: encoder for name, encoder in self.encoders._modules.items()
                if isinstance(encoder, ModalityEncoder)}

    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        """Weights of the encoders alone; None if they do not all run side by side."""
        encoders = self._encoders()
        keys = {group_key(encoder) for encoder in encoders.values()}
        if len(keys) > 1 or None in keys or len(encoders) < len(self.encoders):
            return None
        return TickWeights(encoders=encoder_layout(encoders), shares=shares_of(logits), votes=None,
                           levels=(), core=None, state_sizes=self.state_sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'encoders': {name: e.state_sizes for name, e in self.encoders.items()}}


def _preprocessed(config: ModalityConfig) -> ModalityConfig:
    """The same modality with its features coming in: the network runs the preprocessors."""
    raw = config.preprocessing is None
    return replace(config, preprocessing=None if raw else nn.Identity())


class LateFusion(EncodedFusion):
    """Every modality speaks for itself; the outputs are summed with masked, learned weights."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        self.heads = nn.ModuleDict({
            name: OutputHead(config.encoder_dim, sizes.fusion_dim, sizes.output_dim)
            for name, config in configs.items()
        })

    def forward(self, batch: Batch, state: State) -> Fused:
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

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        encoded = self._encode(batch, state)
        attended, attention = self.attention(encoded.tokens, batch.mask)
        output, memory = self.core(attended, batch, state)
        output = output + self._vote(encoded.tokens, batch.weights)
        return Fused(output=output, encoded=encoded, attention=attention,
                     state={'encoders': encoded.state, **memory})


    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        return _with_core(super()._laid_out(logits), [self.attention], [None], self.core)


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

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        encoded = self._encode(batch, state)
        tokens, attention = encoded.tokens, None
        for level, groups in zip(self.levels, self.groups.unbind(0), strict=True):
            tokens, attention = level(tokens, batch.mask, groups)
        output, memory = self.core(tokens, batch, state)
        return Fused(output=output, encoded=encoded, attention=attention,
                     state={'encoders': encoded.state, **memory})


    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        return _with_core(super()._laid_out(logits), self.levels, self.groups.unbind(0), self.core)


def _with_core(
    w: TickWeights | None, levels: Iterable[nn.Module], groups: Iterable[Tensor | None],
    core: FusionCore,
) -> TickWeights | None:
    """Add attention and core; None if other modules were put in place of those built here."""
    laid_out = [attention_layout(level, group)
                for level, group in zip(levels, groups, strict=True)
                if type(level) is CrossModalAttentionFusion]
    if (w is None or len(laid_out) < len(list(levels)) or type(core) is not FusionCore
            or type(core.head) is not OutputHead):
        return None
    if core.memory is not None and not (type(core.memory) is CfC and core.memory.one_node):
        return None
    return replace(w, levels=tuple(laid_out), core=core_layout(core))


def _attention_groups(count: int) -> Tensor:
    """Groups of 2, 4, … up to all ``count`` modalities, ``[levels, count, count]``."""
    order = torch.arange(count)
    levels, size = [], 2
    while size < count:
        levels.append(order.unsqueeze(1) // size == order.unsqueeze(0) // size)
        size *= 2
    return torch.stack([*levels, torch.ones(count, count, dtype=torch.bool)])


STRATEGIES: dict[FusionStrategy, type[EarlyFusion] | type[EncodedFusion]] = {
    FusionStrategy.EARLY: EarlyFusion,
    FusionStrategy.LATE: LateFusion,
    FusionStrategy.HYBRID: HybridFusion,
    FusionStrategy.HIERARCHICAL: HierarchicalFusion,
}
