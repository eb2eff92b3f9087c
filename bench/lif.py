"""A spiking population alone: one tick of 32 spike steps, currents in, firing rates out.

stock        snntorch.Leaky in a Python loop, its spikes stacked and averaged
gru, lstm    one step of a cell of the same width, which is what would stand there without spikes
bare copies  reading current and membrane and writing rate and membrane once, and in training their
             gradients once more: there are no products here, moving the numbers is the limit
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from comparison import Bench, Rows, Section
from pictures import Panel
import snntorch
import torch
from torch import nn, Tensor

from liquidspike_ros.core.spiking.rates import spike_rates
from liquidspike_ros.core.spiking.surrogates import spike_gradient

STEPS = 32
SHAPES = ((1, 128), (1, 512), (256, 256))


def populations(batch: int, units: int, train: bool) -> dict[str, Callable[[], object]]:
    """Everything that turns currents ``[batch, units]`` into rates of the same shape."""
    current = torch.rand(batch, units, requires_grad=train)
    leaky = snntorch.Leaky(beta=0.95)
    beta, threshold = torch.full((units,), 0.95), torch.ones(units)
    surrogate = spike_gradient('atan')
    gru, lstm = nn.GRUCell(units, units), nn.LSTMCell(units, units)
    copies = [(torch.rand(batch, units), torch.empty(batch, units))
              for _ in range(4 if train else 2)]

    def stock() -> Tensor:
        membrane, spikes = leaky.init_leaky(), []
        for _ in range(STEPS):
            fired, membrane = leaky(current, membrane)
            spikes.append(fired)
        return torch.stack(spikes).mean(0)

    def ours() -> Tensor:
        return spike_rates(current.unsqueeze(0), torch.zeros(batch, units), beta, threshold,
                           STEPS, surrogate)[0]

    def bare() -> None:
        for source, target in copies:
            target.copy_(source)

    def calling(rates: Callable[[], Any]) -> Callable[[], object]:
        def call() -> None:
            result = rates()
            if train:
                result.sum().backward()

        return (torch.enable_grad() if train else torch.inference_mode())(call)

    return {'bare copies': torch.inference_mode()(bare), 'stock': calling(stock),
            'gru twin': calling(lambda: gru(current)),
            'lstm twin': calling(lambda: lstm(current)[0]), 'ours': calling(ours)}


def over_copies(rows: Rows) -> None:
    for row in rows.values():
        row['over_bare'] = row['median_ms'] / rows['bare copies']['median_ms']


NAMES = {f'{batch}x{units}, {"forward + backward" if train else "forward"}': (batch, units, train)
         for batch, units in SHAPES for train in (False, True)}
BENCH = Bench(
    name='lif', doc=__doc__, title='A spiking population, 32 spike steps, against snntorch',
    rounds=40,
    sections=[Section(name=name, about=f'batch {batch}, {units} neurons',
                      build=partial(populations, batch, units, train), measure=over_copies)
              for name, (batch, units, train) in NAMES.items()],
    panels=[Panel(section=name, title=f'batch {batch}, {units} neurons, '
                  f'{"forward and backward" if train else "forward"}: times faster than snntorch')
            for name, (batch, units, train) in NAMES.items()],
    columns={'over_bare': '.1f', 'operator_calls': 'd'},
)

if __name__ == '__main__':
    BENCH.main()
