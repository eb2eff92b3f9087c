"""Training frames a second, small robot config: the stock per-tick loop against ours.

Forward, backward and the update of one chunk of lanes × ticks; peak memory in a process of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import multiprocessing
from pathlib import Path
from typing import Any

from fusion_core import NAMES, ours, SIZES
from interleave import interleaved, machine, print_rows, write
from robot_step import ACTIONS, sensors, SMALL, small, STEPS, stock
from stock_build import StockBuild
import torch

LANES, TICKS = 16, 16


def training_step(name: str) -> Callable[[], object]:
    """One step of 'stock' or 'ours', of the whole model or of the ``core`` alone."""
    torch.manual_seed(0)
    core, mine = name.startswith('core'), name.endswith('ours')
    model: Any
    if core:
        width = SMALL['width']
        inputs = {modality: torch.randn(LANES, TICKS, width) for modality in NAMES}
        model = ours(**SIZES['small']) if mine else StockBuild(
            dict.fromkeys(NAMES), width=width, spiking_units=SMALL['spiking'],
            liquid_units=SMALL['liquid'], output_dim=ACTIONS, num_spike_steps=STEPS)
    else:
        inputs = sensors(64, LANES, TICKS)
        model = small() if mine else stock(**SMALL)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    target = torch.randn(LANES, TICKS, ACTIONS)

    def step() -> None:
        outputs = model.unroll(inputs)
        outputs = outputs[0] if mine else outputs
        optimiser.zero_grad()
        (outputs - target).square().mean().backward()
        optimiser.step()

    return step


def _resident(entry: str) -> float:
    """An entry of /proc/self/status, MB: VmRSS, or its peak VmHWM."""
    status = Path('/proc/self/status').read_text()
    return int(status.partition(f'{entry}:')[2].split()[0]) / 1024


def _peak(name: str, threads: int, answer: Any) -> None:
    torch.set_num_threads(threads)
    step = training_step(name)
    before = _resident('VmRSS')
    for _ in range(2):
        step()
    answer.put(_resident('VmHWM') - before)


def peak_megabytes(name: str, threads: int) -> float:
    """Growth of the resident memory over two steps, in a fresh process."""
    context = multiprocessing.get_context('spawn')
    answer = context.Queue()
    process = context.Process(target=_peak, args=(name, threads, answer))
    process.start()
    result: float = answer.get()
    process.join()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine())
    rows = {}
    for part in ('core', 'whole'):
        names = (f'{part}, stock', f'{part}, ours')
        timed = interleaved({name: training_step(name) for name in names}, arguments.rounds,
                            warm_up=1, burst=1)
        for name, row in timed.items():
            row['frames_per_second'] = LANES * TICKS / row['median_ms'] * 1e3
            row['peak_megabytes'] = peak_megabytes(name, arguments.threads)
        print_rows(timed, names[0])
        for name, row in timed.items():
            print(f'{name:26s}{row["frames_per_second"]:8.0f} frames/s, '
                  f'{row["peak_megabytes"]:.0f} MB')
        rows |= timed
    if not arguments.no_write:
        write('train_unroll', rows)


if __name__ == '__main__':
    main()
