"""Weights of layers, laid out as the C code of ``native`` reads them."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from ..tick.native import structures
from ..tick.native.plain_memory import Kept

WIDE = 8  # outputs of a convolution that are worked on together, as in convolutions.h
PACKED = 16  # columns of a matrix that lie together, as in pointwise.h


def convolution(layer: nn.Module, kept: Kept) -> structures.Convolution:
    """A convolution with a bias, over maps that carry their own padding."""
    assert isinstance(layer, (nn.Conv1d, nn.Conv2d))
    weight = layer.weight.detach()
    if weight.dim() == 3:
        weight = weight.unsqueeze(2)
    outputs, inputs, rows, columns = weight.shape
    blocks = -(-outputs // WIDE)
    spare = blocks * WIDE - outputs
    taps = nn.functional.pad(_taps(weight), (0, spare)).unflatten(1, (blocks, WIDE)).transpose(0, 1)
    assert layer.bias is not None
    bias = nn.functional.pad(layer.bias.detach(), (0, spare))
    return structures.Convolution(
        kept.to(taps, blocks, rows * columns * inputs, WIDE), kept.to(bias, blocks * WIDE),
        inputs, outputs, rows, columns, layer.stride[-1])


def head(layer: nn.Linear, channels: int, kept: Kept) -> structures.Affine:
    """A layer on ``[channels, cells]``, for ``[cells, channels]``."""
    weight = layer.weight.detach().unflatten(1, (channels, -1)).transpose(1, 2).flatten(1)
    return kept.linear(weight, layer.bias)


def matrix(layer: nn.Module, kept: Kept) -> int | None:
    """Where a convolution without bias stands as ``[taps * inputs, outputs]``, packed."""
    assert isinstance(layer, nn.Conv2d)
    taps = _taps(layer.weight.detach())
    packed = [block.flatten() for block in taps.split(PACKED, 1)]
    return kept.to(torch.cat(packed), taps.numel())


def depthwise(layer: nn.Module, kept: Kept) -> int | None:
    """Where a depthwise convolution without bias stands as ``[taps, channels]``."""
    assert isinstance(layer, nn.Conv2d)
    taps = _taps(layer.weight.detach())
    return kept.to(taps, *taps.shape)


def group_norm(layer: nn.Module, kept: Kept) -> structures.GroupNorm:
    """A group norm with gain and bias."""
    assert isinstance(layer, nn.GroupNorm)
    channels = layer.num_channels
    return structures.GroupNorm(kept.to(layer.weight, channels), kept.to(layer.bias, channels),
                                channels, layer.num_groups, layer.eps)


def _taps(weight: Tensor) -> Tensor:
    """``[outputs, inputs, rows, columns]`` -> ``[rows * columns * inputs, outputs]``."""
    return weight.permute(2, 3, 1, 0).flatten(0, 2)
