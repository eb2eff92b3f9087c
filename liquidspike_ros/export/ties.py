"""Neurons that stand at their threshold: what eager gives when they fall to the other side.

Where a membrane meets the threshold to within rounding, two correct programs may differ by one
spike, and a spike shifts a rate by ``1 / num_spike_steps`` and a membrane by the threshold. Here
the eager model itself is asked what else it could have said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import copy
from dataclasses import dataclass
from itertools import product
import math

import torch
from torch import Tensor

from ..core.multimodal_fusion.encoder import ModalityEncoder
from .flat_step import FlatStep, nest_state

MEMBRANE = '.membrane'
MOST_RUNS = 243  # three ways each for five neurons in one tick
NOTICED = 5e-5  # a change of a membrane below this changes nothing that matters


@dataclass(frozen=True)
class Alternative:
    """What eager gives with a few thresholds moved.

    Attributes:
        outputs: Of the step.
        neurons: How many thresholds were moved.
    """

    outputs: tuple[Tensor, ...]
    neurons: int


@torch.no_grad()
def alternatives(
    step: FlatStep, arguments: Sequence[Tensor], nudge: float
) -> Iterator[Alternative]:
    """Eager's outputs with the neurons at their threshold on the other side, in all combinations.

    Args:
        step: The eager model.
        arguments: Of the step.
        nudge: How far a threshold is moved; neurons that this does not push over are left alone.
    """
    plain = _spiking(step, arguments)
    ways: dict[tuple[str, int], list[float]] = {}
    for amount in (-nudge, nudge):
        moved = copy.deepcopy(step)
        for entry in plain:
            _encoder(moved, entry).population.threshold.add_(amount)
        for entry, (rates, membrane) in _spiking(moved, arguments).items():
            # A moved threshold is also taken off at every spike, which is not what is looked for.
            allowed = NOTICED + _encoder(step, entry).num_spike_steps * nudge
            pushed = (rates != plain[entry][0]) | ((membrane - plain[entry][1]).abs() > allowed)
            for neuron in pushed.any(0).nonzero().flatten().tolist():
                ways.setdefault((entry, neuron), [0.0]).append(amount)
    if math.prod(map(len, ways.values())) > MOST_RUNS:
        return
    for choice in product(*ways.values()):
        if any(choice):
            moved = copy.deepcopy(step)
            for (entry, neuron), amount in zip(ways, choice, strict=True):
                _encoder(moved, entry).population.threshold[neuron] += amount
            yield Alternative(moved(*arguments), sum(map(bool, choice)))


def _encoder(step: FlatStep, entry: str) -> ModalityEncoder:
    """The encoder whose membranes are the state's entry of that name."""
    found = step.model.network.fusion.get_submodule(entry.removesuffix(MEMBRANE))
    assert isinstance(found, ModalityEncoder)
    return found


def _spiking(step: FlatStep, arguments: Sequence[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Spike rates and membranes ``[B, N]`` after a tick, by entry of the state."""
    count, sizes = len(step.modalities), step.model.network.state_sizes
    inputs = dict(zip(step.modalities, arguments[:count], strict=True))
    _, state, info = step.model.step(inputs, nest_state(sizes, arguments[count + 2:]),
                                     arguments[count + 1], arguments[count], return_info=True)
    after = dict(zip(step.state, step.flatten(state), strict=True))
    return {entry: (info.spike_rates[entry.split('.')[-2]], membrane)
            for entry, membrane in after.items() if entry.endswith(MEMBRANE)}
