"""Images to features: convolutional trunks, all of which keep where things are.

Each trunk ends in a small spatial grid that is flattened, not averaged away, so the bearing of
what is seen reaches the linear layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn, Tensor

from ..computed_buffers import register_constant
from .resnet import load_trunk, ResNet18, ResNet50

ARCHITECTURES = ('resnet', 'efficient', 'simple', 'resnet50')
# Rows and columns kept of the image plane. A robot turns towards what it sees: columns matter.
GRIDS = {'resnet': (2, 3), 'resnet50': (2, 3), 'efficient': (3, 5), 'simple': (4, 12)}


class InvertedResidual(nn.Module):
    """Expand, depthwise 3×3, project, shortcut (Sandler et al., MobileNetV2, CVPR 2018).

    GroupNorm instead of BatchNorm: nothing depends on the rest of the batch, so frames of one
    robot cannot leak into those of another and training sees what deployment computes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.GroupNorm(8, hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.GroupNorm(8, hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.GroupNorm(8, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` -> ``[B, outputs, H / stride, W / stride]``."""
        return x + self.layers(x) if self.residual else self.layers(x)


class EfficientTrunk(nn.Module):
    """A MobileNetV2-class trunk: stride 32, 128 channels, 0.2 GFLOP at 224×224."""

    channels = 128

    def __init__(self, input_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(input_channels, 16, 3, 2, 1, bias=False), nn.GroupNorm(8, 16), nn.SiLU()
        ]
        width = 16
        for outputs, stride, expansion, repeats in (
            (16, 2, 2, 1), (24, 2, 4, 2), (40, 2, 4, 2), (80, 2, 4, 3), (128, 1, 4, 1)
        ):
            for index in range(repeats):
                block = InvertedResidual(width, outputs, stride if index == 0 else 1, expansion)
                layers.append(block)
                width = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, 128, H / 32, W / 32]``."""
        return self.layers(x)


class SimpleTrunk(nn.Module):
    """Three convolutions, stride 8, 32 channels: 7 MFLOP at 96×72, 52 MFLOP at 224×224."""

    channels = 32

    def __init__(self, input_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(input_channels, 24, 8, 4, 2), nn.SiLU(),
            nn.Conv2d(24, 32, 3, 2, 1), nn.SiLU(),
            nn.Conv2d(32, 32, 3, 1, 1), nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, 32, H / 8, W / 8]``."""
        return self.layers(x)


Trunk = ResNet18 | ResNet50 | EfficientTrunk | SimpleTrunk
TRUNKS: dict[str, Callable[[int], Trunk]] = {
    'resnet': ResNet18, 'resnet50': ResNet50, 'efficient': EfficientTrunk, 'simple': SimpleTrunk
}


def _scale(channels: int) -> Tensor:
    """1 / the standard deviation of ImageNet, which torchvision's weights were trained with."""
    std = [0.229, 0.224, 0.225] if channels == 3 else [0.225] * channels
    return 1.0 / torch.tensor(std).view(-1, 1, 1)


def _shift(channels: int) -> Tensor:
    mean = [0.485, 0.456, 0.406] if channels == 3 else [0.45] * channels
    return -torch.tensor(mean).view(-1, 1, 1) * _scale(channels)


class VisionPreprocessor(nn.Module):
    """Images ``[B, C, H, W]`` in [0, 1] to features ``[B, output_dim]``, normalised inside.

    Args:
        input_channels: ``C``.
        output_dim: Width of the features.
        architecture: ``'resnet'`` (ResNet-18), ``'resnet50'``, ``'efficient'`` (MobileNet class)
            or ``'simple'``.
        grid: Rows and columns of the image plane kept; the architecture's own if None.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        input_channels: int = 3,
        output_dim: int = 2048,
        architecture: str = 'efficient',
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f'architecture: got {architecture!r}, '
                             f'expected one of {", ".join(ARCHITECTURES)}')
        if input_channels < 1:
            raise ValueError(f'input_channels: got {input_channels!r}, expected at least 1')
        self.input_channels, self.output_dim = input_channels, output_dim
        self.architecture = architecture
        self.grid = GRIDS[architecture] if grid is None else grid
        self.backbone = TRUNKS[architecture](input_channels)
        self.head = nn.Linear(self.backbone.channels * self.grid[0] * self.grid[1], output_dim)
        self.scale: Tensor
        register_constant(self, 'scale', partial(_scale, input_channels))
        self.shift: Tensor
        register_constant(self, 'shift', partial(_shift, input_channels))

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` in [0, 1] -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape, or integers.
        """
        if images.dim() != 4 or images.shape[1] != self.input_channels:
            raise ValueError(f'images: got shape {tuple(images.shape)}, '
                             f'expected [B, {self.input_channels}, H, W]')
        if not images.is_floating_point():
            raise ValueError(f'images: got {images.dtype}, expected floating point in [0, 1]: '
                             f'divide 8 bit images by 255')
        maps = self.backbone(self.normalise(images))
        cells = nn.functional.adaptive_avg_pool2d(maps, self.grid)
        return nn.functional.silu(self.head(cells.flatten(1)))

    def load_weights(self, path: str | Path) -> None:
        """Load the trunk from a weight file, for the ResNets one of torchvision.

        Raises:
            ValueError: See ``load_trunk``.
        """
        load_trunk(self.backbone, path)

    def normalise(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to zero mean and unit variance by the ImageNet statistics."""
        # oneDNN's convolutions are about twice as fast on channels-last at these channel counts.
        images = images.contiguous(memory_format=torch.channels_last)
        return torch.addcmul(self.shift, images, self.scale)
