"""Closed-form continuous-time (CfC) cells: explicit state, irregular timespans in seconds.

With ``z`` the backbone of ``[x, h]`` and ``t`` the timespan, the three modes are::

    default   h' = tanh(f1(z)) · (1 − g) + tanh(f2(z)) · g,   g = σ(a(z) · t + b(z))
    no_gate   h' = tanh(f1(z)) + tanh(f2(z)) · g
    pure      h' = A − A · exp(−t · (|w| + |f1(z)|)) · f1(z)

The four heads f1, f2, a, b are one matrix product, and the input's half of the first layer is
computed for all ticks at once, before time is walked through.

Source: Hasani et al., 'Closed-form continuous-time neural networks', Nature Machine Intelligence
4, 2022. Names and values follow ``ncps.torch.CfCCell``, whose ``state_dict`` loads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from ..derived_weights import DerivedWeights
from ..dispatch import BACKENDS, elementary, require_plain_layers, why_call
from ..products import affine
from .cfc_sequence import cfc_sequence, interpolate
from .timespans import checked_state, timespans_like

MODES = ('default', 'pure', 'no_gate')
HEADS = ('ff1', 'ff2', 'time_a', 'time_b')


class LeCunTanh(nn.Module):
    """``1.7159 · tanh(0.666 · x)``, the backbone activation of ncps."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply elementwise."""
        return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    'lecun_tanh': LeCunTanh,
    'tanh': nn.Tanh,
    'relu': nn.ReLU,
    'silu': nn.SiLU,
    'gelu': nn.GELU,
}
# outer · tanh(inner · x), for the activations that are one.
TANH_CONSTANTS = {'lecun_tanh': (1.7159, 0.666), 'tanh': (1.0, 1.0)}


