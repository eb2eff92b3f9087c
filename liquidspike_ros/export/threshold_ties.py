"""Neurons that stand at their threshold: what else eager could have said.

Where a membrane meets the threshold to within rounding, two correct programs may differ by one
spike, and a spike shifts a rate by ``1 / num_spike_steps`` and a membrane by the threshold. Any
number of neurons may stand there in one tick, and one of them more than once, so nothing is
tried out over all neurons together. What each could have done is worked out by itself, and what
the other program did is read from its own results, population by population and row by row:

1. A neuron depends on its own current and membrane alone. All its courses through a tick follow
   from the equations, with both answers wherever its membrane is close to the threshold.
2. Its membrane afterwards tells the courses apart. A spike at the last steps may not show in it;
   then the state of the liquid cell behind the population does (``spike_search``).
3. Eager goes on from the spike rates that were found (``told``). Its outputs are what the other
   program has to agree with, all of them.

How close is close: currents do not change within a tick, so that an error of a current moves the
membrane further at every step, and its error at the end of the tick, which is seen, bounds the one
that a spike was decided with. On top of it comes ``CLOSE``, for what the steps themselves round.

A feature that is coded as spikes may tie as well, at half a step of latency or at the change that
``delta`` heeds. There are few of them; each is moved by ``CLOSE`` to either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

import torch
from torch import Tensor

from .flat_step import FlatStep
from .spike_courses import Course, courses, Neuron
from .spike_search import closest_rates
from .told import MEMBRANE, Told

CLOSE = 1e-5  # thresholds are 1 unless a model says otherwise, and features of the order of 1
MOST_MOVED = 243  # three ways each for five features of one modality


@dataclass(frozen=True)
class Explained:
    """What eager gives with the spikes of another program.

    Attributes:
        outputs: Of the step.
        ties: How many neurons and features fell on another side than in eager, over all rows.
        distance: The furthest that one was from its threshold in such a decision.
    """

    outputs: tuple[Tensor, ...]
    ties: int
    distance: float


@dataclass(frozen=True)
class _Population:
    """What one did: rates ``[N]``, membranes ``[1, N]``, and what an ``Explained`` sums up."""

    rates: Tensor
    membranes: Tensor
    ties: int
    distance: float


@torch.no_grad()
def explain(
    step: FlatStep, arguments: Sequence[Tensor], got: Sequence[Tensor], tolerance: float
) -> Explained | None:
    """Eager's outputs with the spikes that another program must have had.

    Args:
        step: The eager model.
        arguments: Of the step.
        got: The other program's outputs.
        tolerance: By how much a state may differ.

    Returns:
        None where no spikes that rounding allows give its membranes and liquid states.
    """
    told = Told(step)
    rows = [_explain_row(told, [value[row:row + 1] for value in arguments],
                         [value[row:row + 1] for value in got], tolerance)
            for row in range(len(got[0]))]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows):
        return None
    return Explained(tuple(map(torch.cat, zip(*(row.outputs for row in found), strict=True))),
                     sum(row.ties for row in found), max(row.distance for row in found))


def _explain_row(
    told: Told, arguments: Sequence[Tensor], got: Sequence[Tensor], tolerance: float
) -> Explained | None:
    results = dict(zip(told.step.state, got[1:], strict=True))
    found: dict[str, _Population] = {}
    for entry in told.encoders:
        fits = (_fitting(told, entry, arguments, results, tolerance)
                for _ in _moves(told, entry, arguments))
        population = next((each for each in fits if each is not None), None)
        if population is None:
            return None
        found[entry] = population
    outputs = told.run(arguments, {entry: each.rates for entry, each in found.items()})
    for entry, each in found.items():
        outputs[1 + told.step.state.index(entry)] = each.membranes
    moved = sum(told.forget_moves().values())
    return Explained(tuple(outputs), moved + sum(each.ties for each in found.values()),
                     max(CLOSE * bool(moved), *(each.distance for each in found.values())))


def _moves(told: Told, entry: str, arguments: Sequence[Tensor]) -> Iterator[None]:
    """Run the step once as it is, then with features at their threshold moved across it."""
    told.run(arguments, {})
    yield
    if entry not in told.norms:
        return
    plain, norm = told.codes[entry], told.norms[entry]
    ways: dict[int, list[float]] = {}
    for amount in (-CLOSE, CLOSE):
        norm.moved = amount
        told.run(arguments, {})
        for feature in (told.codes[entry] != plain).any(1)[0].nonzero().flatten().tolist():
            ways.setdefault(feature, [0.0]).append(amount)
    for choice in islice(product(*ways.values()), 1, MOST_MOVED):
        norm.moved = torch.zeros(plain.shape[-1])
        norm.moved[list(ways)] = torch.tensor(choice)
        told.run(arguments, {})
        yield


def _fitting(
    told: Told, entry: str, arguments: Sequence[Tensor], results: dict[str, Tensor],
    tolerance: float,
) -> _Population | None:
    """What a population must have done to end where it did; None if it cannot have."""
    possible = [_possible(neuron, membrane, tolerance) for neuron, membrane
                in zip(told.neurons(entry, arguments), results[entry][0].tolist(), strict=True)]
    if not all(possible):
        return None
    own, hx, dt = told.liquids[entry].seen
    rates, off = closest_rates(
        told.liquids[entry].cell, [[course.rate for course in each] for each in possible],
        hx, dt, results[entry.removesuffix(MEMBRANE) + '.hx'], tolerance)
    if off > tolerance:
        return None
    taken = [next(course for course in each if abs(course.rate - rate) < 1e-6)
             for each, rate in zip(possible, rates.tolist(), strict=True)]
    membranes = torch.tensor([[course.membrane for course in taken]])
    steps = told.encoders[entry].num_spike_steps
    other = ((rates - own[0, 0]).abs() * steps > 0.5) | (
        (membranes - told.membranes[entry])[0].abs() > tolerance)
    return _Population(rates, membranes, int(other.sum()),
                       max(course.distance for course in taken))


def _possible(neuron: Neuron, membrane: float, tolerance: float) -> list[Course]:
    """The courses that end at a membrane, of each spike rate the one that ends closest.

    First those that fire at the last step if that membrane is above the threshold: most programs
    hand back the very number that they compared.
    """
    best: dict[float, Course] = {}
    for course in courses(neuron, tolerance + CLOSE):
        off = abs(course.membrane - membrane)
        if off <= tolerance and course.distance <= off + CLOSE:
            known = best.get(course.rate)
            if known is None or off < abs(known.membrane - membrane):
                best[course.rate] = course
    fires = membrane > neuron.threshold
    return sorted(best.values(), key=lambda course: (course.fires != fires, course.distance))
