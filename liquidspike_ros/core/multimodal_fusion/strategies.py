"""The four ways to fuse. Each maps preprocessed features of all modalities to the output.

early         features side by side -> one shared encoder -> head
late          encoders -> a head each -> weighted sum of the outputs
hybrid        encoders -> everybody attends to everybody -> head, plus the late sum as residual
hierarchical  encoders -> attention within pairs, then groups of four, …, then all -> head
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn, Tensor

from ..kept_weights import KeptWeights, stack_weights
from ..liquid import CfC
from ..products import affine, linear
from .attention import CrossModalAttentionFusion
from .config import FusionStrategy, ModalityConfig, ModalityType, require_agreement
from .encoder import encode, feature_norm, ModalityEncoder
from .state import State


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
class Batch:
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
class Fused:
    """What a strategy makes of it: output ``[B, T, output_dim]``, insight, state."""

    output: Tensor
    features: Mapping[str, Tensor]
    spike_rates: Mapping[str, Tensor]
    attention: Tensor | None
    state: State


class OutputHead(nn.Module):
    """Fused features -> output: one hidden layer, unbounded."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[..., inputs]`` -> ``[..., outputs]``."""
        return self.layers(x)

    def weights(self) -> dict[str, Tensor]:
        """Both layers' weights with a leading dimension to stack heads on."""
        first, last = self.layers[0], self.layers[2]
        assert isinstance(first, nn.Linear)
        assert isinstance(last, nn.Linear)
        return {'in': first.weight.unsqueeze(0), 'in_bias': first.bias.view(1, 1, -1),
                'out': last.weight.unsqueeze(0), 'out_bias': last.bias.view(1, 1, -1)}


class EarlyFusion(nn.Module):
    """Preprocessed features side by side, then one shared encoder.

    The shared spike encoder has the neurons of all modalities together, its liquid cell as many
    units as the largest. An absent modality is replaced by a learned token.
    """

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__()
        require_agreement(
            configs, ('backbone', 'backbone_options', 'coding', 'spiking_options'),
            'early fusion has one encoder for all modalities',
        )
        values = list(configs.values())
        width = values[0].encoder_dim
        self.adapters = nn.ModuleDict({
            name: nn.Sequential(feature_norm(config), nn.Linear(config.input_dim, width))
            for name, config in configs.items()
        })
        self.tokens = nn.ParameterDict({
            name: nn.Parameter(torch.randn(width) * 0.02) for name in configs
        })
        shared = replace(
            values[0],
            type=ModalityType.CUSTOM,
            input_dim=width * len(configs),
            encoder_dim=sizes.fusion_dim,
            spiking_units=sum(config.spiking_units for config in values),
            liquid_units=max(config.liquid_units for config in values),
            num_spike_steps=max(config.num_spike_steps for config in values),
            preprocessing=nn.Identity(),  # features already, if not from a single module
        )
        self.shared = ModalityEncoder(shared, dt_scale=sizes.dt_scale, backend=sizes.backend)
        # Its input always holds something, the learned tokens at least.
        self.shared.absent.requires_grad_(False)
        self.head = OutputHead(sizes.fusion_dim, sizes.fusion_dim // 2 or 1, sizes.output_dim)
        self.kept = KeptWeights()

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'shared': self.shared.state_sizes}

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        # 1 for every present modality to begin with, whatever the subset.
        shares = batch.weights * batch.present.sum(-1, keepdim=True)
        adapted = {}
        for index, (name, adapter) in enumerate(self.adapters.items()):
            token = self.tokens[name].expand(*batch.present.shape[:2], -1)
            features = batch.features[name]
            if features is not None and batch.complete:
                token = adapter(features) * shares[..., index, None]
            elif features is not None:
                here = batch.present[..., index, None]
                token = torch.where(here, adapter(features) * shares[..., index, None], token)
            adapted[name] = token
        everything = torch.cat(list(adapted.values()), -1)
        encoded, rates, after = encode(
            {'shared': self.shared}, {'shared': everything}, None, state, batch.dt, self.kept
        )
        return Fused(output=self.head(encoded['shared']), features=adapted, spike_rates=rates,
                     attention=None, state=dict(after))


class _EncodedFusion(nn.Module):
    """What late, hybrid and hierarchical share: an encoder per modality."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({
            name: ModalityEncoder(_preprocessed(config), dt_scale=sizes.dt_scale,
                                  backend=sizes.backend)
            for name, config in configs.items()
        })
        self.kept = KeptWeights()

    def _encode(self, batch: Batch, state: State
                ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, State]]:
        present = None if batch.complete else dict(
            zip(self.encoders, batch.present.unbind(-1), strict=True))
        encoders = {name: encoder for name, encoder in self.encoders.items()
                    if isinstance(encoder, ModalityEncoder)}
        return encode(encoders, batch.features, present, state['encoders'], batch.dt, self.kept)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'encoders': {name: e.state_sizes for name, e in self.encoders.items()}}


def _preprocessed(config: ModalityConfig) -> ModalityConfig:
    """The same modality with its features coming in: the network runs the preprocessors."""
    raw = config.preprocessing is None
    return replace(config, preprocessing=None if raw else nn.Identity())


class LateFusion(_EncodedFusion):
    """Every modality speaks for itself; the outputs are summed with masked, learned weights."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        self.heads = nn.ModuleDict({
            name: OutputHead(config.encoder_dim, sizes.fusion_dim, sizes.output_dim)
            for name, config in configs.items()
        })

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        encoded, rates, after = self._encode(batch, state)
        tokens = torch.stack(list(encoded.values()), -2)  # [B, T, M, E]
        return Fused(output=self._vote(tokens, batch.weights), features=encoded,
                     spike_rates=rates, attention=None, state={'encoders': after})

    def _vote(self, tokens: Tensor, weights: Tensor) -> Tensor:
        """All heads side by side: tokens ``[B, T, M, E]`` to the weighted sum of their outputs."""
        heads = [head for head in self.heads.values() if isinstance(head, OutputHead)]
        w = self.kept.get('heads', [self.heads],
                          lambda: stack_weights(head.weights() for head in heads))
        rows = tokens.flatten(0, 1).transpose(0, 1)  # [M, B·T, E]
        hidden = nn.functional.silu(affine(rows, w['in'], w['in_bias']))
        votes = affine(hidden, w['out'], w['out_bias'])  # [M, B·T, output]
        shares = weights.flatten(0, 1).t().unsqueeze(-1)
        return (votes * shares).sum(0).unflatten(0, tokens.shape[:2])


