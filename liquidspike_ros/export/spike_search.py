"""Which spike rates a liquid cell must have had, from the state that it went to.

The rates that are in question differ by single spikes, and the cell is smooth: few are tried out
all together. Of many, the likeliest are tried; then they are taken for continuous numbers, which
damped least squares find, and moved to the nearest possible ones. That finds as many as the cell
has units, where a program does not hand back the very membranes that it compared.
"""

from __future__ import annotations

from collections.abc import Sequence
import copy
from itertools import product
import math

import torch
from torch import nn, Tensor

MOST_TRIED = 1024
ROWS = 256  # of a batch
STARTS, STEPS = 24, 40  # of Levenberg and Marquardt
SOLVED = 1e-6  # of a unit's state
MOVE = 1e-3  # of a rate, for the derivative, in double precision


@torch.no_grad()
def closest_rates(
    cell: nn.Module, possible: Sequence[Sequence[float]], hx: Tensor, dt: Tensor, target: Tensor,
    tolerance: float,
) -> tuple[Tensor, float]:
    """The rates that take a cell as close to a state as was found.

    Args:
        cell: ``(rates [B, 1, N], hx [B, H], dt [B, 1, 1])`` -> outputs and state ``[B, H]``.
        possible: Rates that each neuron may have had, the likeliest first.
        hx: State before ``[1, H]``.
        dt: s, ``[1, 1, 1]``.
        target: State afterwards ``[1, H]``.
        tolerance: A state closer than that is good enough.

    Returns:
        Rates ``[N]`` and by how much the unit is off that is furthest off.
    """
    rates = torch.tensor([each[0] for each in possible], dtype=torch.float64)
    open_ = [index for index, each in enumerate(possible) if len(each) > 1]
    asked = _Question(cell, rates, open_, hx, dt, target)
    options = [possible[index] for index in open_]
    if math.prod(map(len, options)) <= MOST_TRIED:
        tried = torch.tensor(list(product(*options)), dtype=torch.float64)
        rates[open_] = tried[asked.distances(tried).argmin()]
    else:
        rates[open_] = _searched(asked, options, tolerance)
    return rates.float(), float(asked.distances(rates[open_].unsqueeze(0)))


class _Question:
    """How far a cell ends from a state with some of its input rates given."""

    def __init__(self, cell: nn.Module, rates: Tensor, open_: list[int], hx: Tensor, dt: Tensor,
                 target: Tensor) -> None:
        self._cell = copy.deepcopy(cell).double()
        self._rates, self._open = rates, open_
        self._hx, self._dt, self._target = hx.double(), dt.double(), target.double()

    def off(self, values: Tensor) -> Tensor:
        """Rates in question ``[B, n]`` -> distance of each unit ``[B, H]``."""
        parts = []
        for some in values.split(ROWS):
            rates = self._rates.repeat(len(some), 1)
            rates[:, self._open] = some
            _, hx = self._cell(rates.unsqueeze(1), self._hx.expand(len(some), -1),
                               self._dt.expand(len(some), -1, -1))
            parts.append(hx - self._target)
        return torch.cat(parts)

    def distances(self, values: Tensor) -> Tensor:
        """Of the unit that is furthest off ``[B]``."""
        return self.off(values).abs().amax(-1)


def _searched(asked: _Question, options: list[Sequence[float]], tolerance: float) -> Tensor:
    """Where there are too many to try them all."""
    draw = torch.Generator().manual_seed(0)
    best = torch.tensor([each[0] for each in options], dtype=torch.float64)
    start = torch.full_like(best, 0.5)
    off = float(asked.distances(best.unsqueeze(0)))
    for _ in range(STARTS):
        if off <= tolerance:
            break
        found = _descended(asked, _nearest(_relaxed(asked, start), options), options)
        start = torch.rand(len(options), generator=draw, dtype=torch.float64)
        away = float(asked.distances(found.unsqueeze(0)))
        if away < off:
            best, off = found, away
    return best


def _relaxed(asked: _Question, values: Tensor) -> Tensor:
    """The rates as if they could be any number."""
    unit = torch.eye(len(values), dtype=values.dtype)

    def look(values: Tensor) -> tuple[Tensor, Tensor]:
        off = asked.off(torch.cat([values.unsqueeze(0), values + MOVE * unit]))
        return off[0], (off[1:] - off[0]).t() / MOVE

    off, slopes = look(values)
    damping = 1e-2
    for _ in range(STEPS):
        step = torch.linalg.solve(slopes.t() @ slopes + damping * unit, slopes.t() @ off)
        moved, slopes_moved = look(values - step)
        if float(moved.square().sum()) < float(off.square().sum()):
            values, off, slopes, damping = values - step, moved, slopes_moved, damping / 10
        else:
            damping *= 4
        if float(off.abs().max()) < SOLVED:
            break
    return values


def _nearest(values: Tensor, options: list[Sequence[float]]) -> Tensor:
    return torch.tensor([min(each, key=lambda rate: abs(rate - value))
                         for value, each in zip(values.tolist(), options, strict=True)],
                        dtype=values.dtype)


def _descended(asked: _Question, values: Tensor, options: list[Sequence[float]]) -> Tensor:
    """One neuron after the other, whichever helps most, until none does."""
    best = float(asked.off(values.unsqueeze(0)).square().sum())
    while True:
        tried = []
        for index, each in enumerate(options):
            for rate in each:
                if rate != values[index]:
                    tried.append(values.clone())
                    tried[-1][index] = rate
        left = asked.off(torch.stack(tried)).square().sum(-1)
        if float(left.min()) >= best:
            return values
        best, values = float(left.min()), tried[int(left.argmin())]
