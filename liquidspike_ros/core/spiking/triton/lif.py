"""LIF populations on a GPU: all spike steps in one kernel forward and one backward.

The equations stand in ``spiking.lif``; ``leaky_sequence`` and ``spike_rates`` come here by
themselves where ``choice`` has proven the kernels on the machine at hand. Potentials are in single
precision from step to step even where tensors are in half of it, so that a half-precision result
is the single-precision one, rounded once.

Time goes into moving bytes. Per neuron and spike step, with currents, spikes and their gradients of
``b`` bytes each and one current per step, a forward and backward pass that reads or writes each of
the four once moves ``4b``. These kernels move::

    forward    read I, write S, write every 8th potential                2b + 4/8
    backward   read I again, read dS, read every 8th potential, write dI 3b + 4/8

11 bytes in half precision against 8 (1.4 ×) and 21 against 16 in single. Keeping all potentials
instead, as the plain path does, would move 2b + 4 each way; keeping none would mean holding all
``T`` of them in registers. Gradients of beta and threshold are summed per block and then by
``torch.sum``: no atomics, so the same inputs give the same gradients bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SpikeGradient = Callable[[Tensor], Tensor]

CHUNK = 8  # spike steps between two kept potentials
WARPS = 4
# Neurons per program: one a thread where a population is small, so that it spreads over the chip;
# else two, which the backward pass holds in 64 registers: enough loads under way for any memory.
SMALL, LARGE = 128, 256
MANY = 1 << 17  # neurons from which on programs are large
MOST_COLUMNS = 128

# Surrogates with a formula in the kernels, and their constants in snntorch by name.
CONSTANTS: Mapping[str, tuple[str, ...]] = {
    'fast_sigmoid': ('slope',),
    'atan': ('alpha',),
    'sigmoid': ('slope',),
    'straight_through_estimator': (),
    'triangular': ('threshold',),
    'heaviside': (),
    'spike_rate_escape': ('beta', 'slope'),
    'SFS': ('slope', 'B'),
}


class Surrogate(NamedTuple):
    """A surrogate of ``snntorch`` as the kernels know it: name and up to two constants."""

    name: str
    a: float = 0.0
    b: float = 0.0

    @classmethod
    def of(cls, function: SpikeGradient) -> Surrogate | None:
        """Recognise what ``spike_gradient`` returned; None if it is something else."""
        name, _, rest = getattr(function, '__qualname__', '').partition('.')
        if rest != '<locals>.inner' or function.__module__ != 'snntorch.surrogate':
            return None
        if name not in CONSTANTS:
            return None
        code, cells = getattr(function, '__code__', None), getattr(function, '__closure__', None)
        held = dict(zip(code.co_freevars, cells or (), strict=True)) if code else {}
        values = [held[key].cell_contents for key in CONSTANTS[name] if key in held]
        if len(values) != len(CONSTANTS[name]) or not all(
                isinstance(value, (int, float)) for value in values):
            return None
        return cls(name, *map(float, values))


class Variant(NamedTuple):
    """All that a kernel is compiled for; proven once each."""

    surrogate: Surrogate
    num_steps: int
    rates: bool
    even: bool  # whether the spike steps are a multiple of CHUNK
    gradients: bool  # whether a backward pass may follow
    for_beta: bool  # whether beta gets a gradient
    for_threshold: bool
    block_rows: int
    block_cols: int


def tile(groups: int, rows: int, cols: int) -> tuple[int, int]:
    """Rows and columns of the tile that a program works on; powers of two."""
    neurons = LARGE if rows * cols * groups >= MANY else SMALL
    block_cols = min(MOST_COLUMNS, 1 << math.ceil(math.log2(max(cols, 2))))
    return neurons // block_cols, block_cols


class Population(NamedTuple):
    """Inputs as the kernels take them: neurons ``[G, R, C]``, parameters ``[G, C]``.

    Attributes:
        current: ``[T, G, R, C]``.
        membrane: ``[G, R, C]``.
        beta: Decay per spike step in [0, 1], ``[G, C]``.
        threshold: ``[G, C]``.
    """

    current: Tensor
    membrane: Tensor
    beta: Tensor
    threshold: Tensor

    @classmethod
    def arranged(
        cls, current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor
    ) -> Population:
        """View ``current [T, …, N]``, ``membrane […, N]`` and what broadcasts against it."""
        leading, cols = membrane.shape[:-1], membrane.shape[-1]
        wide = [(1,) * (membrane.ndim - value.ndim) + tuple(value.shape)
                for value in (beta, threshold)]
        # Leading axes up to the last one along which a parameter varies tell groups apart.
        varies = [axis + 1 for axis in range(len(leading)) if any(w[axis] != 1 for w in wide)]
        split = max(varies, default=0)
        groups, rows = math.prod(leading[:split]), math.prod(leading[split:])
        ones = (1,) * (len(leading) - split)

        def parameter(value: Tensor) -> Tensor:
            return value.expand(*leading[:split], *ones, cols).reshape(groups, cols)

        return cls(current.reshape(len(current), groups, rows, cols),
                   membrane.reshape(groups, rows, cols), parameter(beta), parameter(threshold))


def _rows_dense(value: Tensor) -> Tensor:
    """The kernels take any strides but that of the columns."""
    return value if value.shape[-1] == 1 or value.stride(-1) == 1 else value.contiguous()


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be that of the tensors."""
    return torch.cuda.device(device) if device.type == 'cuda' else nullcontext()


