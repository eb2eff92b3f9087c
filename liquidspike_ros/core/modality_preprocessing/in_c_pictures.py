"""Pictures to features by the C code of ``native``: the 'simple' and the 'efficient' trunk."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from typing import Any

import torch
from torch import nn, Tensor

from ..tick.native import kernels, structures
from ..tick.native.plain_memory import Kept
from . import in_c_layouts as layouts
from .vision import EfficientTrunk, InvertedResidual, SimpleTrunk, VisionPreprocessor

Fits = Callable[[Tensor], bool]
Run = Callable[[Tensor, int], int]


def can_see(module: VisionPreprocessor) -> bool:
    """Whether the C code has this trunk."""
    trunk = module.backbone
    return isinstance(trunk, SimpleTrunk) or (
        isinstance(trunk, EfficientTrunk) and _is_as_built(trunk, module.input_channels))


def _is_as_built(trunk: EfficientTrunk, input_channels: int) -> bool:
    """Whether all sizes, strides, groups and epsilons are those that the class gives."""
    with torch.device('meta'):
        return repr(trunk) == repr(EfficientTrunk(input_channels))


def picture(module: VisionPreprocessor, kept: Kept) -> tuple[ctypes.Structure, Fits, Run]:
    """The preprocessor's weights, whether it takes a sample, and how it is run on one."""
    library = kernels()
    assert library is not None
    channels = module.input_channels
    normalisation = (kept.to(module.scale.flatten(), channels),
                     kept.to(module.shift.flatten(), channels))
    last = (layouts.head(module.head, module.backbone.channels, kept), *module.grid)
    w: ctypes.Structure
    if isinstance(module.backbone, EfficientTrunk):
        w = _efficient(module.backbone, channels, normalisation, last, kept)
        function, least = library.efficient_image, 1
    else:
        convolutions = [part for part in module.backbone.modules() if isinstance(part, nn.Conv2d)]
        w = structures.SimpleImage((structures.Convolution * 3)(
            *(layouts.convolution(layer, kept) for layer in convolutions)), *normalisation, *last)
        function = library.image
        least = convolutions[0].kernel_size[0] - 2 * int(convolutions[0].padding[0])

    def fits(x: Tensor) -> bool:
        return (x.dim() == 4 and x.shape[:2] == (1, channels) and x.shape[2] >= least
                and x.shape[3] >= least)

    def run(x: Tensor, features: int) -> int:
        _, _, height, width = x.shape
        return int(function(ctypes.byref(w), x.data_ptr(), height, width, *x.stride()[1:],
                            torch.get_num_threads(), features))

    return w, fits, run


def _efficient(
    trunk: EfficientTrunk, channels: int, normalisation: tuple[Any, Any],
    last: tuple[structures.Affine, int, int], kept: Kept
) -> structures.EfficientImage:
    stem, norm, _, *blocks = trunk.layers
    array = (structures.InvertedBlock * len(blocks))(*(_block(block, kept) for block in blocks))
    w = structures.EfficientImage(
        layouts.matrix(stem, kept), layouts.group_norm(norm, kept), ctypes.addressof(array),
        len(array), channels, *normalisation, *last)
    w.array = array  # what the address points to
    return w


def _block(block: nn.Module, kept: Kept) -> structures.InvertedBlock:
    assert isinstance(block, InvertedResidual)
    expand, expanded, _, filtering, filtered, _, project, projected = block.layers
    assert isinstance(filtering, nn.Conv2d)
    return structures.InvertedBlock(
        layouts.matrix(expand, kept), layouts.depthwise(filtering, kept),
        layouts.matrix(project, kept), *(layouts.group_norm(layer, kept)
                                         for layer in (expanded, filtered, projected)),
        filtering.stride[0], block.residual)
