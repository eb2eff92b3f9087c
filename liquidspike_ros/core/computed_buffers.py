"""Tensors that a module computes instead of learning: in no checkpoint, and never left empty."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn, Tensor


def register_constant(module: nn.Module, name: str, compute: Callable[[], Tensor]) -> None:
    """Register a buffer that follows the module everywhere but is in no ``state_dict``.

    It is computed on the CPU whatever the default device is, and once more whenever weights are
    loaded: a module built under ``torch.device('meta')``, or emptied by ``to_empty``, is then
    whole. Without that it would keep a tensor without values, or one full of whatever was in
    the memory before.

    Args:
        module: Gets the buffer.
        name: Of the buffer.
        compute: Makes the tensor of the constructor's arguments alone. It has to be picklable for
            the module to be: a function of a module, or a ``functools.partial`` of one.
    """
    module.register_buffer(name, _computed(compute).to(torch.get_default_device()),
                           persistent=False)
    module.register_load_state_dict_post_hook(partial(_restore, name, compute))


def _computed(compute: Callable[[], Tensor]) -> Tensor:
    with torch.device('cpu'), torch.no_grad():
        return compute()


def _restore(
    name: str, compute: Callable[[], Tensor], module: nn.Module, _incompatible_keys: Any
) -> None:
    held: Tensor = getattr(module, name)
    weights = next(module.parameters(), None)
    if not held.is_meta:
        held.copy_(_computed(compute))  # in place: a captured graph goes on reading this memory
    elif weights is None or not weights.is_meta:
        device = 'cpu' if weights is None else weights.device
        setattr(module, name, _computed(compute).to(device, held.dtype))
