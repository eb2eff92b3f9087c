"""Speed and memory of the four fusion strategies, core only: one tick, and a training chunk."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from fusion_core import ACTIONS, NAMES, ours, SIZES, ticking
from interleave import interleaved, machine, print_rows, write
import torch

STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
LANES, TICKS = 16, 16


def training(strategy: str, width: int) -> tuple[Callable[[], object], Callable[[], int]]:
    """A training chunk, and the bytes its graph holds for the backward pass."""
    model = ours(**SIZES['default'], strategy=strategy).train()
    inputs = {name: torch.randn(LANES, TICKS, width) for name in NAMES}

    def step() -> None:
        model.unroll(inputs)[0].sum().backward()

    def held() -> int:
        seen: dict[int, int] = {}

        def pack(value: torch.Tensor) -> torch.Tensor:
            storage = value.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            model.unroll(inputs)[0].sum().backward()
        return sum(seen.values())

    return step, held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(machine())
    size = SIZES['default']
    models = {strategy: ours(**size, strategy=strategy) for strategy in STRATEGIES}
    inputs = {name: torch.randn(1, size['width']) for name in NAMES}
    ticks = interleaved({name: ticking(model.step, inputs) for name, model in models.items()},
                        arguments.rounds)
    chunks = {name: training(name, size['width']) for name in STRATEGIES}
    steps = interleaved({name: step for name, (step, _) in chunks.items()},
                        max(arguments.rounds // 10, 2), warm_up=1, burst=1)
    for name, (_, held) in chunks.items():
        ticks[name]['weights'] = sum(p.numel() for p in models[name].parameters())
        steps[name]['held_megabytes'] = held() / 2**20
    print(f'\none tick, {len(NAMES)} modalities, {ACTIONS} outputs')
    print_rows(ticks, 'early')
    print(f'\ntraining chunk, {LANES} lanes, {TICKS} ticks')
    print_rows(steps, 'early')
    for name in STRATEGIES:
        print(f'{name:26s}{ticks[name]["weights"] / 1e6:6.2f} M weights, '
              f'{steps[name]["held_megabytes"]:.0f} MB held for the backward pass')
    if not arguments.no_write:
        write('strategies', {'tick': ticks, 'training': steps})


if __name__ == '__main__':
    main()
