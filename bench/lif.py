"""LIF populations, 32 steps: snntorch's loop against one autograd node, forward and backward."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from interleave import interleaved, machine, print_rows, write
import snntorch
import torch

from liquidspike_ros.core.neurons import spike_gradient
from liquidspike_ros.core.spike_rates import spike_rates

STEPS = 32


def pair(batch: int, units: int, train: bool) -> dict[str, Callable[[], object]]:
    current = torch.rand(batch, units, requires_grad=train)
    leaky = snntorch.Leaky(beta=0.95)
    beta, threshold = torch.full((units,), 0.95), torch.ones(units)
    surrogate = spike_gradient('atan')

    def stock() -> None:
        membrane, spikes = leaky.init_leaky(), []
        for _ in range(STEPS):
            fired, membrane = leaky(current, membrane)
            spikes.append(fired)
        rate = torch.stack(spikes).mean(0)
        if train:
            rate.sum().backward()

    def ours() -> None:
        rate, _ = spike_rates(current.unsqueeze(0), torch.zeros(batch, units), beta, threshold,
                              STEPS, surrogate)
        if train:
            rate.sum().backward()

    guard = torch.enable_grad() if train else torch.inference_mode()
    return {'stock': guard(stock), 'ours': guard(ours)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine())
    rows = {}
    for batch, units in ((1, 128), (1, 512), (256, 256)):
        for train in (False, True):
            name = f'{batch}x{units}, {"forward + backward" if train else "forward"}'
            rows[name] = interleaved(pair(batch, units, train), arguments.rounds)
            print(f'\n{name}')
            print_rows(rows[name], 'stock')
    if not arguments.no_write:
        write('lif', rows)


if __name__ == '__main__':
    main()
