"""Liquid time-constant (LTC) cells: the differential equation itself, solved implicitly.

Every unit is a leaky membrane ``v`` with conductance synapses from inputs and other units::

    C · dv/dt = g · (v_leak − v) + Σ_j w_j · σ(s_j · (u_j − μ_j)) · (E_j − v)

A tick of length ``dt`` is ``ode_unfolds`` fused steps of ``h = dt / ode_unfolds``::

    v ← (C · v + h · (g · v_leak + Σ w σ E)) / (C + h · (g + Σ w σ + ε))

which is ncps' formula with numerator and denominator multiplied by ``h``: the same value, and
``dt = 0`` leaves ``v`` as it is instead of dividing infinity by infinity.

Conductances and capacities must not be negative. They are kept as ``softplus`` of what is stored,
so no optimiser step can break the cell and nothing has to be clipped after one.

Source: Hasani et al., 'Liquid time-constant networks', AAAI 2021. Names and values follow
``ncps.torch.LTCCell(implicit_param_constraints=True)``, whose ``state_dict`` loads.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy

from ncps.wirings import Wiring
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

from ..dispatch import BACKENDS
from ..sizes import LARGEST_LTC, require_size
from .timespans import checked_state, timespans_like

MAPPINGS = ('affine', 'linear', 'none')
POSITIVE = ('gleak', 'cm', 'w', 'sensory_w')
# Initial values as they act, uniform between these: those of ncps.
RANGES = {
    'gleak': (0.001, 1.0), 'vleak': (-0.2, 0.2), 'cm': (0.4, 0.6),
    'w': (0.001, 1.0), 'sigma': (3.0, 8.0), 'mu': (0.3, 0.8),
}
SMALLEST = 1e-8  # what a conductance of exactly 0 becomes when it is imported


def fully_connected(input_size: int, units: int, seed: int = 1111) -> Wiring:
    """A wiring of all with all; two synapses of three excite.

    ``ncps.wirings.FullyConnected`` with the signs drawn at once: at 256 units it takes a second.
    """
    rng = np.random.default_rng(seed)
    wiring = Wiring(units)
    wiring.build(input_size)
    wiring.set_output_dim(units)
    wiring.adjacency_matrix = rng.choice([-1, 1, 1], (units, units)).astype(np.int32)
    wiring.sensory_adjacency_matrix = rng.choice([-1, 1, 1], (input_size, units)).astype(np.int32)
    return wiring


def built_wiring(wiring: Wiring, input_size: int) -> Wiring:
    """A copy of a wiring, built for ``input_size`` inputs if it is not yet.

    A copy, and built once: ``build`` of an ncps wiring that is built already adds synapses, so a
    wiring shared by two stock cells is not the one either of them was made from.

    Raises:
        ValueError: It is built for another number of inputs.
    """
    wiring = copy.deepcopy(wiring)
    if not wiring.is_built():
        wiring.build(input_size)
    if wiring.input_dim != input_size:
        raise ValueError(f'wiring: got one built for {wiring.input_dim} inputs, '
                         f'expected {input_size} (input_size)')
    return wiring


def softplus_inverse(value: Tensor) -> Tensor:
    """What ``softplus`` turns into ``value``; 0 is taken for a very small number."""
    value = value.clamp_min(SMALLEST)
    return value + torch.log(-torch.expm1(-value))


class LTC(nn.Module):
    """An LTC layer, fully connected or wired; holds parameters, never state.

    Args:
        input_size: Width ``I`` of the input; the synapses expect it between about 0 and 1.
        units: Width ``H`` of the state, or an ``ncps.wirings.Wiring`` (copied).
        input_mapping: ``'affine'``, ``'linear'`` or ``'none'``: scaling of the inputs.
        output_mapping: The same for the outputs, which are the motor neurons of the wiring.
        ode_unfolds: Solver steps per tick.
        epsilon: Keeps the denominator away from 0.
        dt_scale: Timespan units per second. With the control rate in Hz here, one tick on time is
            a timespan of 1, the value the cell was designed around.
        backend: ``'fused'``, or ``'reference'`` for stock ``ncps.torch.LTCCell``, which is NaN
            at ``dt = 0``.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        input_mapping: str = 'affine',
        output_mapping: str = 'affine',
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        dt_scale: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        for name, value, options in (
            ('input_mapping', input_mapping, MAPPINGS),
            ('output_mapping', output_mapping, MAPPINGS),
            ('backend', backend, BACKENDS),
        ):
            if value not in options:
                raise ValueError(f'{name}: got {value!r}, expected one of {", ".join(options)}')
        width = units.units if isinstance(units, Wiring) else units
        for name, number in (('input_size', input_size), ('units', width),
                             ('ode_unfolds', ode_unfolds)):
            if number < 1:
                raise ValueError(f'{name}: got {number!r}, expected at least 1')
        require_size('units', width, largest=LARGEST_LTC)
        for name, real in (('dt_scale', dt_scale), ('epsilon', epsilon)):
            if not real > 0:
                raise ValueError(f'{name}: got {real!r}, expected a number above 0')
        self.input_size, self.units = input_size, width
        self.input_mapping, self.output_mapping = input_mapping, output_mapping
        self.ode_unfolds, self.epsilon = ode_unfolds, epsilon
        self.dt_scale, self.backend = dt_scale, backend
        self.wiring = (built_wiring(units, input_size) if isinstance(units, Wiring)
                       else fully_connected(input_size, width))
        self._build()

    @property
    def state_size(self) -> int:
        """Width of ``hx``."""
        return self.units

    @property
    def output_size(self) -> int:
        """Width of the outputs: motor neurons."""
        return int(self.wiring.output_dim)

    def _build(self) -> None:
        inputs, units = self.input_size, self.units
        shapes: dict[str, tuple[int, ...]] = {
            'gleak': (units,), 'vleak': (units,), 'cm': (units,),
            'sigma': (units, units), 'mu': (units, units), 'w': (units, units),
            'sensory_sigma': (inputs, units), 'sensory_mu': (inputs, units),
            'sensory_w': (inputs, units),
        }
        for name, shape in shapes.items():
            low, high = RANGES[name.removeprefix('sensory_')]
            value = torch.rand(shape) * (high - low) + low
            if name in POSITIVE:
                value = softplus_inverse(value)
            self.register_parameter(name, nn.Parameter(value))
        for prefix, adjacency in (('', self.wiring.adjacency_matrix),
                                  ('sensory_', self.wiring.sensory_adjacency_matrix)):
            signs = torch.from_numpy(np.asarray(adjacency, dtype=np.float32))
            self.register_parameter(f'{prefix}erev', nn.Parameter(signs.clone()))
            self.register_buffer(f'{prefix}sparsity_mask', signs.abs())
        for prefix, mapping, size in (('input', self.input_mapping, inputs),
                                      ('output', self.output_mapping, self.output_size)):
            if mapping != 'none':
                self.register_parameter(f'{prefix}_w', nn.Parameter(torch.ones(size)))
            if mapping == 'affine':
                self.register_parameter(f'{prefix}_b', nn.Parameter(torch.zeros(size)))

    def forward(
        self, inputs: Tensor, hx: Tensor | None = None, timespans: Tensor | float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Walk through a sequence.

        Args:
            inputs: ``[B, T, I]``.
            hx: Membranes ``[B, H]``; rest (zeros) if None.
            timespans: Seconds, in any form ``timespans_like`` takes; one nominal tick if None.

        Returns:
            Outputs ``[B, T, output_size]`` and the last membranes ``[B, H]``.

        Raises:
            ValueError: Inputs, state or timespans of another shape, or an empty sequence.
        """
        hx = checked_state(inputs, hx, self.input_size, self.units)
        dt = 1.0 / self.dt_scale if timespans is None else timespans
        # In the precision of the state: what it integrates over time is lost in half precision.
        spans = timespans_like(dt, inputs.shape[0], inputs.shape[1], hx) * self.dt_scale
        if self.backend == 'reference':
            from .reference import ltc_reference

            return ltc_reference(self, inputs, hx, spans)
        return self._solve(self._scaled(inputs.to(hx.dtype), 'input'), hx, spans)

    def _scaled(self, value: Tensor, kind: str) -> Tensor:
        mapping = self.input_mapping if kind == 'input' else self.output_mapping
        if mapping != 'none':
            value = value * self.get_parameter(f'{kind}_w')
        return value + self.get_parameter(f'{kind}_b') if mapping == 'affine' else value

    def _solve(self, inputs: Tensor, hx: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
        sensory, recurrent = _Synapses(self, 'sensory_'), _Synapses(self, '')
        capacity = functional.softplus(self.get_parameter('cm'))
        gleak = functional.softplus(self.get_parameter('gleak'))
        leak = gleak * self.get_parameter('vleak')
        states = []
        for x, span in zip(inputs.unbind(1), spans.unbind(1), strict=True):
            step = span / self.ode_unfolds  # [B, 1]
            sensed, opened = sensory(x)
            pull = leak + sensed
            drain = gleak + opened + self.epsilon
            for _ in range(self.ode_unfolds):
                current, conductance = recurrent(hx)
                hx = ((capacity * hx + step * (pull + current))
                      / (capacity + step * (drain + conductance)))
            states.append(hx)
        motors = torch.stack(states, 1)[..., :self.output_size]
        return self._scaled(motors, 'output'), hx

    def upstream_weights(self) -> dict[str, Tensor]:
        """Parameters and masks under the names of ``ncps.torch.LTCCell``; gradients flow."""
        return dict(self.named_parameters()) | dict(self.named_buffers())

    def load_ncps(self, weights: Mapping[str, Tensor], constrained: bool = True) -> None:
        """Take over the ``state_dict`` of an ``ncps.torch.LTCCell``.

        Args:
            weights: Its ``state_dict()``.
            constrained: Whether it was built with ``implicit_param_constraints=True``, which the
                weights do not tell. Then this is ``load_state_dict``; without, its positive
                weights act as they stand, and are converted.
        """
        values = dict(weights)
        if not constrained:
            values |= {name: softplus_inverse(values[name]) for name in POSITIVE if name in values}
        self.load_state_dict(values)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return (f'{self.input_size}, {self.units}, output_size={self.output_size}, '
                f'ode_unfolds={self.ode_unfolds}, dt_scale={self.dt_scale:g}, '
                f'backend={self.backend!r}')


class _Synapses:
    """The synapses of one kind, everything that stays the same during a call worked out once."""

    def __init__(self, cell: LTC, prefix: str) -> None:
        self.slope = cell.get_parameter(f'{prefix}sigma')  # [source, H]
        self.offset = -self.slope * cell.get_parameter(f'{prefix}mu')
        weight = functional.softplus(cell.get_parameter(f'{prefix}w'))
        self.weight = weight * cell.get_buffer(f'{prefix}sparsity_mask')
        self.pull = self.weight * cell.get_parameter(f'{prefix}erev')

    def __call__(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Sources ``[B, source]`` -> summed ``w σ E`` and ``w σ`` at the targets ``[B, H]``."""
        opened = torch.sigmoid(torch.addcmul(self.offset, source.unsqueeze(-1), self.slope))
        return (opened * self.pull).sum(1), (opened * self.weight).sum(1)
