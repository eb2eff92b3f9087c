"""What every liquid cell is given: timespans in any form, and a state that fits."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...untrusted.text import brief
from ..dispatch import elementary
from ..sizes import is_number


def timespans_like(dt: Tensor | float, batch: int, ticks: int, like: Tensor) -> Tensor:
    """Bring timespans to ``[B, T, 1]``.

    Args:
        dt: Seconds: a number, ``[B]`` (the same for all ticks), ``[B, T]`` or ``[B, T, 1]``.
        batch: ``B``.
        ticks: ``T``.
        like: Tensor whose device and dtype the result takes.

    Raises:
        ValueError: Another shape, or a time that is negative or not finite; on a GPU only numbers
            are looked at, not tensors.
    """
    if not isinstance(dt, Tensor):
        if not (is_number(dt) and 0.0 <= dt < math.inf):  # NaN is not
            raise ValueError(f'dt: got {brief(dt)}, expected seconds, finite and not negative, '
                             f'as a number or a torch.Tensor')
        return like.new_full((batch, ticks, 1), float(dt))
    # To look at a tensor stalls a device and has no meaning in a graph that is being traced.
    if dt.is_cpu and not torch.compiler.is_compiling() and not elementary():
        wrong = dt[~((dt >= 0) & (dt < math.inf))]
        if len(wrong):
            raise ValueError(f'dt: got {wrong[0].item():g}, expected seconds, finite and not '
                             f'negative')
    spans = dt.to(like)
    shape = tuple(spans.shape)
    if shape == (batch, ticks):
        return spans.unsqueeze(-1)
    if shape == (batch,):
        return spans.view(batch, 1, 1).expand(batch, ticks, 1)
    if shape == ():
        return spans.expand(batch, ticks, 1)
    if shape == (batch, ticks, 1):
        return spans
    raise ValueError(
        f'dt: got shape {shape}, expected a number, ({batch},), ({batch}, {ticks}) '
        f'or ({batch}, {ticks}, 1)'
    )


def checked_state(inputs: Tensor, hx: Tensor | None, width: int, state_size: int) -> Tensor:
    """Check what a cell is given; rest (zeros) where there is no state.

    Args:
        inputs: ``[B, T, width]``.
        hx: ``[B, state_size]``, or None.
        width: Expected width of the inputs.
        state_size: Expected width of the state.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """
    if inputs.dim() != 3 or inputs.shape[1] < 1 or inputs.shape[2] != width:
        raise ValueError(f'inputs: got shape {tuple(inputs.shape)}, '
                         f'expected [B, T, {width}] with at least one tick T')
    if hx is None:
        return inputs.new_zeros(inputs.shape[0], state_size)
    if tuple(hx.shape) != (inputs.shape[0], state_size):
        raise ValueError(f'hx: got shape {tuple(hx.shape)}, '
                         f'expected {(inputs.shape[0], state_size)}')
    return hx
