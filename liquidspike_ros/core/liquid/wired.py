"""Neural circuit policies: CfC cells along a sparse wiring of sensory, inter, command and motor
neurons.

Each layer of the wiring is a CfC without backbone. Its target heads (``ff1``, ``ff2``) see only
the neurons of the layer before that the wiring connects, and all of their own layer; its time
heads see everything, as in ncps. The last layer's state is the output.

A layer depends on the layer before at the same tick and on itself at the tick before, so each
goes over the whole sequence at once.

Source: Lechner et al., 'Neural circuit policies enabling auditable autonomy', Nature Machine
Intelligence 2, 2020. Names and values follow ``ncps.torch.WiredCfCCell``.
"""

from __future__ import annotations

from typing import Any

from ncps.wirings import AutoNCP, Wiring
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

from ...untrusted.text import brief
from ..dispatch import BACKENDS, require_plain_layers, why_call
from ..sizes import LARGEST_NCP
from .cfc import CfC
from .ltc import built_wiring
from .timespans import checked_state, timespans_like

LEAST_UNITS = 4  # one neuron of each kind, and AutoNCP wants outputs < units − 2


def auto_ncp(
    units: int, outputs: int | None = None, sparsity: float = 0.5, seed: int = 22222
) -> AutoNCP:
    """The wiring ``ncps.wirings.AutoNCP``, with errors that name the argument.

    Args:
        units: Neurons altogether.
        outputs: Motor neurons; three of ten neurons if None.
        sparsity: Share of synapses left out, in [0.1, 0.9].
        seed: Of the wiring; the same seed gives the same wiring.

    Raises:
        ValueError: An argument is out of range.
    """
    if not LEAST_UNITS <= units <= LARGEST_NCP:
        raise ValueError(f'units: got {brief(units)}, expected at least {LEAST_UNITS} and at most '
                         f'{LARGEST_NCP} for an NCP')
    if outputs is None:
        outputs = min(max(round(0.3 * units), 1), units - 3)
    if not 1 <= outputs <= units - 3:
        raise ValueError(f'outputs: got {outputs!r}, expected 1 to {units - 3} (units − 3)')
    if not 0.1 <= sparsity <= 0.9:
        raise ValueError(f'sparsity: got {sparsity!r}, expected a share in [0.1, 0.9]')
    return AutoNCP(units, outputs, sparsity_level=sparsity, seed=seed)