class CfC(nn.Module):
    """A CfC layer; holds parameters, never state.

    Args:
        input_size: Width ``I`` of the input.
        units: Width ``H`` of the hidden state.
        mode: ``'default'``, ``'pure'`` or ``'no_gate'``.
        backbone_units: Width of the backbone layers.
        backbone_layers: How many; 0 lets the heads see ``[x, h]`` directly.
        activation: Backbone activation, one of ``ACTIVATIONS``.
        dt_scale: Timespan units per second. With the control rate in Hz here, one tick on time is
            a timespan of 1, the value the cell was designed around.
        backend: ``'fused'``, or ``'reference'`` for stock ``ncps.torch.CfCCell`` (slow).

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        mode: str = 'default',
        backbone_units: int = 128,
        backbone_layers: int = 1,
        activation: str = 'lecun_tanh',
        dt_scale: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        for name, value, options in (
            ('mode', mode, MODES),
            ('activation', activation, tuple(ACTIVATIONS)),
            ('backend', backend, BACKENDS),
        ):
            if value not in options:
                raise ValueError(f'{name}: got {value!r}, expected one of {", ".join(options)}')
        for name, number, least in (
            ('input_size', input_size, 1),
            ('units', units, 1),
            ('backbone_units', backbone_units, 1),
            ('backbone_layers', backbone_layers, 0),
        ):
            if number < least:
                raise ValueError(f'{name}: got {number!r}, expected at least {least}')
        if not dt_scale > 0:
            raise ValueError(f'dt_scale: got {dt_scale!r}, expected a number above 0')
        self.input_size, self.units, self.mode = input_size, units, mode
        self.backbone_units, self.backbone_layers = backbone_units, backbone_layers
        self.activation, self.dt_scale, self.backend = activation, dt_scale, backend
        self.derived = DerivedWeights()
        self._build()

    @property
    def state_size(self) -> int:
        """Width of ``hx``."""
        return self.units

    @property
    def output_size(self) -> int:
        """Width of the outputs."""
        return self.units

    def _build(self) -> None:
        width = self.input_size + self.units
        layers: list[nn.Module] = []
        for _ in range(self.backbone_layers):
            layers += [nn.Linear(width, self.backbone_units), ACTIVATIONS[self.activation]()]
            width = self.backbone_units
        self.backbone = nn.Sequential(*layers)
        self.head_names = HEADS[:1] if self.mode == 'pure' else HEADS
        self.heads = nn.Linear(width, len(self.head_names) * self.units)
        for layer in self.backbone:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        for head in self.heads.weight.data.split(self.units):
            nn.init.xavier_uniform_(head)
        if self.mode == 'pure':
            self.w_tau = nn.Parameter(torch.zeros(1, self.units))
            self.A = nn.Parameter(torch.ones(1, self.units))

    def forward(
        self, inputs: Tensor, hx: Tensor | None = None, timespans: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Walk through a sequence.

        Args:
            inputs: ``[B, T, I]``.
            hx: Hidden state ``[B, H]``; rest (zeros) if None.
            timespans: Seconds, in any form ``timespans_like`` takes; one nominal tick if None.

        Returns:
            Hidden states ``[B, T, H]`` and the last one ``[B, H]``.

        Raises:
            ValueError: Inputs, state or timespans of another shape, or an empty sequence.
        """
        hx = checked_state(inputs, hx, self.input_size, self.state_size)
        batch, ticks = inputs.shape[:2]
        dt = 1.0 / self.dt_scale if timespans is None else timespans
        # In the precision of the state, which autocast must not take from it tick by tick.
        spans = timespans_like(dt, batch, ticks, hx) * self.dt_scale
        if self.backend == 'reference':
            from .reference import cfc_reference

            require_plain_layers(self, 'ncps')
            return cfc_reference(self._upstream_arguments(), self.upstream_weights(),
                                 inputs, hx, spans)
        return self._fused(inputs, hx, spans)

    @property
    def one_node(self) -> bool:
        """Whether sequences may run as one autograd node on its weights; else tick by tick."""
        return (self.backend == 'fused' and self.backbone_layers == 1 and self.mode != 'pure'
                and self.activation in TANH_CONSTANTS and not elementary()
                and [*map(type, self.backbone)] == [nn.Linear, ACTIVATIONS[self.activation]])

    def sequence_weights(self) -> dict[str, Tensor]:
        """Weights as ``cfc_sequence`` takes them, each with a leading dimension to stack on.

        The constants of the activation are taken into the layers before and behind it.
        """
        outer, inner = TANH_CONSTANTS[self.activation]
        first = self.backbone[0]
        assert isinstance(first, nn.Linear)
        weight = first.weight * inner
        return {
            'input': weight[:, :self.input_size].unsqueeze(0),
            'recurrent': weight[:, self.input_size:].unsqueeze(0),
            'offset': (first.bias * inner).view(1, 1, -1),
            'heads': (self.heads.weight * outer).unsqueeze(0),
            'bias': self.heads.bias.view(1, 1, -1),
        }

    def _fused(self, inputs: Tensor, hx: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
        if self.one_node and not (why_call(self.backbone) or why_call(self.heads)):
            w = self.derived.get('sequence', self.sequence_weights)
            rows = inputs.transpose(0, 1)  # [T, B, I]
            drive = affine(rows.reshape(1, -1, self.input_size), w['input'], w['offset'])
            hidden = cfc_sequence(
                drive.reshape(len(rows), 1, -1, self.backbone_units), hx.unsqueeze(0),
                w['recurrent'], w['heads'], w['bias'], spans.transpose(0, 1),
                self.mode == 'default')[:, 0]
            return hidden.transpose(0, 1), hidden[-1]
        return self._tick_by_tick(inputs, hx, spans)

    def _tick_by_tick(self, inputs: Tensor, hx: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
        states = []
        for x, span in zip(inputs.unbind(1), spans.unbind(1), strict=True):
            heads = self.heads(self.backbone(torch.cat([x.to(hx.dtype), hx], 1)))
            hx = self._interpolate(heads, span)
            states.append(hx)
        return torch.stack(states, 1), hx

    def _interpolate(self, heads: Tensor, span: Tensor) -> Tensor:
        """Solve the cell at the end of ``span [B, 1]`` from ``heads [B, 4H]`` (``[B, H]``)."""
        heads = heads.to(span.dtype)  # autocast hands the products over in half precision
        if self.mode == 'pure':
            decay = torch.exp(-span * (self.w_tau.abs() + heads.abs()))
            return self.A - self.A * decay * heads
        return interpolate(heads, span, self.mode == 'default')

    def upstream_weights(self) -> dict[str, Tensor]:
        """The parameters under the names of ``ncps.torch.CfCCell``; gradients flow through."""
        weights: dict[str, Tensor] = {
            f'backbone.{name}': value for name, value in self.backbone.named_parameters()
        }
        for part, whole in (('weight', self.heads.weight), ('bias', self.heads.bias)):
            pieces = whole.split(self.units)
            weights |= {f'{n}.{part}': p for n, p in zip(self.head_names, pieces, strict=True)}
        if self.mode == 'pure':
            weights |= {'w_tau': self.w_tau, 'A': self.A}
        return weights

    def _upstream_arguments(self) -> dict[str, Any]:
        return {
            'input_size': self.input_size,
            'hidden_size': self.units,
            'mode': self.mode,
            'backbone_activation': self.activation,
            'backbone_units': self.backbone_units,
            'backbone_layers': self.backbone_layers,
        }

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Accept the four separate heads of ``ncps.torch.CfCCell`` as well as the fused ones."""
        for part in ('weight', 'bias'):
            names = [f'{prefix}{head}.{part}' for head in self.head_names]
            if all(name in state_dict for name in names):
                pieces = [state_dict.pop(name) for name in names]
                state_dict[f'{prefix}heads.{part}'] = torch.cat(pieces)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return (f'{self.input_size}, {self.units}, mode={self.mode!r}, '
                f'dt_scale={self.dt_scale:g}, backend={self.backend!r}')
