"""A liquid cell with an LSTM memory beside it and a projection after it.

A liquid state forgets exponentially; the LSTM cell keeps what it must for as long as it must. At
every tick the LSTM writes the hidden state from which the liquid cell then goes on::

    h, c = LSTM(x, (h, c));   y, h = cell(x, h, dt)

Source: Lechner and Hasani, 'Learning long-term dependencies in irregularly-sampled time series',
2020. Names and values follow ``ncps.torch.CfC`` and ``ncps.torch.LTC`` with
``mixed_memory=True``, whose ``state_dict`` loads.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor

from .cfc import CfC
from .ltc import LTC
from .timespans import checked_state, timespans_like
from .wired import WiredCfC


class LSTMMemory(nn.Module):
    """The LSTM cell of ncps, one tick at a time; its forget gate is biased by +1.

    Args:
        input_size: Width ``I`` of the input.
        units: Width ``H`` of hidden state and cell.
    """

    def __init__(self, input_size: int, units: int) -> None:
        super().__init__()
        self.input_map = nn.Linear(input_size, 4 * units)
        self.recurrent_map = nn.Linear(units, 4 * units, bias=False)
        nn.init.xavier_uniform_(self.input_map.weight)
        nn.init.uniform_(self.input_map.bias, -0.1, 0.1)
        nn.init.orthogonal_(self.recurrent_map.weight)

    def forward(self, drive: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One tick.

        Args:
            drive: ``input_map`` of the input ``[B, 4H]``.
            h: Hidden state ``[B, H]``.
            c: Cell ``[B, H]``.

        Returns:
            Hidden state and cell ``[B, H]`` afterwards, in the precision of ``c``.
        """
        value, enter, forget, leave = (drive + self.recurrent_map(h)).to(c.dtype).chunk(4, 1)
        c = c * torch.sigmoid(forget + 1.0) + torch.tanh(value) * torch.sigmoid(enter)
        return torch.tanh(c) * torch.sigmoid(leave), c


class LiquidLayer(nn.Module):
    """A liquid cell, optionally with mixed memory and a projection; holds no state.

    Args:
        cell: Any liquid cell.
        mixed_memory: Whether an LSTM cell stands beside it. The state is then twice as wide: the
            liquid state and the LSTM's cell side by side, ``[B, 2H]``.
        proj_size: Width the outputs are projected to; None for none.

    Raises:
        ValueError: ``proj_size`` is out of range.
    """

    def __init__(
        self,
        cell: CfC | LTC | WiredCfC,
        *,
        mixed_memory: bool = False,
        proj_size: int | None = None,
    ) -> None:
        super().__init__()
        if proj_size is not None and proj_size < 1:
            raise ValueError(f'proj_size: got {proj_size!r}, expected at least 1 or None')
        self.rnn_cell = cell
        self.lstm = LSTMMemory(cell.input_size, cell.units) if mixed_memory else None
        self.fc = nn.Identity() if proj_size is None else nn.Linear(cell.output_size, proj_size)
        self.input_size, self.units, self.dt_scale = cell.input_size, cell.units, cell.dt_scale
        self.output_size: int = proj_size or cell.output_size

    @property
    def state_size(self) -> int:
        """Width of ``hx``."""
        return self.units if self.lstm is None else 2 * self.units

    def forward(
        self, inputs: Tensor, hx: Tensor | None = None, timespans: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Walk through a sequence.

        Args:
            inputs: ``[B, T, I]``.
            hx: State ``[B, state_size]``; rest (zeros) if None.
            timespans: Seconds, in any form ``timespans_like`` takes; one nominal tick if None.

        Returns:
            Outputs ``[B, T, output_size]`` and the state ``[B, state_size]``.

        Raises:
            ValueError: Inputs, state or timespans of another shape, or an empty sequence.
        """
        hx = checked_state(inputs, hx, self.input_size, self.state_size)
        if self.lstm is None:
            outputs, hx = self.rnn_cell(inputs, hx, timespans)
            return self.fc(outputs), hx
        dt = 1.0 / self.dt_scale if timespans is None else timespans
        seconds = timespans_like(dt, inputs.shape[0], inputs.shape[1], hx)
        h, c = hx.chunk(2, 1)
        ticks = []
        drives = self.lstm.input_map(inputs).unbind(1)
        for x, drive, span in zip(inputs.split(1, 1), drives, seconds.split(1, 1), strict=True):
            h, c = self.lstm(drive, h, c)
            output, h = self.rnn_cell(x, h, span)
            ticks.append(output)
        return self.fc(torch.cat(ticks, 1)), torch.cat([h, c], 1)
