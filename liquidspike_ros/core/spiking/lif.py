"""Leaky integrate-and-fire: one autograd node for all spike steps, explicit state.

The dynamics, values and gradients are those of ``snntorch.Leaky``. A spike acts one step later,
because the reset is computed from the previous membrane potential::

    R[k] = 1 if U[k-1] > θ else 0              (no gradient)
    U[k] = β · U[k-1] + I[k] − R[k] · θ        reset 'subtract'
    U[k] = β · (1 − R[k]) · U[k-1] + I[k]      reset 'zero'
    U[k] = β · U[k-1] + I[k]                   reset 'none'
    S[k] = 1 if U[k] > θ else 0                (surrogate gradient)

``zero`` forgets by how much the threshold was passed, so the rate no longer follows a strong
current exactly; ``none`` keeps firing while the membrane is up.

The membrane potential is the whole state. It is passed in and handed back, so that a population
keeps integrating from one control tick to the next; starting from rest at every tick would make
it a quantiser with ``num_steps + 1`` levels.

Source: Eshraghian et al., 'Training Spiking Neural Networks Using Lessons From Deep Learning',
Proceedings of the IEEE 111(9), 2023.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..double_backward import by_elementary_operators, differentiated_again
from .surrogates import spike_gradient, SpikeGradient
from .triton import choice

RESETS = ('subtract', 'zero', 'none')  # in the order of snntorch's reset_mechanism_val


class _LeakySequence(torch.autograd.Function):
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
        reset: str,
    ) -> tuple[Tensor, Tensor]:
        ticks, batch, units = current.shape
        trace = current.new_empty(ticks * num_steps, batch, units)
        spikes = torch.empty_like(trace)
        rows = zip(trace.unbind(0), spikes.unbind(0), strict=True)
        previous, fired = membrane, (membrane > threshold).to(membrane.dtype)
        for drive in current.unbind(0):
            for _ in range(num_steps):
                row, spike = next(rows)
                potential = torch.mul(previous, beta, out=row)
                if reset == 'zero':
                    potential.masked_fill_(previous > threshold, 0)
                potential.add_(drive)
                if reset == 'subtract':
                    potential.addcmul_(fired, threshold, value=-1)
                fired = torch.gt(potential, threshold, out=spike)
                previous = potential
        ctx.save_for_backward(trace, current, membrane, beta, threshold)
        ctx.num_steps, ctx.surrogate, ctx.reset = num_steps, surrogate, reset
        return spikes, previous.clone()

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor, grad_membrane: Tensor) -> tuple[Any, ...]:
        trace, current, membrane, beta, threshold = ctx.saved_tensors
        if differentiated_again(grad_spikes, grad_membrane):
            return by_elementary_operators(
                partial(plain_steps, num_steps=ctx.num_steps, fire=ctx.surrogate,
                        reset=ctx.reset),
                (current, membrane, beta, threshold), (grad_spikes, grad_membrane), ctx, 3)
        with torch.enable_grad():
            distance = (trace - threshold).requires_grad_()
            spikes = ctx.surrogate(distance)
            (slope,) = torch.autograd.grad(spikes, distance, torch.ones_like(spikes))
        direct = grad_spikes * slope
        needs_trace = ctx.reset == 'zero' or any(ctx.needs_input_grad[2:4])
        before = torch.cat([membrane.unsqueeze(0), trace[:-1]]) if needs_trace else trace
        # ∂U[k] / ∂U[k-1]
        decay = ((before <= threshold) * beta if ctx.reset == 'zero' else
                 beta.expand_as(trace)).unbind(0)
        adjoint = torch.empty_like(trace)
        rows, targets = direct.unbind(0), adjoint.unbind(0)
        later = torch.add(rows[-1], grad_membrane, out=targets[-1])
        for step in range(len(rows) - 2, -1, -1):
            later = torch.addcmul(rows[step], later, decay[step + 1], out=targets[step])

        grad_current = adjoint.unflatten(0, (-1, ctx.num_steps)).sum(1)
        grad_start = later * decay[0] if ctx.needs_input_grad[1] else None
        grad_beta = grad_threshold = None
        if ctx.needs_input_grad[2]:
            kept = before if ctx.reset != 'zero' else before * (before <= threshold)
            grad_beta = (adjoint * kept).sum((0, 1))
        if ctx.needs_input_grad[3]:
            if ctx.reset == 'subtract':
                direct = direct + adjoint * (before > threshold)
            grad_threshold = -direct.sum((0, 1))
        return grad_current, grad_start, grad_beta, grad_threshold, None, None, None


def leaky_sequence(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: SpikeGradient | None = None,
    reset: str = 'subtract',
) -> tuple[Tensor, Tensor]:
    """Run a LIF population over ``T`` inputs, holding each for ``num_steps`` spike steps.

    ``T=1`` with ``num_steps=K`` is one control tick at a constant current; ``num_steps=1`` gives
    every spike step its own input; both larger than one is a whole sequence of ticks.

    Args:
        current: Input current ``[B, T, N]``.
        membrane: Membrane potential before the first step ``[B, N]``.
        beta: Decay per spike step ``[N]``, clamped to [0, 1].
        threshold: Firing threshold ``[N]``.
        num_steps: Spike steps per input.
        surrogate: Spike function from ``spike_gradient``; ``fast_sigmoid`` by default.
        reset: One of ``RESETS``.

    Returns:
        Spikes ``[B, T * num_steps, N]`` (0 or 1) and the membrane potential ``[B, N]`` after them.
    """
    surrogate, beta = surrogate or spike_gradient('fast_sigmoid'), beta.clamp(0, 1)
    if current.is_cuda and reset == 'subtract':
        done = choice.triton_sequence(current, membrane, beta, threshold, num_steps, surrogate)
        if done is not None:
            return done
    spikes, membrane = _LeakySequence.apply(
        # In the precision of the membrane: autocast hands the current over in half of it.
        current.to(membrane.dtype).transpose(0, 1),
        membrane,
        beta,
        threshold,
        num_steps,
        surrogate,
        reset,
    )
    return spikes.transpose(0, 1), membrane


choice.PLAIN['spikes'] = leaky_sequence


def plain_sequence(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: SpikeGradient | None = None,
    reset: str = 'subtract',
) -> tuple[Tensor, Tensor]:
    """Same contract as ``leaky_sequence``, by elementary operators only.

    Slow, and what ``torch.export`` sees: a graph of it needs no code of this package, and one
    that is exported with gradients cannot hold the in-place work of the one-node version.
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
