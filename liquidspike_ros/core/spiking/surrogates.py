"""Where the spike is made: a strict threshold, with the gradient of something smooth.

Values and gradients are those of ``snntorch.surrogate`` with its default slopes.

Source: Neftci et al., 'Surrogate Gradient Learning in Spiking Neural Networks', IEEE Signal
Processing Magazine 36(6), 2019.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import math
from typing import Any

from snntorch import surrogate as snn_surrogate
import torch
from torch import Tensor

SpikeGradient = Callable[[Tensor], Tensor]

# The surrogates of snntorch whose forward pass is the strict threshold and whose gradient is a
# deterministic function of the membrane potential.
SURROGATES = (
    'fast_sigmoid',
    'atan',
    'sigmoid',
    'straight_through_estimator',
    'triangular',
    'heaviside',
    'spike_rate_escape',
    'SFS',
)

_SLOPE = 25.0  # snntorch's, of all that have one
# The gradients by elementary operators, which may be differentiated and transformed again.
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    'fast_sigmoid': lambda x: (_SLOPE * x.abs() + 1) ** -2,
    'atan': lambda x: 1 / (1 + (math.pi * x) ** 2),
    'sigmoid': lambda x: _SLOPE * torch.sigmoid(_SLOPE * x) * torch.sigmoid(-_SLOPE * x),
    'straight_through_estimator': torch.ones_like,
}


def spike_gradient(name: str) -> SpikeGradient:
    """Return the surrogate of that name from ``snntorch.surrogate``, with its default slope.

    Raises:
        ValueError: The name is not in ``SURROGATES``.
    """
    if name not in SURROGATES:
        raise ValueError(f'surrogate: got {name!r}, expected one of {", ".join(SURROGATES)}')
    return getattr(snn_surrogate, name)()


class _Spike(torch.autograd.Function):
    """A threshold for the transforms of ``torch.func``, which snntorch's do not take."""

    generate_vmap_rule = True

    @staticmethod
    def forward(distance: Tensor, name: str) -> Tensor:
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])
        ctx.name = inputs[1]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * SLOPES[ctx.name](ctx.saved_tensors[0]), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return tangent * SLOPES[ctx.name](ctx.saved_tensors[0])


def functional_spike(name: str) -> SpikeGradient:
    """The surrogate of that name for ``torch.func``: ``grad``, ``vmap``, ``jvp``.

    Raises:
        NotImplementedError: It has none.
    """
    if name not in SLOPES:
        raise NotImplementedError(f'surrogate: got {name!r} under a transform of torch.func, '
                                  f'expected one of {", ".join(SLOPES)}')
    return functools.partial(_fire, name)


def _fire(name: str, distance: Tensor) -> Tensor:
    spikes: Tensor = _Spike.apply(distance, name)
    return spikes
