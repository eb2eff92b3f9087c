"""What a user would assemble today from stock parts, eager: the yardstick of the benches.

Per modality a stock CNN (ResNet-18 for the camera, two Conv1d for the others), Linear,
``snntorch.Leaky`` in a Python loop, mean rate, one step of ``ncps.torch.CfC``, Linear; then
``nn.MultiheadAttention`` over the modalities and an MLP head. Twins replace spikes and liquid
cell by a GRU or LSTM cell of the same width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ncps.torch import CfC
import snntorch
import torch
from torch import nn, Tensor

from liquidspike_ros.core.modality_preprocessing.vision import ResNet18

KINDS = ('liquid', 'gru', 'lstm')


class StockCamera(nn.Module):
    """ResNet-18, global average pool, Linear: ``[B, 3, H, W]`` -> ``[B, width]``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = ResNet18(3)
        self.head = nn.Linear(self.trunk.channels, width)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images).mean((2, 3)))


class StockSignal(nn.Module):
    """Two Conv1d, average pool, Linear: ``[B, C, L]`` -> ``[B, width]``."""

    def __init__(self, channels: int, width: int, stride: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(channels, 32, 5, stride, 2), nn.ReLU(),
            nn.Conv1d(32, 64, 5, stride, 2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, width))

    def forward(self, signal: Tensor) -> Tensor:
        return self.layers(signal)


class StockEncoder(nn.Module):
    """Features of one modality to a token, tick by tick."""

    def __init__(self, width: int, spiking: int, liquid: int, steps: int, kind: str) -> None:
        super().__init__()
        self.kind, self.steps = kind, steps
        self.current = nn.Linear(width, spiking)
        if kind == 'liquid':
            self.leaky = snntorch.Leaky(beta=0.95, learn_beta=True)
            self.cell: nn.Module = CfC(spiking, liquid)
        else:
            self.cell = (nn.GRUCell if kind == 'gru' else nn.LSTMCell)(spiking, liquid)
        self.readout = nn.Linear(liquid, width)

    def forward(self, features: Tensor, state: tuple | None) -> tuple[Tensor, tuple]:
        current = self.current(features)
        if self.kind == 'gru':
            hx = self.cell(torch.sigmoid(current), None if state is None else state[0])
            return self.readout(hx), (hx,)
        if self.kind == 'lstm':
            hx, cx = self.cell(torch.sigmoid(current), state)
            return self.readout(hx), (hx, cx)
        membrane, hx = (self.leaky.init_leaky(), None) if state is None else state
        spikes = []
        for _ in range(self.steps):
            fired, membrane = self.leaky(current, membrane)
            spikes.append(fired)
        rate = torch.stack(spikes).mean(0)
        output, hx = self.cell(rate.unsqueeze(1), hx)
        return self.readout(output[:, 0]), (membrane, hx)


class StockBuild(nn.Module):
    """Stock preprocessors (left out: features come in), encoders, attention, head."""

    def __init__(
        self,
        modalities: Mapping[str, nn.Module | None],
        *,
        width: int,
        spiking_units: int,
        liquid_units: int,
        output_dim: int,
        num_spike_steps: int = 32,
        heads: int = 4,
        kind: str = 'liquid',
    ) -> None:
        super().__init__()
        self.preprocessors = nn.ModuleDict(
            {name: module or nn.Identity() for name, module in modalities.items()})
        self.encoders = nn.ModuleDict({
            name: StockEncoder(width, spiking_units, liquid_units, num_spike_steps, kind)
            for name in modalities})
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width * len(modalities), width), nn.ReLU(),
                                  nn.Linear(width, output_dim))

    def step(self, inputs: Mapping[str, Tensor], state: dict | None) -> tuple[Tensor, dict]:
        tokens, after = [], {}
        for name, encoder in self.encoders.items():
            features = self.preprocessors[name](inputs[name])
            token, after[name] = encoder(features, None if state is None else state[name])
            tokens.append(token)
        stacked = torch.stack(tokens, 1)
        attended, _ = self.attention(stacked, stacked, stacked, need_weights=False)
        return self.head(attended.flatten(1)), after

    def unroll(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Training as it is done with stock parts: one tick after the other."""
        state, outputs = None, []
        for tick in range(next(iter(inputs.values())).shape[1]):
            output, state = self.step({name: x[:, tick] for name, x in inputs.items()}, state)
            outputs.append(output)
        return torch.stack(outputs, 1)


def bare_products(
    modalities: int, width: int, spiking: int, liquid: int, output_dim: int, batch: int = 1
) -> Callable[[], object]:
    """The matrix products of a ``StockBuild`` behind its preprocessors, and nothing else.

    Every weight is read once, in a product of its own of the shape that the stock build has.
    """
    backbone = 128
    shapes = modalities * [(batch, width, spiking), (batch, spiking + liquid, backbone),
                           (batch, backbone, 4 * liquid), (batch, liquid, width)]
    shapes += [(batch * modalities, width, 3 * width), (batch * modalities, width, width),
               (batch, modalities * width, width), (batch, width, output_dim)]
    products = [(torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(columns))
                for rows, inner, columns in shapes]

    def run() -> None:
        for x, weight, bias in products:
            nn.functional.linear(x, weight, bias)

    return run