class _FusionCore(nn.Module):
    """Weighted tokens -> fused features -> joint liquid memory -> output head.

    The memory is what lets one modality's past meet another's present: where the sound came
    from a second ago and what is seen there now. The head sees both it and the fused features.
    """

    def __init__(self, encoder_dim: int, sizes: FusionSizes) -> None:
        super().__init__()
        self.projection = nn.Linear(encoder_dim, sizes.fusion_dim)
        self.memory: CfC | None = None
        if sizes.memory_units:
            self.memory = CfC(sizes.fusion_dim, sizes.memory_units, dt_scale=sizes.dt_scale,
                              backend=sizes.backend)
        self.head = OutputHead(sizes.fusion_dim + sizes.memory_units, sizes.fusion_dim // 2 or 1,
                               sizes.output_dim)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {} if self.memory is None else {'memory': {'hx': self.memory.units}}

    def forward(self, tokens: Tensor, batch: Batch, state: State) -> tuple[Tensor, State]:
        """Read tokens ``[B, T, M, E]`` out; returns the output and the memory's new state."""
        pooled = (tokens * batch.weights.unsqueeze(-1)).sum(-2)
        fused = nn.functional.silu(linear(self.projection, pooled))
        if self.memory is None:
            return self.head(fused), {}
        remembered, hx = self.memory(fused, state['memory']['hx'], batch.dt)
        return self.head(torch.cat([fused, remembered], -1)), {'memory': {'hx': hx}}


class HybridFusion(LateFusion):
    """Encoders, cross-modal attention, joint memory; late fusion added as a residual."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        width = next(iter(configs.values())).encoder_dim
        self.attention = CrossModalAttentionFusion(width, sizes.num_attention_heads)
        self.core = _FusionCore(width, sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return super().state_sizes | self.core.state_sizes

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        encoded, rates, after = self._encode(batch, state)
        tokens = torch.stack(list(encoded.values()), -2)  # [B, T, M, E]
        attended, attention = self.attention(tokens, batch.mask)
        output, memory = self.core(attended, batch, state)
        output = output + self._vote(tokens, batch.weights)
        return Fused(output=output, features=encoded, spike_rates=rates, attention=attention,
                     state={'encoders': after, **memory})


class HierarchicalFusion(_EncodedFusion):
    """Attention in levels: neighbours in pairs, then groups of four, and so on up to all.

    The order of the modality configs decides who is paired. ``info.attention`` is that of the
    last level, where all attend to all.
    """

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__(configs, sizes)
        width = next(iter(configs.values())).encoder_dim
        self.groups: Tensor  # [levels, M, M]: who may attend to whom
        self.register_buffer('groups', _attention_groups(len(configs)), persistent=False)
        self.levels = nn.ModuleList(
            CrossModalAttentionFusion(width, sizes.num_attention_heads) for _ in self.groups
        )
        self.core = _FusionCore(width, sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return super().state_sizes | self.core.state_sizes

    def forward(self, batch: Batch, state: State) -> Fused:
        """Fuse and read out."""
        encoded, rates, after = self._encode(batch, state)
        tokens = torch.stack(list(encoded.values()), -2)  # [B, T, M, E]
        attention: Tensor | None = None
        for level, groups in zip(self.levels, self.groups.unbind(0), strict=True):
            tokens, attention = level(tokens, batch.mask, groups)
        output, memory = self.core(tokens, batch, state)
        return Fused(output=output, features=encoded, spike_rates=rates, attention=attention,
                     state={'encoders': after, **memory})


def _attention_groups(count: int) -> Tensor:
    """Groups of 2, 4, … up to all ``count`` modalities, ``[levels, count, count]``."""
    order = torch.arange(count)
    levels, size = [], 2
    while size < count:
        levels.append(order.unsqueeze(1) // size == order.unsqueeze(0) // size)
        size *= 2
    return torch.stack([*levels, torch.ones(count, count, dtype=torch.bool)])


STRATEGIES: dict[FusionStrategy, type[EarlyFusion] | type[_EncodedFusion]] = {
    FusionStrategy.EARLY: EarlyFusion,
    FusionStrategy.LATE: LateFusion,
    FusionStrategy.HYBRID: HybridFusion,
    FusionStrategy.HIERARCHICAL: HierarchicalFusion,
}
