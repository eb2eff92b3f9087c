"""Tensors as the C code reads them: numbers one after the other in the memory of the CPU."""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

from . import structures

FEW = 16  # outputs: fewer than that are computed one by one instead of side by side
_PLAIN = (Tensor, nn.Parameter)


class NotPlain(Exception):
    """The weights are not what the C code can read."""


def is_plain(value: Tensor, dtype: torch.dtype = torch.float32) -> bool:
    """Whether the numbers stand in the memory of the CPU as they are."""
    # Other kinds of tensors have no memory, or somebody watches them; with the negative bit of a
    # conjugate's imaginary part, the memory holds other signs.
    return (type(value) in _PLAIN and value.dtype is dtype and value.is_cpu
            and not value.is_neg())


def is_watched() -> bool:
    """Whether somebody records the operator calls, and would miss what is done without any."""
    return torch.jit.is_tracing() or _get_current_dispatch_mode() is not None


class Kept:
    """Says where tensors stand, and keeps them alive for the C code."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def to(
        self, value: Tensor | None, *shape: int, dtype: torch.dtype = torch.float32
    ) -> int | None:
        """Where the numbers stand, one after the other; None for None.

        Raises:
            NotPlain: They do not, or the shape is another.
        """
        if value is None:
            return None
        if value.shape != shape or not is_plain(value, dtype):
            raise NotPlain
        value = value.detach().contiguous()
        self._kept.append(value)
        return value.data_ptr()

    def linear(self, weight: Tensor, bias: Tensor) -> structures.Affine:
        """A linear layer: weight ``[O, I]``, bias ``[O]``."""
        outputs, inputs = weight.shape
        few = outputs < FEW
        laid_out = self.to(weight, outputs, inputs) if few else self.to(weight.t(), inputs, outputs)
        return structures.Affine(laid_out, self.to(bias, outputs), 1, inputs, outputs, few)
