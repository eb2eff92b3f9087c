"""Convolutions over mel and time: patterns in a spectrogram, wherever in pitch they lie."""

from __future__ import annotations

import torch
from torch import nn, Tensor

CHANNELS, LAYERS, NORM_EPS = 16, 3, 1e-5


class SpectralTrunk(nn.Module):
    """Maps of mel bands over time ``[B, inputs, T, mels]`` -> ``[B, T, rows]``.

    Three 3×3 convolutions that halve the mel axis and keep every frame: the front of a CRNN
    (Çakır et al., IEEE/ACM Trans. ASLP 25(6), 2017). A weight is shared by neighbouring bands,
    so a voice that is higher or a noise in another band need not be learnt anew. After each the
    whole map is normalised (GroupNorm of one group), within its row of the batch alone.

    Args:
        inputs: Maps: one per channel and one per pair of channels.
        n_mels: Mel bands.

    Attributes:
        rows: Width of each frame that comes out.
    """

    def __init__(self, inputs: int, n_mels: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs if layer == 0 else CHANNELS, CHANNELS, 3, (1, 2), 1)
            for layer in range(LAYERS))
        bands = n_mels
        for _ in range(LAYERS):
            bands = (bands + 1) // 2
        self.rows = bands * CHANNELS

    def forward(self, maps: Tensor) -> Tensor:
        """``[B, inputs, T, mels]`` -> ``[B, T, rows]``, the bands of a frame one by one."""
        for convolution in self.convolutions:
            maps = nn.functional.group_norm(nn.functional.silu(convolution(maps)), 1, eps=NORM_EPS)
        return torch.flatten(maps.permute(0, 2, 3, 1), 2)
