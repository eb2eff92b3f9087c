"""Whether an exported step does what the eager model does.

The criterion, tick by tick: from the same inputs and the same state (the one that the artefact
carried there by itself), every output is within ``TOLERANCE`` of eager's.

A tick that differs by more may hold ties: neurons whose membranes meet their threshold to within
rounding (see ``threshold_ties``). It does only if eager, with the spikes of neurons that stand that
close decided otherwise, gives *all* outputs of the artefact within ``TOLERANCE``. Anything else is
an error.

What both do when each carries its own state is measured too, and reported. It decides nothing:
after a tie, two correct programs go different ways for a while.

Source: backward error analysis; an answer is right if it is the exact one to a question that
differs by rounding (Higham, 'Accuracy and Stability of Numerical Algorithms', SIAM 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor

from .flat_step import ExportError, FlatStep
from .sequences import StepInputs
from .threshold_ties import explain

TOLERANCE = 1e-4

Run = Callable[[Sequence[Tensor]], Sequence[Tensor]]


@dataclass
class Agreement:
    """How well an artefact and eager agree.

    Attributes:
        ticks: How many were compared.
        action, state: Worst |difference| from the same state, ties explained.
        ties: Neurons that rounding put on the other side of their threshold, over all ticks.
        nudge: How far from its threshold such a neuron was at most.
        own_action, own_state: Worst |difference| when each carries its own state.
    """

    ticks: int = 0
    action: float = 0.0
    state: float = 0.0
    ties: int = 0
    nudge: float = 0.0
    own_action: float = 0.0
    own_state: float = 0.0

    @property
    def worst(self) -> float:
        """The figure that is held to ``TOLERANCE``."""
        return max(self.action, self.state)


@torch.no_grad()
def compare(step: FlatStep, run: Run, ticks: Sequence[StepInputs]) -> Agreement:
    """Run an artefact and the eager model side by side.

    Args:
        step: The eager model.
        run: The artefact: inputs in order -> outputs in order.
        ticks: From ``random_ticks``.

    Raises:
        ExportError: Names the first tick and output that differs by more than ``TOLERANCE``, or
            is not finite.
    """
    result = Agreement(ticks=len(ticks))
    carried, own = step.rest(), step.rest()
    for index, tick in enumerate(ticks):
        if tick.reset:
            carried, own = step.rest(), step.rest()
        got = _shaped(step, run([*tick.arguments, *carried]), index)
        expected = step(*tick.arguments, *carried)
        if not all(bool(torch.isfinite(value).all()) for value in expected):
            raise ExportError(f'eager: got an output that is not finite at tick {index} '
                              f'(dt {tick.dt.tolist()} s), expected finite ones')
        if _worst(got, expected)[1] > TOLERANCE:
            expected = _settle(step, [*tick.arguments, *carried], got, expected, index, result)
        result.action = max(result.action, _difference(got[0], expected[0]))
        result.state = max(result.state, _worst(got[1:], expected[1:])[1])
        alone = step(*tick.arguments, *own)
        result.own_action = max(result.own_action, _difference(got[0], alone[0]))
        result.own_state = max(result.own_state, _worst(got[1:], alone[1:])[1])
        carried, own = got[1:], list(alone[1:])
    return result


def _shaped(step: FlatStep, outputs: Sequence[Tensor], index: int) -> list[Tensor]:
    got = [value.clone() for value in outputs]  # a runtime may write its next outputs there
    shapes, expected = [tuple(value.shape) for value in got], [port.shape for port in step.outputs]
    if shapes != expected:
        raise ExportError(f'outputs: got shapes {shapes} at tick {index}, expected {expected}')
    return got


def _difference(got: Tensor, expected: Tensor) -> float:
    """Largest |difference|; infinite where NaN is involved."""
    worst = float((got - expected).abs().max())
    return math.inf if math.isnan(worst) else worst


def _worst(got: Sequence[Tensor], expected: Sequence[Tensor]) -> tuple[int, float]:
    """Which tensor differs most, and by how much."""
    differences = [_difference(a, b) for a, b in zip(got, expected, strict=True)]
    worst = max(range(len(differences)), key=differences.__getitem__)
    return worst, differences[worst]


def _settle(
    step: FlatStep, arguments: Sequence[Tensor], got: Sequence[Tensor], expected: Sequence[Tensor],
    index: int, result: Agreement,
) -> Sequence[Tensor]:
    """Explain a difference by ties and count them; returns what eager gives with them.

    Raises:
        ExportError: They do not explain it.
    """
    other = explain(step, arguments, got, TOLERANCE)
    if other is not None and _worst(got, other.outputs)[1] <= TOLERANCE:
        result.ties += other.ties
        result.nudge = max(result.nudge, other.distance)
        return other.outputs
    worst, difference = _worst(got, expected)
    raise ExportError(
        f'{step.outputs[worst].name}: differs from eager by {difference:.3g} at tick {index}, '
        f'expected at most {TOLERANCE:g} from the same state, and no neuron at its threshold '
        f'explains it')
