"""One control tick of the fusion core, batch of one: bare products, stock build, twins, ours.

The core is everything behind the preprocessors: four modalities' features in, action out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from interleave import interleaved, machine, operator_calls, print_rows, write
from stock_build import bare_products, KINDS, StockBuild
import torch
from torch import nn

from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork

SIZES = {
    'default': {'width': 512, 'spiking': 128, 'liquid': 256, 'heads': 8},
    'small': {'width': 128, 'spiking': 64, 'liquid': 64, 'heads': 4},
}
NAMES = ('camera', 'sensors', 'lidar', 'audio')
ACTIONS, STEPS = 7, 32


def ours(
    width: int, spiking: int, liquid: int, heads: int, strategy: str = 'hybrid',
    backend: str = 'fused',
) -> MultiModalFusionNetwork:
    configs = {
        name: {'type': 'custom', 'input_dim': width, 'encoder_dim': width, 'dropout': 0.0,
               'spiking_units': spiking, 'liquid_units': liquid, 'num_spike_steps': STEPS,
               'preprocessing': nn.Identity()}
        for name in NAMES
    }
    return MultiModalFusionNetwork(configs, strategy, width, heads, ACTIONS, backend=backend).eval()


def ticking(step: Callable[..., Any], inputs: dict[str, torch.Tensor]) -> Callable[[], object]:
    """A call that goes on from where the last one left, as a robot does."""
    state: Any = None

    @torch.inference_mode()
    def tick() -> None:
        nonlocal state
        _, state = step(inputs, state)[:2]

    return tick


def candidates(size: dict[str, int], strategies: list[str]) -> dict[str, Callable[[], object]]:
    width, spiking, liquid, heads = size.values()
    inputs = {name: torch.randn(1, width) for name in NAMES}
    cases: dict[str, Callable[[], object]] = {
        'bare products': torch.inference_mode()(
            bare_products(len(NAMES), width, spiking, liquid, ACTIONS))}
    for kind in KINDS:
        build = StockBuild(dict.fromkeys(NAMES), width=width, spiking_units=spiking,
                           liquid_units=liquid, output_dim=ACTIONS, num_spike_steps=STEPS,
                           heads=heads, kind=kind).eval()
        cases['stock' if kind == 'liquid' else f'{kind} twin'] = ticking(build.step, inputs)
    for strategy in strategies:
        cases[f'ours, {strategy}'] = ticking(ours(**size, strategy=strategy).step, inputs)
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=100)
    parser.add_argument('--strategies', nargs='+', default=['hybrid'])
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(machine())
    rows = {}
    for name, size in SIZES.items():
        cases = candidates(size, arguments.strategies)
        rows[name] = interleaved(cases, arguments.rounds)
        for case, call in cases.items():
            row = rows[name][case]
            row['operator_calls'] = operator_calls(call)
            row['over_bare'] = row['median_ms'] / rows[name]['bare products']['median_ms']
            row['over_bare_cpu'] = row['cpu_ms'] / rows[name]['bare products']['cpu_ms']
            row['over_stock'] = rows[name]['stock']['median_ms'] / row['median_ms']
        print(f'\n{name}: {size}')
        print_rows(rows[name], 'stock')
        for case, row in rows[name].items():
            print(f'{case:26s}{row["over_bare"]:6.2f}× the bare products '
                  f'({row["over_bare_cpu"]:.2f}× in processor time), '
                  f'{row["operator_calls"]} operator calls')
    if not arguments.no_write:
        write('fusion_core', rows)


if __name__ == '__main__':
    main()
