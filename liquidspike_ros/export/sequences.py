"""Random sequences to drive an exported step with: what a robot may send, and the odd cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .flat_step import FlatStep

LONG_GAP = 1.0  # s without a tick: a loaded machine, a paused clock


@dataclass(frozen=True)
class StepInputs:
    """What goes into one tick besides the state.

    Attributes:
        senses: One tensor per modality; NaN in rows where it is absent, for nothing there may
            reach the output.
        present: bool ``[B, M]``, at least one per row.
        dt: s, ``[B]``.
        reset: Whether the state starts from rest at this tick.
    """

    senses: tuple[Tensor, ...]
    present: Tensor
    dt: Tensor
    reset: bool

    @property
    def arguments(self) -> list[Tensor]:
        """The inputs of the step that are not state, in their order."""
        return [*self.senses, self.present, self.dt]


def random_ticks(step: FlatStep, count: int = 48, seed: int = 0) -> list[StepInputs]:
    """Ticks of random content, presence and time step.

    The first has everything, the next ones each modality alone, then comes one at which everything
    is there but nothing is felt or heard (zeros, digital silence), then any subset. Time steps are
    0, one period, anything up to three periods, or ``LONG_GAP``. There is one reset half-way and
    some by chance.

    Camera frames are never of one flat colour: the 'efficient' trunk normalises contrast, and where
    there is none it magnifies rounding errors a thousandfold, in eager as in anything else.
    """
    draw = torch.Generator().manual_seed(seed)
    batch, modalities = step.inputs[0].shape[0], len(step.modalities)
    ticks = []
    for index in range(count):
        present = _presence(index, batch, modalities, draw)
        senses = tuple(
            _content(port.name, port.shape, draw, silent=index == modalities + 1).masked_fill_(
                ~column.reshape(-1, *[1] * (len(port.shape) - 1)), torch.nan)
            for port, column in zip(step.inputs, present.unbind(1), strict=False))
        chance = float(torch.rand((), generator=draw))
        ticks.append(StepInputs(senses, present, _spans(index, batch, step, draw),
                          reset=index in (0, count // 2) or chance < 0.06))
    return ticks


def _presence(index: int, batch: int, count: int, draw: torch.Generator) -> Tensor:
    if index <= count + 1:
        alone = torch.arange(count) == index - 1
        return (alone | (index in (0, count + 1))).expand(batch, count).clone()
    present = torch.rand(batch, count, generator=draw) < 0.7
    lonely = torch.randint(count, (batch, 1), generator=draw)
    return present.scatter(1, lonely, present.gather(1, lonely) | ~present.any(1, keepdim=True))


def _spans(index: int, batch: int, step: FlatStep, draw: torch.Generator) -> Tensor:
    period = 1.0 / step.model.config['control_rate']
    if index % 8 == 7:
        return torch.full((batch,), LONG_GAP)
    if index % 4 == 3:
        return torch.zeros(batch)
    if index % 2:
        return torch.full((batch,), period)
    return torch.rand(batch, generator=draw) * 3 * period


def _content(
    name: str, shape: tuple[int, ...], draw: torch.Generator, silent: bool
) -> Tensor:
    """In the range that a sensor has."""
    if silent and name != 'camera':
        return torch.zeros(shape)
    if name == 'sensors':
        return torch.randn(shape, generator=draw)
    if name == 'audio':
        loudness = float(torch.rand((), generator=draw)) - 0.2
        noise = torch.randn(shape, generator=draw) * max(0.0, loudness) * 0.3
        return noise.clamp_(-1, 1)
    value = torch.rand(shape, generator=draw)
    if name == 'lidar':
        value[:, 1] = (value[:, 1] < 0.9).float()
        value[:, 0] *= value[:, 1]  # invalid beams read zero
    return value
