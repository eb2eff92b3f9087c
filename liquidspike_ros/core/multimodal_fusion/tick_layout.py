"""The weights of the modules, laid out for single ticks in C; ``tick.weights`` has the shapes.

What follows on a product without anything between is taken into it: constants of activations, the
scale of the attention, and the readout into the heads that vote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn, Tensor

from ..derived_weights import stack_weights, Weights
from ..liquid import CfC
from ..tick.weights import (
    AttentionWeights,
    CoreWeights,
    EarlyWeights,
    EncoderWeights,
    laid_out,
    LiquidWeights,
    VoteWeights,
)
from .attention import CrossModalAttentionFusion
from .encoder import ModalityEncoder
from .heads import FusionCore, OutputHead
from .side_by_side import stacked_weights


def shares_of(logits: Tensor) -> Tensor:
    """Weights of the modalities ``[M, 1, 1]`` from their logits ``[M]``, where all are there."""
    return logits.softmax(-1).view(-1, 1, 1)


def early_layout(
    adapters: Mapping[str, nn.Sequential], tokens: Mapping[str, Tensor], shared: ModalityEncoder,
    output: OutputHead, logits: Tensor,
) -> EarlyWeights:
    """Lay out early fusion with adapters of equal size."""
    norms: Any
    layers: Any
    norms, layers = zip(*adapters.values(), strict=True)
    head = output.weights()
    return EarlyWeights(
        norm_eps=getattr(norms[0], 'eps', None),
        adapters=laid_out(
            torch.stack([layer.weight * getattr(norm, 'weight', 1)
                         for norm, layer in zip(norms, layers, strict=True)]),
            torch.stack([layer(norm.bias) if isinstance(norm, nn.LayerNorm) else layer.bias
                         for norm, layer in zip(norms, layers, strict=True)]).unsqueeze(1)),
        absent=torch.stack([tokens[name] for name in adapters]).unsqueeze(1),
        shares=shares_of(logits), factors=shares_of(logits) * len(logits),
        shared=encoder_layout({'shared': shared}),
        first=laid_out(head['in'], head['in_bias']),
        last=laid_out(head['out'], head['out_bias']), state_sizes={'shared': shared.state_sizes})


def encoder_layout(encoders: Mapping[str, ModalityEncoder]) -> EncoderWeights:
    """Lay out encoders that share a ``group_key``."""
    first, w = next(iter(encoders.values())), stacked_weights(encoders)
    liquid = first.liquid
    assert isinstance(liquid, CfC)  # as group_key made sure
    unit = bool((w['threshold'] == 1).all())
    return EncoderWeights(
        norm_eps=getattr(first.norm, 'eps', None),
        current=laid_out(w['current'], w['current_bias']), silent=w['silent'],
        beta=w['beta'].contiguous(), threshold=None if unit else w['threshold'],
        steps=first.num_spike_steps,
        liquid=liquid_layout(liquid, w),
        readout=laid_out(w['readout'], w['readout_bias']))


def liquid_layout(cell: CfC, w: Weights | None = None) -> LiquidWeights:
    """Lay out a cell, or cells like it with the stacked weights ``w``."""
    w = cell.sequence_weights() if w is None else w
    return LiquidWeights(
        first=laid_out(torch.cat([w['input'], w['recurrent']], -1), w['offset']),
        heads=laid_out(w['heads'], w['bias']), dt_scale=cell.dt_scale,
        gated=cell.mode == 'default')


def vote_layout(
    heads: Mapping[str, OutputHead], encoders: Mapping[str, ModalityEncoder]
) -> VoteWeights:
    """Lay out the modalities' own heads, the readouts of the encoders in their first layers."""
    w = stack_weights(head.weights() for head in heads.values())
    readout = torch.stack([encoder.readout.weight for encoder in encoders.values()])
    bias = torch.stack([encoder.readout.bias for encoder in encoders.values()])
    return VoteWeights(
        first=laid_out(w['in'] @ readout, w['in_bias'] + bias.unsqueeze(1) @ w['in'].mT),
        last=laid_out(w['out'], w['out_bias']))


def attention_layout(
    attention: CrossModalAttentionFusion, groups: Tensor | None = None
) -> AttentionWeights:
    """Lay out one level of attention."""
    weight, bias = attention.projection.weight, attention.projection.bias
    scale = torch.ones_like(bias)
    scale[:len(bias) // 3] = attention.head_dim**-0.5
    heads = (3 * attention.num_heads, attention.head_dim)
    norm: Any = attention.norm
    return AttentionWeights(
        # A layer for each of the queries, keys and values of each head.
        projection=laid_out((weight * scale.unsqueeze(1)).unflatten(0, heads),
                            (bias * scale).view(*heads).unsqueeze(1)),
        output=laid_out(attention.output.weight.unsqueeze(0),
                        attention.output.bias.view(1, 1, -1)),
        norm=(norm.weight, norm.bias, norm.eps), num_heads=attention.num_heads,
        head_dim=attention.head_dim,
        groups=None if groups is None or bool(groups.all()) else groups)


def core_layout(core: FusionCore) -> CoreWeights:
    """Lay out what stands behind the attention."""
    w = core.head.weights()
    return CoreWeights(
        projection=laid_out(core.projection.weight.unsqueeze(0),
                            core.projection.bias.view(1, 1, -1)),
        memory=None if core.memory is None else liquid_layout(core.memory),
        first=laid_out(w['in'], w['in_bias']), last=laid_out(w['out'], w['out_bias']))
