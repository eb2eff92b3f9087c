"""Neurons that stand at their threshold: what else eager could have said.

Where a membrane meets the threshold to within rounding, two correct programs may differ by one
spike, and a spike shifts a rate by ``1 / num_spike_steps`` and a membrane by the threshold. Any
number of neurons may stand there in one tick, and one of them more than once, so nothing is
tried out over all neurons together. What each could have done is worked out by itself, and what
the other program did is read from its own results, in this order:

1. A neuron depends on its own current and membrane alone. All its courses through a tick follow
   from the equations, with both answers wherever its membrane is close to the threshold.
2. Its membrane afterwards tells the courses apart. A spike at the last steps may not show in it;
   then the state of the liquid cell behind the population does (``spike_search``).
3. Eager goes on from the spike rates that were found. Its outputs are what the other program has
   to agree with, all of them.

How close is close: currents do not change within a tick, so that an error of a current moves the
membrane further at every step, and its error at the end of the tick, which is seen, bounds the one
that a spike was decided with. On top of it comes ``CLOSE``, for what the steps themselves round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn, Tensor

from ..core.multimodal_fusion.encoder import ModalityEncoder
from .flat_step import FlatStep
from .spike_courses import Course, courses, Neuron
from .spike_search import closest_rates

MEMBRANE, HIDDEN = '.membrane', '.hx'
CLOSE = 1e-5  # thresholds are 1 unless a model says otherwise


@dataclass(frozen=True)
class Explained:
    """What eager gives with the spikes of another program.

    Attributes:
        outputs: Of the step.
        neurons: How many fell on another side than in eager, over all rows.
        distance: The furthest that a membrane was from its threshold in such a decision.
    """

    outputs: tuple[Tensor, ...]
    neurons: int
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
    told = _Told(step)
    rows = [_explain_row(told, [value[row:row + 1] for value in arguments],
                         [value[row:row + 1] for value in got], tolerance)
            for row in range(len(got[0]))]
    found = [row for row in rows if row is not None]
    if len(found) < len(rows):
        return None
    return Explained(tuple(map(torch.cat, zip(*(row.outputs for row in found), strict=True))),
                     sum(row.neurons for row in found), max(row.distance for row in found))


class _Liquid(nn.Module):
    """A liquid cell that can be told its input, and keeps what it was called with."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell, self.state_size = cell, cell.state_size
        self.told: Tensor | None = None
        self.seen: tuple[Tensor, Tensor, Tensor]

    def forward(self, rates: Tensor, hx: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """``rates [B, T, N]`` give way to those that were told."""
        self.seen = rates, hx, dt
        done: tuple[Tensor, Tensor] = self.cell(rates if self.told is None else self.told, hx, dt)
        return done


class _Told:
    """A copy of the eager model whose populations can be told their spikes.

    Attributes:
        encoders: By their membrane's entry in the state.
        liquids: The same.
        drives: What the neurons' synapses gave at the last call ``[B, 1 or steps, N]``.
    """

    def __init__(self, step: FlatStep) -> None:
        self.step = copy.deepcopy(step)
        self.encoders: dict[str, ModalityEncoder] = {}
        self.liquids: dict[str, _Liquid] = {}
        self.drives: dict[str, Tensor] = {}
        for entry in step.state:
            if entry.endswith(MEMBRANE):
                encoder = self.step.model.network.fusion.get_submodule(
                    entry.removesuffix(MEMBRANE))
                assert isinstance(encoder, ModalityEncoder)
                self.encoders[entry] = encoder
                # A cell of this kind also keeps the encoder from running side by side with others.
                self.liquids[entry] = _Liquid(encoder.liquid)
                encoder.set_submodule('liquid', self.liquids[entry])
                encoder.current.register_forward_hook(self._keep(entry))

    def _keep(self, entry: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def keep(module: nn.Module, given: Any, drive: Tensor) -> None:
            self.drives[entry] = drive

        return keep

    def run(self, arguments: Sequence[Tensor], rates: dict[str, Tensor]) -> list[Tensor]:
        """Outputs; rates ``[N]`` by entry, what the populations fire by themselves for others."""
        for entry, liquid in self.liquids.items():
            liquid.told = rates[entry].expand(1, 1, -1) if entry in rates else None
        return list(self.step(*arguments))

    def neurons(self, entry: str, arguments: Sequence[Tensor]) -> list[Neuron]:
        """Of an entry, with the currents of the last call."""
        encoder, drive = self.encoders[entry], self.drives[entry]
        name, modalities = entry.split('.')[-2], self.step.modalities
        if name in modalities and not arguments[len(modalities)][0, modalities.index(name)]:
            drive = encoder.absent.expand_as(drive)
        held = torch.sigmoid(drive[0]).expand(encoder.num_spike_steps, -1)
        start = arguments[len(modalities) + 2 + self.step.state.index(entry)][0]
        population = encoder.population
        return [Neuron(*values, reset=population.reset) for values in zip(
            start.tolist(), held.t().tolist(), population.beta.clamp(0, 1).tolist(),
            population.threshold.tolist(), strict=True)]


def _explain_row(
    told: _Told, arguments: Sequence[Tensor], got: Sequence[Tensor], tolerance: float
) -> Explained | None:
    step = told.step
    plain = told.run(arguments, {})
    fired = {entry: liquid.seen for entry, liquid in told.liquids.items()}
    results = dict(zip(step.state, got[1:], strict=True))
    rates: dict[str, Tensor] = {}
    membranes: dict[str, Tensor] = {}
    neurons, distance = 0, 0.0
    for entry, (own, hx, dt) in fired.items():
        seen = results[entry][0].tolist()
        possible = [_possible(neuron, membrane, tolerance) for neuron, membrane
                    in zip(told.neurons(entry, arguments), seen, strict=True)]
        if not all(possible):
            return None
        hidden = results[entry.removesuffix(MEMBRANE) + HIDDEN]
        rates[entry] = closest_rates(
            told.liquids[entry].cell, [[course.rate for course in each] for each in possible],
            hx, dt, hidden, tolerance)
        taken = [next(course for course in each if abs(course.rate - rate) < 1e-6)
                 for each, rate in zip(possible, rates[entry].tolist(), strict=True)]
        membranes[entry] = torch.tensor([[course.membrane for course in taken]])
        before = plain[1 + step.state.index(entry)]
        other = ((rates[entry] - own[0, 0]).abs() * told.encoders[entry].num_spike_steps > 0.5) | (
            (membranes[entry] - before)[0].abs() > tolerance)
        neurons += int(other.sum())
        distance = max(distance, *(course.distance for course in taken))
    outputs = told.run(arguments, rates)
    for entry, membrane in membranes.items():
        outputs[1 + step.state.index(entry)] = membrane
    return Explained(tuple(outputs), neurons, distance)


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
