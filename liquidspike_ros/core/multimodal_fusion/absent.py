"""Gradients of zero for what was not used, so that every parameter has one at every step.

Data-parallel training waits for the gradient of every parameter on every rank, also of those that
the batch of one rank has no use for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor


class _WithoutEffect(torch.autograd.Function):
    """The first input as it is; the gradients of the others are zero, whatever they hold."""

    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, *parameters: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return grad, *map(torch.zeros_like, ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *others: Tensor) -> Tensor:
        return tangent.clone()


def without_effect(value: Tensor, module: nn.Module) -> Tensor:
    """``value``, from which the parameters of ``module`` get gradients of zero.

    Args:
        value: Of any shape.
        module: Was not called for it.
    """
    parameters = [each for each in module.parameters() if each.requires_grad]
    if not parameters or not torch.is_grad_enabled():
        return value
    result: Tensor = _WithoutEffect.apply(value, *parameters)
    return result
