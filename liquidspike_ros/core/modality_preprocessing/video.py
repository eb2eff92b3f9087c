"""Clips to features: 3D convolutions, or a vision trunk frame by frame and a GRU over frames."""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional

from .pooling import AttentionPooling, require_pooling
from .vision import VisionPreprocessor

ARCHITECTURES = ('3d', 'frame')
# Places kept of time, height and width: when and where something moved reaches the head.
GRID = (2, 2, 3)


class FactorisedBlock(nn.Module):
    """A 1×3×3 convolution in space, then 3×1×1 in time, around a shortcut.

    R(2+1)D (Tran et al., CVPR 2018) with GroupNorm, so that clips of a batch stay apart.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(inputs, outputs, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.GroupNorm(8, outputs),
            nn.SiLU(),
            nn.Conv3d(outputs, outputs, (3, 1, 1), (2, 1, 1), (1, 0, 0), bias=False),
            nn.GroupNorm(8, outputs),
        )
        self.shortcut = nn.Conv3d(inputs, outputs, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, T, H, W]`` -> ``[B, outputs, T / 2, H / 2, W / 2]``, rounded up."""
        return functional.silu(self.layers(x) + self.shortcut(x))


class VolumeTrunk(nn.Module):
    """3D convolutions: stride 8 in time, 32 in space, 192 channels; 1.2 GFLOP at 16×224×224."""

    channels = 192

    def __init__(self, input_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(input_channels, 24, (3, 5, 5), (1, 4, 4), (1, 2, 2), bias=False),
            nn.GroupNorm(8, 24),
            nn.SiLU(),
            FactorisedBlock(24, 48),
            FactorisedBlock(48, 96),
            FactorisedBlock(96, 192),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` -> ``[B, 192, T / 8, H / 32, W / 32]``, rounded up."""
        return self.layers(x)


class VideoPreprocessor(nn.Module):
    """Clips ``[B, T, C, H, W]`` in [0, 1] to features ``[B, output_dim]``.

    Args:
        num_frames: ``T``.
        output_dim: Width of the features.
        architecture: ``'3d'``, convolutions over time and space at once; or ``'frame'``, a
            ``VisionPreprocessor`` on each frame and a GRU over the frames.
        input_channels: ``C``.
        frame_architecture: Architecture of the ``VisionPreprocessor``; used by ``'frame'`` only.
        pooling: What the last layer of ``'frame'`` is given: with ``'attention'`` the last state of
            the GRU and an attention-weighted mean of all its states; with ``'last'`` that state
            alone, which is slow to learn what is seen early in a clip.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        num_frames: int = 16,
        output_dim: int = 1024,
        architecture: str = '3d',
        *,
        input_channels: int = 3,
        frame_architecture: str = 'efficient',
        pooling: str = 'attention',
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f'architecture: got {architecture!r}, '
                             f'expected one of {", ".join(ARCHITECTURES)}')
        for name, value in (('num_frames', num_frames), ('output_dim', output_dim),
                            ('input_channels', input_channels)):
            if value < 1:
                raise ValueError(f'{name}: got {value!r}, expected at least 1')
        require_pooling(pooling)
        self.num_frames, self.output_dim, self.pooling = num_frames, output_dim, pooling
        self.input_channels, self.architecture = input_channels, architecture
        if architecture == '3d':
            self.trunk = VolumeTrunk(input_channels)
            self.head = nn.Linear(self.trunk.channels * GRID[0] * GRID[1] * GRID[2], output_dim)
        else:
            self.frames = VisionPreprocessor(input_channels, output_dim, frame_architecture)
            self.temporal = nn.GRU(output_dim, output_dim, batch_first=True)
            width = output_dim
            if pooling == 'attention':
                self.attention = AttentionPooling(output_dim, queries=1)
                width += self.attention.output_dim
            self.head = nn.Linear(width, output_dim)

    def forward(self, video: Tensor) -> Tensor:
        """``[B, T, C, H, W]`` in [0, 1] -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape, or integers.
        """
        expected = (self.num_frames, self.input_channels)
        if video.dim() != 5 or tuple(video.shape[1:3]) != expected:
            raise ValueError(f'video: got shape {tuple(video.shape)}, '
                             f'expected [B, {expected[0]}, {expected[1]}, H, W]')
        if not video.is_floating_point():
            raise ValueError(f'video: got {video.dtype}, expected floating point in [0, 1]: '
                             f'divide 8 bit frames by 255')
        if self.architecture == '3d':
            maps = self.trunk((video.transpose(1, 2) - 0.45) / 0.225)  # mean, std over ImageNet
            return functional.silu(self.head(self._cells(maps)))
        frames = self.frames(video.flatten(0, 1)).unflatten(0, video.shape[:2])
        states, last = self.temporal(frames)
        features = last[-1]
        if self.pooling == 'attention':
            features = torch.cat([features, self.attention(states)], 1)
        return functional.silu(self.head(features))

    @staticmethod
    def _cells(maps: Tensor) -> Tensor:
        return torch.flatten(functional.adaptive_avg_pool3d(maps, GRID), 1)
