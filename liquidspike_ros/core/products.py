"""Products with few rows, in the form that streams the weights from memory fastest.

A batch of one is bound by reading weights, and which form reads them best depends on the
processor. On AMD one to four rows as ``W · xᵀ`` were 1.3 to 2.5 times as fast as ``x · Wᵀ``; on
Intel, for which MKL has kernels of its own, it is the other way round by up to a factor of 3, and
``x · V`` with ``V = Wᵀ`` laid out in memory is another 1.2 to 1.7 times as fast. With more rows the
usual form wins everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn, Tensor

from .native import takes

FEW_ROWS = 4


def _is_intel() -> bool:
    try:
        return 'GenuineIntel' in Path('/proc/cpuinfo').read_text()
    except OSError:
        return False


COLUMNS = not _is_intel()


class Affine(NamedTuple):
    """``M`` linear layers side by side, laid out for few rows; made by ``laid_out``."""

    weight: Tensor  # [M, O, I] in columns, else [M, I, O]
    bias: Tensor  # [M, O, 1] in columns, else [M, 1, O]
    columns: bool

    @property
    def inputs(self) -> int:
        """``I``."""
        return self.weight.shape[2 if self.columns else 1]

    @property
    def outputs(self) -> int:
        """``O``."""
        return self.weight.shape[1 if self.columns else 2]

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """``[M, R, I]`` -> ``[M, R, O]``.

        Args:
            x: The rows.
            out: From ``results`` of so many rows; it becomes the result.
        """
        if self.columns:
            if out is not None:
                torch.baddbmm(self.bias, self.weight, x.mT, out=out.mT)
                return out
            return torch.baddbmm(self.bias, self.weight, x.mT).mT
        return torch.baddbmm(self.bias, x, self.weight, out=out)

    def results(self, rows: int) -> Tensor:
        """Memory for a result ``[M, rows, O]``, laid out as the product makes it."""
        layers, first, second = self.weight.shape
        if self.columns:
            return self.weight.new_empty(layers, first, rows).mT
        return self.weight.new_empty(layers, rows, second)


def laid_out(weight: Tensor, bias: Tensor) -> Affine:
    """Lay layers out for products with few rows, without gradients.

    Args:
        weight: ``[M, O, I]``.
        bias: ``[M, 1, O]``.
    """
    weight, bias = weight.detach(), bias.detach()
    if COLUMNS and not takes(weight):  # the C code wants rows, whatever the processor
        return Affine(weight.contiguous(), bias.mT.contiguous(), True)
    return Affine(weight.mT.contiguous(), bias.contiguous(), False)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``M`` linear layers side by side.

    Args:
        x: ``[M, R, I]``.
        weight: ``[M, O, I]``.
        bias: ``[M, 1, O]``.

    Returns:
        ``[M, R, O]``.
    """
    if COLUMNS and not torch.compiler.is_exporting() and x.shape[1] <= FEW_ROWS:
        return torch.baddbmm(bias.mT, weight, x.mT).mT
    return torch.baddbmm(bias, x, weight.mT)


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """``layer(x)`` for ``x [..., I]``."""
    # An exported graph would hold the number of rows in a guard.
    if not COLUMNS or torch.is_grad_enabled() or torch.compiler.is_exporting():
        return nn.functional.linear(x, layer.weight, layer.bias)
    rows = x.numel() // layer.in_features
    if rows > FEW_ROWS:
        return nn.functional.linear(x, layer.weight, layer.bias)
    columns = torch.addmm(layer.bias.unsqueeze(1), layer.weight, x.reshape(rows, -1).t())
    return columns.t().view(*x.shape[:-1], layer.out_features) if rows == 1 else (
        columns.t().unflatten(0, x.shape[:-1]))
