"""Gradients of gradients for what runs as one autograd node with a backward of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .dispatch import transformed


def differentiated_again(*grads: Tensor) -> bool:
    """Whether a backward pass is to be differentiated itself (``create_graph``), or vectorised.

    Args:
        grads: That it was given.
    """
    return torch.is_grad_enabled() or transformed() or any(
        map(torch._C._functorch.is_legacy_batchedtensor, grads))


def by_elementary_operators(
    function: Callable[..., Any], inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...], ctx: Any,
    others: int,
) -> tuple[Tensor | None, ...]:
    """The backward pass of ``function``, slowly, in a form that has a backward pass itself.

    Args:
        function: Of ``inputs``, to one tensor or several, by elementary operators.
        inputs: As the node got them.
        grads: Of the outputs.
        ctx: Of the node; says which gradients are wanted.
        others: Inputs of the node behind ``inputs`` that have no gradient.
    """
    wanted = [value for value, needed in zip(inputs, ctx.needs_input_grad, strict=False) if needed]
    with torch.enable_grad():
        outputs = function(*inputs)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        found = iter(torch.autograd.grad(outputs, wanted, grads, create_graph=True,
                                         allow_unused=True))
    return (*(next(found) if needed else None
              for _, needed in zip(inputs, ctx.needs_input_grad, strict=False)),
            *[None] * others)
