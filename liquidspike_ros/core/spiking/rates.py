"""Firing rates of LIF populations over control ticks, without keeping the spikes.

The dynamics are those of ``lif``, where the equations stand; every input is held for
``num_steps`` spike steps and only the share of steps with a spike is handed on. The membrane trace
is all that is kept for the gradient, and nothing at all where none is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..double_backward import by_elementary_operators, differentiated_again
from .lif import plain_steps
from .surrogates import SpikeGradient
from .triton import choice


def _integrate(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Rates and last potential without a trace, in three calls a step.

    Potentials are in units of the threshold, so that a reset takes 1 off; with the usual threshold
    of 1 nothing changes.
    """
    potential = (membrane / threshold).contiguous()
    one, beta = torch.ones_like(potential), beta.expand_as(potential).contiguous()
    drives = (current / threshold).contiguous()
    rates = [_hold(drive, potential, beta, one, num_steps) for drive in drives.unbind(0)]
    return torch.stack(rates), potential.mul_(threshold)


def _hold(
    drive: Tensor, potential: Tensor, beta: Tensor, one: Tensor, num_steps: int
) -> Tensor:
    """Rates of one tick; moves ``potential`` on in place."""
    spikes = drive.new_empty(num_steps, *drive.shape)
    fired = spikes.unbind(0)
    reset = torch.gt(potential, one, out=fired[-1])
    # Handles once: at a batch of one the loop is nothing but the overhead of its calls.
    addcmul, gt, subtract = torch.addcmul, torch.gt, potential.sub_
    for row in fired:
        addcmul(drive, potential, beta, out=potential)
        subtract(reset)
        reset = gt(potential, one, out=row)
    return spikes.mean(0)


def _integrate_traced(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int
) -> tuple[Tensor, Tensor]:
    """Rates ``[T, …, N]`` and the potentials of all steps ``[T · num_steps, …, N]``."""
    trace = current.new_empty(current.shape[0] * num_steps, *current.shape[1:])
    rates = torch.empty_like(current, memory_format=torch.contiguous_format)
    spikes = torch.empty_like(trace[:num_steps])  # of one tick, used again at the next
    reset = torch.gt(membrane, threshold).to(current.dtype)
    rows, previous = iter(trace.unbind(0)), membrane
    for drive, rate in zip(current.unbind(0), rates.unbind(0), strict=True):
        for fired in spikes.unbind(0):
            potential = torch.addcmul(drive, previous, beta, out=next(rows))
            previous = potential.addcmul_(reset, threshold, value=-1)
            reset = torch.gt(previous, threshold, out=fired)
        torch.mean(spikes, 0, out=rate)
    return rates, trace


# Elements worked on at a time when walking back: a few such tensors fit the L2 cache of a core.
CACHED = 131072


class _SpikeRates(torch.autograd.Function):
    """All spike steps of all ticks as one node."""

    @staticmethod
    def forward(
        ctx: Any, current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor,
        num_steps: int, surrogate: SpikeGradient,
    ) -> tuple[Tensor, Tensor]:
        rates, trace = _integrate_traced(current, membrane, beta, threshold, num_steps)
        ctx.save_for_backward(trace, current, membrane, beta, threshold)
        ctx.num_steps, ctx.surrogate = num_steps, surrogate
        return rates, trace[-1].clone()  # a row of the trace would keep all of it alive

    @staticmethod
    def backward(ctx: Any, grad_rates: Tensor, grad_membrane: Tensor) -> tuple[Any, ...]:
        trace, current, membrane, beta, threshold = ctx.saved_tensors
        steps = ctx.num_steps
        if differentiated_again(grad_rates, grad_membrane):
            return by_elementary_operators(
                partial(_plain_rates, num_steps=steps, surrogate=ctx.surrogate),
                (current, membrane, beta, threshold), (grad_rates, grad_membrane), ctx, 2)
        grad_current = torch.zeros_like(grad_rates, memory_format=torch.contiguous_format)
        grad_beta, grad_threshold = torch.zeros_like(membrane), torch.zeros_like(membrane)
        later, share = grad_membrane, grad_rates / steps
        # A few steps at a time: they fit the cache, and nothing as large as the trace is needed.
        for tick, begin, end in _pieces(len(share), steps, CACHED // membrane.numel()):
            potentials = trace[begin:end]
            adjoint = _slope(ctx.surrogate, potentials - threshold).mul_(share[tick])
            if ctx.needs_input_grad[3]:
                grad_threshold -= adjoint.sum(0)
            rows = adjoint.unbind(0)
            later = rows[-1].add_(later)
            for row in reversed(rows[:-1]):
                later = row.addcmul_(later, beta)
            grad_current[tick] += adjoint.sum(0)
            start = trace[begin - 1] if begin else membrane
            for earlier, gradients in ((start, rows[0]), (potentials[:-1], adjoint[1:])):
                if ctx.needs_input_grad[2]:
                    grad_beta += (gradients * earlier).reshape(-1, *membrane.shape).sum(0)
                if ctx.needs_input_grad[3]:
                    resets = gradients * (earlier > threshold)
                    grad_threshold -= resets.reshape(-1, *membrane.shape).sum(0)
            later = later * beta
        return (grad_current, later, grad_beta.sum_to_size(beta.shape),
                grad_threshold.sum_to_size(threshold.shape), None, None)


def _plain_rates(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    surrogate: SpikeGradient,
) -> tuple[Tensor, Tensor]:
    """What ``_integrate`` gives, by operators that autograd sees."""
    spikes, membrane = plain_steps(current, membrane, beta, threshold, num_steps, surrogate)
    return spikes.unflatten(0, (-1, num_steps)).mean(1), membrane


def _pieces(ticks: int, steps: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Tick, begin and end of stretches of spike steps within a tick, the last one first."""
    for tick in range(ticks - 1, -1, -1):
        first, end = tick * steps, (tick + 1) * steps
        while end > first:
            begin = max(first, end - max(most, 1))
            yield tick, begin, end
            end = begin


def _slope(surrogate: SpikeGradient, distance: Tensor) -> Tensor:
    """Derivative of the surrogate at every potential, a tensor of its own."""
    with torch.enable_grad():
        distance.requires_grad_()
        spikes = surrogate(distance)
        (slope,) = torch.autograd.grad(spikes, distance, torch.ones_like(spikes))
    return slope


def spike_rates(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    surrogate: SpikeGradient,
) -> tuple[Tensor, Tensor]:
    """Hold each of ``T`` currents for ``num_steps`` spike steps and count the spikes.

    Args:
        current: Time first, ``[T, …, N]``.
        membrane: Potential before the first step, ``[…, N]``.
        beta: Decay per spike step in [0, 1], broadcast against ``[…, N]``.
        threshold: Firing threshold, broadcast likewise.
        num_steps: Spike steps per tick.
        surrogate: Spike function from ``spike_gradient``.

    Returns:
        Share of steps with a spike ``[T, …, N]`` and the potential afterwards ``[…, N]``.
    """
    if current.is_cuda:
        done = choice.triton_rates(current, membrane, beta, threshold, num_steps, surrogate)
        if done is not None:
            return done
    current = current.to(membrane.dtype)  # autocast must not round potentials step by step
    if not torch.is_grad_enabled():
        return _integrate(current, membrane, beta, threshold, num_steps)
    return _SpikeRates.apply(current, membrane, beta, threshold, num_steps, surrogate)


choice.PLAIN['rates'] = spike_rates