class WiredCfC(nn.Module):
    """CfC cells along a wiring; holds parameters, never state.

    Args:
        input_size: Width ``I`` of the input.
        wiring: Any ``ncps.wirings.Wiring`` (copied), for example from ``auto_ncp``.
        mode: ``'default'``, ``'pure'`` or ``'no_gate'``.
        dt_scale: Timespan units per second.
        backend: ``'fused'``, or ``'reference'`` for stock ``ncps.torch.WiredCfCCell``.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        wiring: Wiring,
        *,
        mode: str = 'default',
        dt_scale: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f'input_size: got {input_size!r}, expected at least 1')
        if not isinstance(wiring, Wiring):
            raise ValueError(f'wiring: got {type(wiring).__name__}, '
                             f'expected an ncps.wirings.Wiring')
        if backend not in BACKENDS:
            raise ValueError(f'backend: got {backend!r}, expected one of {", ".join(BACKENDS)}')
        self.wiring = built_wiring(wiring, input_size)
        self.input_size, self.units = input_size, int(self.wiring.units)
        self.mode, self.dt_scale, self.backend = mode, dt_scale, backend
        self.layer_sizes = []
        for index, mask in enumerate(_layer_masks(self.wiring)):
            outputs, inputs = mask.shape[0], mask.shape[1] - mask.shape[0]
            self.add_module(f'layer_{index}', _WiredLayer(inputs, mask, mode))
            self.layer_sizes.append(outputs)

    @property
    def state_size(self) -> int:
        """Width of ``hx``: the layers' states, inter neurons first."""
        return self.units

    @property
    def output_size(self) -> int:
        """Width of the outputs: motor neurons."""
        return self.layer_sizes[-1]

    def forward(
        self, inputs: Tensor, hx: Tensor | None = None, timespans: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Walk through a sequence.

        Args:
            inputs: ``[B, T, I]``.
            hx: State ``[B, units]``; rest (zeros) if None.
            timespans: Seconds, in any form ``timespans_like`` takes; one nominal tick if None.

        Returns:
            Motor neurons ``[B, T, output_size]`` and the state ``[B, units]``.

        Raises:
            ValueError: Inputs, state or timespans of another shape, or an empty sequence.
        """
        hx = checked_state(inputs, hx, self.input_size, self.units)
        dt = 1.0 / self.dt_scale if timespans is None else timespans
        spans = timespans_like(dt, inputs.shape[0], inputs.shape[1], hx) * self.dt_scale
        if self.backend == 'reference':
            from .reference import wired_cfc_reference

            require_plain_layers(self, 'ncps')
            return wired_cfc_reference(self, inputs, hx, spans)
        after = []
        for layer, state in zip(self.children(), hx.split(self.layer_sizes, 1), strict=True):
            inputs, state = layer(inputs, state, spans)
            after.append(state)
        return inputs, torch.cat(after, 1)

    def upstream_weights(self) -> dict[str, Tensor]:
        """Parameters and masks under the names of ``ncps.torch.WiredCfCCell``; gradients flow."""
        weights: dict[str, Tensor] = {}
        for name, layer in self.named_children():
            assert isinstance(layer, _WiredLayer)
            weights[f'{name}.sparsity_mask'] = layer.sparsity_mask
            weights |= {f'{name}.{key}': value
                        for key, value in layer.cell.upstream_weights().items()}
        return weights

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return f'{self.input_size}, {type(self.wiring).__name__}, backend={self.backend!r}'


class MaskedHeads(nn.Linear):
    """The heads of a cell, of which the first ``masked`` outputs see what the wiring connects.

    Args:
        heads: Those of a CfC, whose weights it takes over.
        layer: Holds the mask ``[H, I + H]``, under the name that ncps gives it.
        masked: Outputs; time heads, which come last, see everything.
    """

    def __init__(self, heads: nn.Linear, layer: _WiredLayer, masked: int) -> None:
        super().__init__(heads.in_features, heads.out_features, device='meta')
        self.weight, self.bias = heads.weight, heads.bias
        self._layer, self._masked = [layer], masked  # in a list: not a part of its part

    def masked_weight(self) -> Tensor:
        """The weight ``[O, I + H]`` with zeros where nothing is connected."""
        targets, times = self.weight.split([self._masked, self.out_features - self._masked])
        mask = self._layer[0].sparsity_mask
        return torch.cat([targets * mask.repeat(self._masked // len(mask), 1), times])

    def forward(self, input: Tensor) -> Tensor:
        """``[..., I + H]`` -> ``[..., O]``."""
        return functional.linear(input, self.masked_weight(), self.bias)


class _WiredLayer(nn.Module):
    """One layer of a wiring: a CfC whose target heads are masked."""

    def __init__(self, inputs: int, mask: Tensor, mode: str) -> None:
        super().__init__()
        # Its timespans come scaled already.
        self.cell = CfC(inputs, mask.shape[0], mode=mode, backbone_layers=0, dt_scale=1.0)
        self.sparsity_mask: Tensor
        self.register_buffer('sparsity_mask', mask)
        masked = min(2, len(self.cell.head_names)) * self.cell.units
        self.cell.heads = MaskedHeads(self.cell.heads, self, masked)

    def forward(self, inputs: Tensor, hx: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
        """As ``CfC``, with timespans ``[B, T, 1]`` already scaled."""
        heads = self.cell.heads
        if why_call(self.cell) or not isinstance(heads, MaskedHeads):
            return self.cell(inputs, hx, spans)
        weight_x, weight_h = heads.masked_weight().split(
            [self.cell.input_size, self.cell.units], dim=1)
        states = []  # the inputs' share of all ticks at once
        for drive, span in zip(functional.linear(inputs, weight_x, heads.bias).unbind(1),
                               spans.unbind(1), strict=True):
            hx = self.cell._interpolate(torch.addmm(drive, hx, weight_h.t()), span)
            states.append(hx)
        return torch.stack(states, 1), hx

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Accept the names of ``ncps.torch.WiredCfCCell``, which has no ``cell`` in between."""
        own = (f'{prefix}cell.', f'{prefix}sparsity_mask')
        for key in [key for key in state_dict if key.startswith(prefix)]:
            if not key.startswith(own):
                state_dict[f'{prefix}cell.{key[len(prefix):]}'] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _layer_masks(wiring: Wiring) -> list[Tensor]:
    """For each layer ``[H, I + H]``: which of inputs and own neurons its targets see (0 or 1)."""
    masks, before = [], None
    for index in range(wiring.num_layers):
        neurons = wiring.get_neurons_of_layer(index)
        if before is None:
            incoming = wiring.sensory_adjacency_matrix[:, neurons]
        else:
            incoming = wiring.adjacency_matrix[np.ix_(before, neurons)]
        own = np.ones((len(neurons), len(neurons)))
        mask = np.abs(np.concatenate([incoming, own]).T)
        masks.append(torch.from_numpy(mask.astype(np.float32)))
        before = neurons
    return masks
