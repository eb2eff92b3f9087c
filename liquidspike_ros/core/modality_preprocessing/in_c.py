"""Preprocessors of a deployed policy by the C code of ``native``, one sample at a time.

What it is not for (more rows, other precisions, tensors that are not plain memory, gradients) goes
to the module that it stands for; values are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import math
from typing import Any

import torch
from torch import nn, Tensor

from ..tick.native import kernels, structures, takes
from ..tick.native.plain_memory import is_plain, is_watched, Kept
from .audio import AudioPreprocessor, FLOOR
from .in_c_layouts import convolution, head
from .in_c_pictures import can_see, Fits, picture, Run
from .pooling import AttentionPooling
from .sensor import LidarPreprocessor, SensorPreprocessor
from .spectral import NORM_EPS, SpectralTrunk
from .vision import EfficientTrunk, InvertedResidual, SimpleTrunk, VisionPreprocessor


class InC(nn.Module):
    """Stands for a preprocessor whose weights nobody changes any more.

    Args:
        module: The preprocessor, in single precision on the CPU, of a kind that ``in_c`` takes.

    Attributes:
        structure: The weights as the C code takes them.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._kept = Kept()
        self.structure, self._fits, self._run = _KINDS[type(module)](module, self._kept)
        self._outputs = int(module.output_dim)  # type: ignore[arg-type]

    def forward(self, rows: Tensor) -> Tensor:
        """``[B, …]`` -> ``[B, output_dim]``, in C if ``B`` is 1."""
        if (torch.compiler.is_compiling() or torch.is_grad_enabled()
                or torch.is_autocast_enabled('cpu') or not is_plain(rows) or is_watched()
                or not self._fits(rows) or not rows.data_ptr()):  # zeros without memory
            features: Tensor = self.module(rows)
            return features
        features = rows.new_empty(1, self._outputs)
        if self._run(rows, features.data_ptr()):
            raise MemoryError('no memory for a tick')
        return features

    def fits(self, rows: Tensor) -> bool:
        """Whether C can make features of a sample of this shape."""
        return self._fits(rows)

    def __reduce__(self) -> tuple[Any, ...]:
        return in_c, (self.module,)


def in_c(module: nn.Module) -> nn.Module:
    """``module`` by the C code if that can do what it does, else as it is.

    Args:
        module: A preprocessor; its weights must not change afterwards.
    """
    like = next(module.parameters(), None)
    if like is None or not takes(like) or type(module) not in _KINDS or not _is_untouched(module):
        return module
    if isinstance(module, VisionPreprocessor) and not can_see(module):
        return module
    if isinstance(module, AudioPreprocessor) and (
            module.n_fft < 4 or module.n_fft & (module.n_fft - 1)):
        return module
    return InC(module)


def _is_untouched(module: nn.Module) -> bool:
    """Whether the module and its parts do what their classes say, on weights that C can read."""
    return all(type(part) in _PARTS and not part._forward_hooks and not part._forward_pre_hooks
               for part in module.modules()) and all(
                   is_plain(weight) for weight in module.parameters())


_PARTS = {VisionPreprocessor, SensorPreprocessor, LidarPreprocessor, AudioPreprocessor, SimpleTrunk,
          EfficientTrunk, InvertedResidual, SpectralTrunk, AttentionPooling, nn.Sequential,
          nn.ModuleList, nn.Conv1d, nn.Conv2d, nn.Linear, nn.GroupNorm, nn.GRU, nn.SiLU,
          nn.AdaptiveAvgPool1d}


def _window(
    module: SensorPreprocessor | LidarPreprocessor, kept: Kept
) -> tuple[ctypes.Structure, Fits, Run]:
    library = kernels()
    assert library is not None
    scan = isinstance(module, LidarPreprocessor)
    layers = module.convolution if isinstance(module, LidarPreprocessor) else module
    first, last = (convolution(layer, kept) for layer in layers.convolutions)
    positions = int(layers.pool.output_size)  # type: ignore[arg-type]
    w = structures.Window(first, last, head(layers.head, last.outputs, kept), positions,
                          layers.padding_mode == 'circular', scan)
    channels = 2 if scan else layers.num_sensors
    beams = module.beams if isinstance(module, LidarPreprocessor) else None
    function = library.window

    def fits(x: Tensor) -> bool:
        return (x.dim() == 3 - (x.dim() == 2 and not scan) and x.shape[:2] == (1, channels)
                and x.numel() > 0 and (beams is None or x.shape[2] == beams))

    def run(x: Tensor, features: int) -> int:
        x = x.contiguous()
        return int(function(ctypes.byref(w), x.data_ptr(), x.numel() // channels,
                            torch.get_num_threads(), features))

    return w, fits, run


def _sound(module: AudioPreprocessor, kept: Kept) -> tuple[ctypes.Structure, Fits, Run]:
    library = kernels()
    assert library is not None
    size, gru = module.n_fft, module.temporal
    bins, mels = module.mel.shape
    phases = torch.arange(bins, dtype=torch.float64) * (2 * math.pi / size)
    heard = module.mel > 0
    bands = torch.stack([heard.int().argmax(0), bins - heard.flip(0).int().argmax(0)], 1)
    bands[~heard.any(0)] = 0
    attends = module.pooling == 'attention'
    w = structures.Sound(
        (structures.Convolution * 3)(*(convolution(layer, kept)
                                       for layer in module.trunk.convolutions) if attends else ()),
        convolution(module.convolution, kept),
        *(kept.linear(*gates) for gates in zip(gru.all_weights[0][:2], gru.all_weights[0][2:],
                                               strict=True)),
        kept.linear(module.attention.score.weight, module.attention.score.bias)
        if attends else structures.Affine(),
        kept.linear(module.lags.t(), module.lags.new_zeros(module.lags.shape[1]))
        if module.pairs else structures.Affine(),
        kept.linear(module.head.weight, module.head.bias), kept.to(module.window, size),
        kept.to(torch.stack([phases.cos(), -phases.sin()]).float(), 2, bins),
        kept.to(module.mel.t(), mels, bins), kept.to(bands, mels, 2, dtype=torch.int64),
        module.channels, mels, size, module.hop_length, FLOOR, NORM_EPS)
    function, channels = library.sound, module.channels

    def fits(x: Tensor) -> bool:
        return x.numel() > 0 and (x.shape[:-1] == (1, channels) or
                                  (channels == 1 and x.dim() == 2 and len(x) == 1))

    def run(x: Tensor, features: int) -> int:
        x = x.contiguous()
        return int(function(ctypes.byref(w), x.data_ptr(), x.shape[-1], torch.get_num_threads(),
                            features))

    return w, fits, run


_KINDS: dict[type[nn.Module], Callable[[Any, Kept], tuple[ctypes.Structure, Fits, Run]]] = {
    VisionPreprocessor: picture, SensorPreprocessor: _window, LidarPreprocessor: _window,
    AudioPreprocessor: _sound}
