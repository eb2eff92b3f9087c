"""Speed and memory of the four fusion strategies, of the core behind the preprocessors.

tick         one control tick, batch of one, default sizes
tick, small  the same in the small robot config
training     forward and backward over 16 lanes × 16 ticks, default sizes

Speed and memory over early fusion's, 1.0, are the user's table: 0.8× the speed is slower, 1.3× the
memory is more. Memory is what training needs: weights, gradients and AdamW's two moments (16 bytes
a weight), and what is held from the forward to the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bare_products import bare_products_of
from comparison import Bench, Rows, Section
from fusion_core import candidates, named, NAMES, ours, SIZES, stock_core
from pictures import Panel
from stock_build import KINDS
import torch

STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
LANES, TICKS = 16, 16
SIZE = SIZES['default']


def model_of(case: str) -> Any:
    if case.startswith('ours'):
        return ours(**SIZE, strategy=case.partition(', ')[2])
    return stock_core(**SIZE, kind={named(kind): kind for kind in KINDS}[case])


def chunk(case: str) -> Callable[[], object]:
    """Forward and backward over a chunk."""
    model = model_of(case).train()
    inputs = {name: torch.randn(LANES, TICKS, SIZE['width']) for name in NAMES}

    def step() -> None:
        outputs = model.unroll(inputs)
        (outputs[0] if case.startswith('ours') else outputs).sum().backward()

    return step


def chunks() -> dict[str, Callable[[], object]]:
    cases = [*map(named, KINDS), *(f'ours, {strategy}' for strategy in STRATEGIES)]
    steps = {case: chunk(case) for case in cases}
    return {'bare products': bare_products_of(steps['stock']), **steps}


def held_megabytes(step: Callable[[], object]) -> float:
    """What a step's graph holds for the backward pass."""
    seen: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        step()
    return sum(seen.values()) / 2**20


def against_early(rows: Rows) -> None:
    for row in rows.values():
        row['speed_over_early'] = rows['ours, early']['median_ms'] / row['median_ms']


def sizes(rows: Rows) -> None:
    for case, row in rows.items():
        if case != 'bare products':
            row['weights'] = sum(p.numel() for p in model_of(case).parameters())
    against_early(rows)


def memory(rows: Rows) -> None:
    sizes(rows)
    for case, row in rows.items():
        if 'weights' in row:
            row['held_megabytes'] = held_megabytes(chunk(case))
            row['memory_megabytes'] = row['held_megabytes'] + 16 * row['weights'] / 2**20
    for row in rows.values():
        if 'weights' in row:
            row['memory_over_early'] = (row['memory_megabytes']
                                        / rows['ours, early']['memory_megabytes'])


BENCH = Bench(
    name='strategies', doc=__doc__, title='The four fusion strategies, fusion core',
    rounds=40,
    sections=[
        Section(name='tick', about=f'{len(NAMES)} modalities, batch of one',
                build=partial(candidates, SIZE, list(STRATEGIES)), measure=sizes),
        Section(name='tick, small', about='spiking 64, liquid 64, width 128, batch of one',
                build=partial(candidates, SIZES['small'], list(STRATEGIES)),
                measure=against_early),
        Section(name='training', about=f'{LANES} lanes, {TICKS} ticks, forward and backward',
                build=chunks, share=0.1, burst=1, measure=memory),
    ],
    panels=[
        Panel(section='tick', title='one control tick, default sizes: times faster than stock'),
        Panel(section='tick, small', title='one control tick, small sizes: times faster than '
              'stock'),
        Panel(section='training', title=f'training on {LANES} lanes × {TICKS} ticks: '
              f'times faster than the stock loop'),
        Panel(section='training', key='memory_megabytes', unit=' MB', log=False,
              note='({held_megabytes} of them held)',
              title='training: weights, gradients, moments and what is held for the backward '
              'pass (shorter is better)'),
    ],
    columns={'speed_over_early': '.2f', 'memory_over_early': '.2f', 'over_bare': '.2f',
             'held_megabytes': '.0f', 'weights': 'd', 'operator_calls': 'd'},
)

if __name__ == '__main__':
    BENCH.main()
