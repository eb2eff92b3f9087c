"""A model made ready to be stepped and nothing else: a copy that is never trained again."""

from __future__ import annotations

from collections.abc import Iterator
import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..core.kept_weights import FrozenWeights, KeptWeights
from ..core.modality_preprocessing.in_c import in_c
from ..core.modality_preprocessing.resnet import BasicBlock, Bottleneck, ResNet

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def deployed_copy(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy of ``model`` on ``device`` for inference; the caller's stays as it was.

    Batch norms are folded into the convolutions before them (only the ResNets have any), weights
    of 2D convolutions are laid out channels-last, and what cells derive from their parameters is
    made once: on the CPU they look at every tick whether it still holds, on a GPU they make it
    anew. Preprocessors run in C where there is a build for the processor. See
    ``bench/policy_runtime.py`` for what each of them gains.
    """
    result = copy.deepcopy(model).to(device).eval()
    keep_derived_weights(result)
    fold_batch_norms(result)
    lay_out_channels_last(result)
    preprocess_in_c(result)
    return result


def fold_batch_norms(model: nn.Module) -> int:
    """Fold every batch norm behind a convolution into it, in place; returns how many.

    Only where it is known that nothing stands between the two: neighbours in a ``Sequential`` and
    the blocks of our ResNets. Values change by rounding, 1e-5 at most.
    """
    folded = 0
    for module in list(model.modules()):
        for first, second in _neighbours(module):
            convolution, norm = getattr(module, first), getattr(module, second)
            if not (isinstance(convolution, _CONVOLUTIONS) and isinstance(norm, _NORMS)
                    and norm.running_mean is not None):
                continue
            setattr(module, first, fuse_conv_bn_eval(convolution, norm))
            setattr(module, second, nn.Identity())
            folded += 1
    return folded


def lay_out_channels_last(model: nn.Module) -> int:
    """Keep the weights of 2D convolutions in the layout that frames come in; returns how many."""
    found = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    for module in found:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return len(found)


def preprocess_in_c(model: nn.Module) -> int:
    """Let preprocessors run in C where they can, for good; returns how many."""
    found = 0
    for name, child in model.named_children():
        taken = in_c(child)
        setattr(model, name, taken)
        found += 1 if taken is not child else preprocess_in_c(child)
    return found


def _neighbours(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of children of which the second is called on the output of the first only."""
    names = [name for name, _ in module.named_children()]
    if isinstance(module, nn.Sequential):
        yield from pairwise(names)
    elif isinstance(module, (BasicBlock, Bottleneck, ResNet)):
        yield from ((name, f'bn{name.removeprefix("conv")}') for name in names
                    if name.startswith('conv'))


def keep_derived_weights(model: nn.Module) -> int:
    """Keep derived weights without ever looking whether a parameter changed; returns how many.

    For a model that nobody else holds.
    """
    kept = [(module, name) for module in model.modules()
            for name, value in vars(module).items() if isinstance(value, KeptWeights)]
    for module, name in kept:
        setattr(module, name, FrozenWeights())
    return len(kept)
