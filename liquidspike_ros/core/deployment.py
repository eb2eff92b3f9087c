"""A model made ready to be stepped and nothing else: a copy that is never changed again.

A module computes what its layers say at every call. ``deploy`` trades that for speed, openly: its
copy lays weights out once, so later changes of them would not be seen, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
import copy
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .derived_weights import DerivedWeights
from .modality_preprocessing.in_c import in_c
from .modality_preprocessing.resnet import BasicBlock, Bottleneck, ResNet

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


Module = TypeVar('Module', bound=nn.Module)


def deploy(model: Module, device: torch.device | str | None = None) -> Module:
    """A copy of ``model`` for inference, with the same ways in; the caller's stays as it was.

    Batch norms are folded into the convolutions before them (only the ResNets have any), weights
    of 2D convolutions are laid out channels-last, and what is derived from parameters (stacked
    weights, the layout of the tick in C) is made once. Single ticks and preprocessors run in C
    where there is a build for the processor. See ``bench/policy_runtime.py`` for what each gains.

    Args:
        model: A ready-made model, a ``MultiModalFusionNetwork``, or a module that holds one.
        device: Where the copy goes; where the model is if None.

    Returns:
        The copy in evaluation mode, without gradients. Loading weights into it is refused, and
        what is done to its layers (hooks, adapters) counts only if it was done to the model before.
    """
    result = copy.deepcopy(model)
    result = (result if device is None else result.to(device)).eval().requires_grad_(False)
    for module in result.modules():  # also by a part of it
        module.register_load_state_dict_pre_hook(_refuse_weights)
    freeze_derived_weights(result)
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


def freeze_derived_weights(model: nn.Module) -> int:
    """Make derived weights once and for all, whatever the parameters become; returns how many.

    For a model that nobody else holds.
    """
    found = [value for module in model.modules() for value in vars(module).values()
             if isinstance(value, DerivedWeights)]
    for derived in found:
        derived.freeze()
    return len(found)


def _refuse_weights(*_: Any) -> None:
    raise RuntimeError('load_state_dict: got a deployed copy, whose weights are fixed; load them '
                       'into the model and deploy it again')
