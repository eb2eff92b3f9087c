"""What a spike does to a membrane, besides the subtraction of ``neurons.leaky_sequence``.

With ``R[k] = 1 if U[k-1] > θ else 0`` (no gradient), as in ``snntorch.Leaky``::

    subtract   U[k] = β · U[k-1] + I[k] − R[k] · θ        (neurons.leaky_sequence)
    zero       U[k] = β · (1 − R[k]) · U[k-1] + I[k]
    none       U[k] = β · U[k-1] + I[k]

All three act one step after the spike. ``zero`` forgets by how much the threshold was passed, so
the rate no longer follows a strong current exactly; ``none`` keeps firing while the membrane is up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from .surrogates import spike_gradient, SpikeGradient
from .twice import by_elementary_operators, differentiated_again


class _ResetSequence(torch.autograd.Function):
    """All spike steps of a population as one node; time first, ``[T, B, N]``."""

    @staticmethod
    def forward(
        ctx: Any,
        current: Tensor,
        membrane: Tensor,
        beta: Tensor,
        threshold: Tensor,
        num_steps: int,
        surrogate: SpikeGradient,
        zero: bool,
    ) -> tuple[Tensor, Tensor]:
        trace = current.new_empty(current.shape[0] * num_steps, *current.shape[1:])
        potentials = trace.unbind(0)
        previous, step = membrane, 0
        for drive in current.unbind(0):
            for _ in range(num_steps):
                kept = previous.masked_fill(previous > threshold, 0) if zero else previous
                previous = torch.mul(kept, beta, out=potentials[step]).add_(drive)
                step += 1
        ctx.save_for_backward(trace, current, membrane, beta, threshold)
        ctx.num_steps, ctx.surrogate, ctx.zero = num_steps, surrogate, zero
        return (trace > threshold).to(trace.dtype), previous.clone()

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor, grad_membrane: Tensor) -> tuple[Any, ...]:
        trace, current, membrane, beta, threshold = ctx.saved_tensors
        if differentiated_again(grad_spikes, grad_membrane):
            return by_elementary_operators(
                partial(plain_steps, num_steps=ctx.num_steps, fire=ctx.surrogate,
                        reset='zero' if ctx.zero else 'none'),
                (current, membrane, beta, threshold), (grad_spikes, grad_membrane), ctx, 3)
        with torch.enable_grad():
            distance = (trace - threshold).requires_grad_()
            spikes = ctx.surrogate(distance)
            (slope,) = torch.autograd.grad(spikes, distance, torch.ones_like(spikes))
        direct = grad_spikes * slope
        before = torch.cat([membrane.unsqueeze(0), trace[:-1]])
        kept = before <= threshold if ctx.zero else torch.ones_like(before, dtype=torch.bool)
        adjoint = torch.empty_like(trace)
        flow = (kept * beta).unbind(0)  # ∂U[k] / ∂U[k-1]
        rows, targets = direct.unbind(0), adjoint.unbind(0)
        later = torch.add(rows[-1], grad_membrane, out=targets[-1])
        for step in range(len(rows) - 2, -1, -1):
            later = torch.addcmul(rows[step], later, flow[step + 1], out=targets[step])
        grad_current = adjoint.unflatten(0, (-1, ctx.num_steps)).sum(1)
        grad_beta = (adjoint * before * kept).sum((0, 1))
        return (grad_current, later * flow[0], grad_beta, -direct.sum((0, 1)), None, None, None)


def reset_sequence(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: SpikeGradient | None = None,
    reset: str = 'zero',
) -> tuple[Tensor, Tensor]:
    """Same contract as ``neurons.leaky_sequence``, with the reset ``'zero'`` or ``'none'``."""
    spikes, membrane = _ResetSequence.apply(
        current.to(membrane.dtype).transpose(0, 1),
        membrane,
        beta.clamp(0, 1),
        threshold,
        num_steps,
        surrogate or spike_gradient('fast_sigmoid'),
        reset == 'zero',
    )
    return spikes.transpose(0, 1), membrane


def plain_sequence(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: SpikeGradient | None = None,
    reset: str = 'subtract',
) -> tuple[Tensor, Tensor]:
    """Same contract as ``neurons.leaky_sequence`` with any reset, by elementary operators only.

    Slow, and what ``torch.export`` sees: a graph of it needs no code of this package, and one
    that is exported with gradients cannot hold the in-place work of the one-node versions.
    """
    spikes, membrane = plain_steps(
        current.to(membrane.dtype).transpose(0, 1), membrane, beta.clamp(0, 1), threshold,
        num_steps, surrogate or spike_gradient('fast_sigmoid'), reset)
    return spikes.transpose(0, 1), membrane


def plain_steps(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    fire: SpikeGradient, reset: str = 'subtract',
) -> tuple[Tensor, Tensor]:
    """Spikes ``[T · num_steps, …, N]`` of currents ``[T, …, N]``, and the potential afterwards."""
    spikes = []
    for drive in current.unbind(0):
        for _ in range(num_steps):
            fired = (membrane > threshold).to(membrane.dtype)
            kept = membrane * (1 - fired) if reset == 'zero' else membrane
            membrane = kept * beta + drive
            if reset == 'subtract':
                membrane = membrane - fired * threshold
            spikes.append(fire(membrane - threshold).to(membrane.dtype))
    return torch.stack(spikes), membrane
