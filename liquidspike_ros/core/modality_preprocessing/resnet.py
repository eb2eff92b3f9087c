"""ResNet-18 and ResNet-50 trunks under torchvision's parameter names, and their weight files.

Source: He et al., 'Deep Residual Learning for Image Recognition', CVPR 2016. As in torchvision,
the bottleneck strides in its 3×3 convolution, not in the first 1×1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import pickle

import safetensors
import safetensors.torch
import torch
from torch import nn, Tensor

PICKLES = ('.pth', '.pt', '.bin')


class BatchNorm2d(nn.BatchNorm2d):
    """Goes by its running statistics where one value per channel is all there is.

    A batch of one ends as a single place in the last layer when the picture is small; torch refuses
    to train on that.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> the same shape."""
        if self.training and self.running_mean is not None and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(x, self.running_mean, self.running_var, self.weight,
                                            self.bias, eps=self.eps)
        return super().forward(x)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut; torchvision's parameter names."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` -> ``[B, width, H / stride, W / stride]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions around a shortcut; torchvision's parameter names."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` -> ``[B, 4 · width, H / stride, W / stride]``."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + shortcut)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(convolution, BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Stem and four layers of residual blocks: stride 32, everything but the classifier.

    Args:
        input_channels: ``C``.
        block: ``BasicBlock`` or ``Bottleneck``.
        repeats: Blocks of each layer.
    """

    def __init__(
        self, input_channels: int, block: type[BasicBlock] | type[Bottleneck],
        repeats: tuple[int, int, int, int],
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, layers = 64, []
        for width, stride, count in zip((64, 128, 256, 512), (1, 2, 2, 2), repeats, strict=True):
            blocks: list[nn.Module] = []
            for index in range(count):
                blocks.append(block(inputs, width, stride if index == 0 else 1))
                inputs = width * block.expansion
            layers.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.channels = inputs

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, channels, H / 32, W / 32]``."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class ResNet18(ResNet):
    """The trunk of ResNet-18: 512 channels, 11.2 M weights."""

    def __init__(self, input_channels: int) -> None:
        super().__init__(input_channels, BasicBlock, (2, 2, 2, 2))


class ResNet50(ResNet):
    """The trunk of ResNet-50: 2048 channels, 23.5 M weights."""

    def __init__(self, input_channels: int) -> None:
        super().__init__(input_channels, Bottleneck, (3, 4, 6, 3))


def load_trunk(trunk: nn.Module, path: str | Path) -> None:
    """Load a weight file with torchvision's names into a trunk; its classifier ``fc`` is left.

    Args:
        trunk: A ``ResNet``, or any other trunk whose names the file has.
        path: ``.safetensors``, or a ``.pth`` as torchvision publishes them, of which only
            tensors are read, never code.

    Raises:
        ValueError: The file is missing, damaged or of another kind, or a tensor of the trunk is
            missing or has another shape: names file and tensor, what was got and expected.
    """
    path = Path(path)
    found = _read_tensors(path)
    wanted = trunk.state_dict()
    for name, value in wanted.items():
        if name.endswith('num_batches_tracked'):
            continue  # the oldest weight files were written before it existed
        if name not in found:
            raise ValueError(f'{path}: {name}: missing, expected shape {tuple(value.shape)}')
        if found[name].shape != value.shape:
            raise ValueError(f'{path}: {name}: got shape {tuple(found[name].shape)}, '
                             f'expected {tuple(value.shape)}')
    extra = [name for name in found if name not in wanted and not name.startswith('fc.')]
    if extra:
        raise ValueError(f'{path}: {extra[0]}: got a tensor the trunk does not have, '
                         f'expected the weights of a {type(trunk).__name__}')
    trunk.load_state_dict({name: value for name, value in found.items() if name in wanted},
                          strict=False)


def _read_tensors(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ValueError(f'{path}: no such file, expected weights (.safetensors or .pth)')
    try:
        if path.suffix == '.safetensors':
            return safetensors.torch.load_file(path)
        if path.suffix in PICKLES:
            found = torch.load(path, map_location='cpu', weights_only=True)
        else:
            raise ValueError(f'{path}: got suffix {path.suffix!r}, '
                             f'expected .safetensors, {", ".join(PICKLES)}')
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError,
            OSError) as error:
        raise ValueError(f'{path}: not readable as weights '
                         f'({str(error).splitlines()[0]})') from None
    if not isinstance(found, Mapping) or not all(isinstance(v, Tensor) for v in found.values()):
        raise ValueError(f'{path}: got something else than tensors by name, '
                         f'expected a state_dict')
    return found
