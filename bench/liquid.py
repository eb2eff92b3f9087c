"""CfC cells: stock ncps, GRU, LSTM and ours over a sequence, forward and backward."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from interleave import interleaved, machine, print_rows, write
from ncps.torch import CfC as StockCfC
import torch
from torch import nn

from liquidspike_ros.core.liquid import CfC


def cases(
    batch: int, ticks: int, inputs: int, units: int, train: bool
) -> dict[str, Callable[[], object]]:
    x = torch.randn(batch, ticks, inputs)
    cells: dict[str, nn.Module] = {
        'stock': StockCfC(inputs, units), 'gru': nn.GRU(inputs, units, batch_first=True),
        'lstm': nn.LSTM(inputs, units, batch_first=True), 'ours': CfC(inputs, units)}

    def calling(cell: nn.Module) -> Callable[[], object]:
        def call() -> None:
            outputs = cell(x)[0]
            if train:
                outputs.sum().backward()
        return (torch.enable_grad() if train else torch.inference_mode())(call)

    return {name: calling(cell) for name, cell in cells.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(machine())
    rows = {}
    for batch, ticks, inputs, units, train in (
            (1, 1, 64, 256, False), (1, 32, 64, 256, True), (16, 16, 64, 64, True)):
        name = (f'{inputs}->{units}, batch {batch}, {ticks} ticks, '
                f'{"forward + backward" if train else "forward"}')
        rows[name] = interleaved(cases(batch, ticks, inputs, units, train), arguments.rounds)
        print(f'\n{name}')
        print_rows(rows[name], 'stock')
    if not arguments.no_write:
        write('liquid', rows)


if __name__ == '__main__':
    main()