class _Lif(torch.autograd.Function):
    """A population as one node, by kernel."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor,
        variant: Variant, finished: Callable[[], None] | None,
    ) -> tuple[Tensor, Tensor]:
        from .kernels import lif_forward

        current = _rows_dense(current)
        membrane, beta, threshold = (value.contiguous() for value in (membrane, beta, threshold))
        ticks, groups, rows, cols = current.shape
        total, cells = ticks * variant.num_steps, membrane.numel()
        out = _output(current, membrane.dtype, variant)
        after = torch.empty_like(membrane)
        marks = membrane.new_empty(
            -(-total // CHUNK) if variant.gradients else 0, cells, dtype=torch.float32)
        with _on(current.device):
            lif_forward[_grid(variant, groups, rows, cols)](
                current, membrane, beta, threshold, out, after, marks, rows, cols, total, cells,
                *current.stride()[:3], *out.stride()[:3],
                STEPS=variant.num_steps, RATES=variant.rates, MARK=variant.gradients,
                EVEN=variant.even, CHUNK=CHUNK, BR=variant.block_rows, BC=variant.block_cols,
                **_options())
        ctx.save_for_backward(current, beta, threshold, marks)
        ctx.variant, ctx.finished = variant, finished
        return out, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_after: Tensor) -> tuple[Any, ...]:
        from .kernels import lif_backward

        current, beta, threshold, marks = ctx.saved_tensors
        variant: Variant = ctx.variant
        ticks, groups, rows, cols = current.shape
        grad_out, grad_after = _rows_dense(grad_out), grad_after.contiguous()
        grad_current = _rows_dense(torch.empty_like(current))
        grad_membrane = torch.empty_like(grad_after)
        blocks = -(-rows // variant.block_rows)
        beta_sums = marks.new_empty(groups, blocks * variant.for_beta, cols)
        threshold_sums = marks.new_empty(groups, blocks * variant.for_threshold, cols)
        with _on(current.device):
            lif_backward[_grid(variant, groups, rows, cols)](
                current, beta, threshold, marks, grad_out, grad_after,
                grad_current, grad_membrane, beta_sums, threshold_sums,
                rows, cols, ticks * variant.num_steps, grad_after.numel(),
                *current.stride()[:3], *grad_out.stride()[:3], *grad_current.stride()[:3],
                NAME=variant.surrogate.name, A=variant.surrogate.a, B=variant.surrogate.b,
                STEPS=variant.num_steps, RATES=variant.rates, FOR_BETA=variant.for_beta,
                FOR_THRESHOLD=variant.for_threshold, EVEN=variant.even, CHUNK=CHUNK,
                BR=variant.block_rows, BC=variant.block_cols,
                **_options())
        if ctx.finished is not None:
            ctx.finished()
        grad_beta = beta_sums.sum(1).to(beta.dtype) if variant.for_beta else None
        grad_threshold = (
            threshold_sums.sum(1).to(threshold.dtype) if variant.for_threshold else None)
        return grad_current, grad_membrane, grad_beta, grad_threshold, None, None


def _grid(variant: Variant, groups: int, rows: int, cols: int) -> tuple[int]:
    return (-(-cols // variant.block_cols) * -(-rows // variant.block_rows) * groups,)


def _options() -> dict[str, Any]:
    # Without fused multiply-add every operation rounds as torch's own: the same spikes bit for bit.
    return {'num_warps': WARPS, 'enable_fp_fusion': False}


def _output(current: Tensor, dtype: torch.dtype, variant: Variant) -> Tensor:
    """Room for rates ``[T, G, R, C]``, or spikes in the order ``leaky_sequence`` hands them out."""
    ticks, groups, rows, cols = current.shape
    if variant.rates:
        return current.new_empty(current.shape, dtype=dtype)
    steps = ticks * variant.num_steps
    # As a tensor of its own, batch first in memory, not a view of one.
    return torch.empty_strided(
        (steps, groups, rows, cols), (cols, rows * steps * cols, steps * cols, 1),
        dtype=dtype, device=current.device)


def variant_of(
    population: Population, num_steps: int, surrogate: Surrogate, rates: bool
) -> Variant:
    """The kernels that these inputs need."""
    groups, rows, cols = population.membrane.shape
    wanted = torch.is_grad_enabled()
    block_rows, block_cols = tile(groups, rows, cols)
    return Variant(
        surrogate, num_steps, rates,
        even=len(population.current) * num_steps % CHUNK == 0,
        gradients=wanted and any(value.requires_grad for value in population),
        for_beta=wanted and population.beta.requires_grad,
        for_threshold=wanted and population.threshold.requires_grad,
        block_rows=block_rows, block_cols=block_cols,
    )


def run(
    population: Population, variant: Variant, finished: Callable[[], None] | None = None
) -> tuple[Tensor, Tensor]:
    """Run the kernels.

    Args:
        population: Inputs.
        variant: From ``variant_of`` the same inputs.
        finished: Called after a backward pass.

    Returns:
        Spikes ``[T · num_steps, G, R, C]`` or rates ``[T, G, R, C]``, and potentials ``[G, R, C]``.
    """
    return _Lif.apply(*population, variant, finished)
