"""Training frames a second and peak memory, small robot config, 16 lanes × 16 ticks.

One call is one step of training: forward, backward and update over a chunk of lanes × ticks. The
stock build and its twins walk through it tick by tick, as it is done with stock parts; ours takes
the chunk whole. The bare products are those of the forward and the backward pass. Peak memory is
the growth of a process of its own over two steps.

core   everything behind the preprocessors
whole  raw sensors to loss, 64² camera
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
import multiprocessing
from pathlib import Path
from typing import Any

from bare_products import bare_products_of
from comparison import Bench, Rows, Section
from fusion_core import ACTIONS, named, NAMES, ours, SIZES, stock_core
from pictures import Panel
from robot_step import sensors, SMALL, small, stock
from stock_build import KINDS
import torch

LANES, TICKS = 16, 16
BUILDS = {named(kind): kind for kind in KINDS}


def training_step(part: str, case: str) -> Callable[[], object]:
    """One step of ``case``, 'ours' or one of ``BUILDS``, of the 'whole' model or the 'core'."""
    torch.manual_seed(0)
    model: Any
    if part == 'core':
        inputs = {name: torch.randn(LANES, TICKS, SMALL['width']) for name in NAMES}
        model = ours(**SIZES['small']) if case == 'ours' else stock_core(
            **SIZES['small'], kind=BUILDS[case])
    else:
        inputs = sensors(64, LANES, TICKS)
        model = small() if case == 'ours' else stock(**SMALL, kind=BUILDS[case])
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    target = torch.randn(LANES, TICKS, ACTIONS)

    def step() -> None:
        outputs = model.unroll(inputs)
        outputs = outputs[0] if case == 'ours' else outputs
        optimiser.zero_grad()
        (outputs - target).square().mean().backward()
        optimiser.step()

    return step


def training_steps(part: str) -> dict[str, Callable[[], object]]:
    steps = {case: training_step(part, case) for case in (*BUILDS, 'ours')}
    return {'bare products': bare_products_of(steps['stock']), **steps,
            'our bare products': bare_products_of(steps['ours'])}


def _resident(entry: str) -> float:
    """An entry of /proc/self/status, MB: VmRSS, or its peak VmHWM."""
    status = Path('/proc/self/status').read_text()
    return int(status.partition(f'{entry}:')[2].split()[0]) / 1024


def peak_megabytes(part: str, case: str, threads: int) -> float:
    """Growth of the resident memory over two steps; wants a fresh process."""
    torch.set_num_threads(threads)
    step = training_step(part, case)
    before = _resident('VmRSS')
    for _ in range(2):
        step()
    return _resident('VmHWM') - before


def frames_and_memory(part: str, rows: Rows) -> None:
    for case, row in rows.items():
        row['frames_per_second'] = LANES * TICKS / row['median_ms'] * 1e3
        if case in (*BUILDS, 'ours'):
            with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as fresh:
                row['peak_megabytes'] = fresh.submit(
                    peak_megabytes, part, case, torch.get_num_threads()).result()


def memory(part: str, title: str) -> Panel:
    return Panel(section=part, key='peak_megabytes', unit=' MB', note='', log=False,
                 title=f'{title}: peak memory of a step (shorter is better)')


BENCH = Bench(
    name='train_throughput', doc=__doc__, rounds=5,
    title='Training, small robot config, 16 lanes × 16 ticks',
    sections=[
        Section(name=part, about=about, build=partial(training_steps, part), burst=1,
                measure=partial(frames_and_memory, part))
        for part, about in (('core', 'spiking 64, liquid 64, 32 spike steps, width 128'),
                            ('whole', 'the same behind a 64² camera, IMU, LiDAR and audio'))
    ],
    panels=[
        Panel(section='whole', bar=6, note='{frames_per_second} frames/s',
              title='raw sensors to loss: times faster than the stock loop'),
        memory('whole', 'raw sensors to loss'),
        Panel(section='core', bar=6, note='{frames_per_second} frames/s',
              title='fusion core: times faster than the stock loop'),
        memory('core', 'fusion core'),
    ],
    columns={'frames_per_second': '.0f', 'peak_megabytes': '.0f', 'over_bare': '.2f',
             'operator_calls': 'd'},
)

if __name__ == '__main__':
    BENCH.main()
