"""A liquid cell alone, tick after tick: ncps' CfC, a GRU, an LSTM and ours, of the same width.

The bare products are those of a CfC: per tick inputs and state into a backbone of 128, that into
four heads at once; in training the products of the backward pass too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bare_products import bare_products_of
from comparison import Bench, Section
from ncps.torch import CfC as StockCfC
from pictures import Panel
import torch
from torch import nn

from liquidspike_ros.core.liquid import CfC

BACKBONE = 128


class Products(nn.Module):
    """A CfC without anything but its products: the state is what the heads give, added up."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.backbone = nn.Linear(inputs + units, BACKBONE)
        self.heads = nn.Linear(BACKBONE, 4 * units)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        hx, outputs = x.new_zeros(x.shape[0], self.heads.out_features // 4), []
        for now in x.unbind(1):
            hx = self.heads(self.backbone(torch.cat([now, hx], 1))).unflatten(1, (4, -1)).mean(1)
            outputs.append(hx)
        return (torch.stack(outputs, 1),)


def cells(batch: int, ticks: int, inputs: int, units: int, train: bool
          ) -> dict[str, Callable[[], object]]:
    """Every cell on the same sequence ``[batch, ticks, inputs]``."""
    x = torch.randn(batch, ticks, inputs)

    def calling(cell: nn.Module) -> Callable[[], object]:
        def call() -> None:
            outputs = cell(x)[0]
            if train:
                outputs.sum().backward()
        return (torch.enable_grad() if train else torch.inference_mode())(call)

    return {'bare products': bare_products_of(calling(Products(inputs, units))),
            'stock': calling(StockCfC(inputs, units)),
            'gru twin': calling(nn.GRU(inputs, units, batch_first=True)),
            'lstm twin': calling(nn.LSTM(inputs, units, batch_first=True)),
            'ours': calling(CfC(inputs, units))}


SHAPES = ((1, 1, 64, 256, False), (1, 32, 64, 256, True), (16, 16, 64, 64, True))
NAMES = {f'{inputs}->{units}, batch {batch}, {ticks} ticks, '
         f'{"forward + backward" if train else "forward"}': (batch, ticks, inputs, units, train)
         for batch, ticks, inputs, units, train in SHAPES}
BENCH = Bench(
    name='liquid', doc=__doc__, title='A liquid cell (CfC) against ncps', rounds=30,
    sections=[Section(name=name, about=f'{shape[3]} units', build=partial(cells, *shape))
              for name, shape in NAMES.items()],
    panels=[Panel(section=name, title=f'{name.replace("->", " → ")}: times faster than ncps')
            for name in NAMES],
    columns={'over_bare': '.2f', 'operator_calls': 'd'},
)

if __name__ == '__main__':
    BENCH.main()
