"""Products with few rows, in the form that streams the weights from memory fastest.

A batch of one is bound by reading weights, and which form reads them best depends on the
processor. On AMD one to four rows as ``W · xᵀ`` were 1.3 to 2.5 times as fast as ``x · Wᵀ``; on
Intel, for which MKL has kernels of its own, it is the other way round by up to a factor of 3, and
``x · V`` with ``V = Wᵀ`` laid out in memory is another 1.2 to 1.7 times as fast. With more rows the
usual form wins everywhere.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn, Tensor

from .dispatch import elementary, why_call

FEW_ROWS = 4


def _is_intel() -> bool:
    try:
        return 'GenuineIntel' in Path('/proc/cpuinfo').read_text()
    except OSError:
        return False


COLUMNS = not _is_intel()


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``M`` linear layers side by side.

    Args:
        x: ``[M, R, I]``.
        weight: ``[M, O, I]``.
        bias: ``[M, 1, O]``.

    Returns:
        ``[M, R, O]``.
    """
    # An exported graph would hold the number of rows in a guard.
    if COLUMNS and not elementary() and x.shape[1] <= FEW_ROWS:
        return torch.baddbmm(bias.mT, weight, x.mT).mT
    return torch.baddbmm(bias, x, weight.mT)


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """``layer(x)`` for ``x [..., I]``."""
    if not COLUMNS or torch.is_grad_enabled() or why_call(layer):
        return layer(x)
    rows = x.numel() // layer.in_features
    if rows > FEW_ROWS:
        return layer(x)
    columns = torch.addmm(layer.bias.unsqueeze(1), layer.weight, x.reshape(rows, -1).t())
    return columns.t().view(*x.shape[:-1], layer.out_features) if rows == 1 else (
        columns.t().unflatten(0, x.shape[:-1]))
