"""Leaky integrate-and-fire populations: one autograd node for all spike steps, explicit state.

The dynamics, values and gradients are those of ``snntorch.Leaky`` (reset by subtraction, delayed
by one step because it is computed from the previous membrane potential)::

    R[k] = 1 if U[k-1] > θ else 0              (no gradient)
    U[k] = clamp(β, 0, 1) · U[k-1] + I[k] − R[k] · θ
    S[k] = 1 if U[k] > θ else 0                (surrogate gradient)

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
from torch import nn, Tensor

from . import triton_choice
from .judgement import elementary, transformed
from .reset_mechanisms import plain_sequence, plain_steps, reset_sequence
from .surrogates import functional_spike, spike_gradient, SpikeGradient
from .twice import by_elementary_operators, differentiated_again

BACKENDS = ('fused', 'reference')
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
    ) -> tuple[Tensor, Tensor]:
        ticks, batch, units = current.shape
        trace = current.new_empty(ticks * num_steps, batch, units)
        spikes = torch.empty_like(trace)
        potentials, fired = trace.unbind(0), spikes.unbind(0)
        previous, reset = membrane, (membrane > threshold).to(membrane.dtype)
        step = 0
        for drive in current.unbind(0):
            for _ in range(num_steps):
                potential = torch.mul(previous, beta, out=potentials[step]).add_(drive)
                potential.addcmul_(reset, threshold, value=-1)
                reset = torch.gt(potential, threshold, out=fired[step])
                previous = potential
                step += 1
        ctx.save_for_backward(trace, current, membrane, beta, threshold)
        ctx.num_steps, ctx.surrogate = num_steps, surrogate
        return spikes, previous.clone()

    @staticmethod
    def backward(ctx: Any, grad_spikes: Tensor, grad_membrane: Tensor) -> tuple[Any, ...]:
        trace, current, membrane, beta, threshold = ctx.saved_tensors
        if differentiated_again(grad_spikes, grad_membrane):
            return by_elementary_operators(
                partial(plain_steps, num_steps=ctx.num_steps, fire=ctx.surrogate),
                (current, membrane, beta, threshold), (grad_spikes, grad_membrane), ctx, 2)
        with torch.enable_grad():
            distance = (trace - threshold).requires_grad_()
            spikes = ctx.surrogate(distance)
            (slope,) = torch.autograd.grad(spikes, distance, torch.ones_like(spikes))
        direct = grad_spikes * slope
        adjoint = torch.empty_like(trace)
        rows, targets = direct.unbind(0), adjoint.unbind(0)
        later = torch.add(rows[-1], grad_membrane, out=targets[-1])
        for step in range(len(rows) - 2, -1, -1):
            later = torch.addcmul(rows[step], later, beta, out=targets[step])

        grad_current = adjoint.unflatten(0, (-1, ctx.num_steps)).sum(1)
        grad_start = later * beta if ctx.needs_input_grad[1] else None
        grad_beta = grad_threshold = None
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            before = torch.cat([membrane.unsqueeze(0), trace[:-1]])
            grad_beta = (adjoint * before).sum((0, 1))
            grad_threshold = -(direct + adjoint * (before > threshold)).sum((0, 1))
        return grad_current, grad_start, grad_beta, grad_threshold, None, None


def leaky_sequence(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: SpikeGradient | None = None,
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

    Returns:
        Spikes ``[B, T * num_steps, N]`` (0 or 1) and the membrane potential ``[B, N]`` after them.
    """
    surrogate, beta = surrogate or spike_gradient('fast_sigmoid'), beta.clamp(0, 1)
    if current.is_cuda:
        done = triton_choice.triton_sequence(current, membrane, beta, threshold, num_steps,
                                             surrogate)
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
    )
    return spikes.transpose(0, 1), membrane


triton_choice.PLAIN['spikes'] = leaky_sequence


class LIFPopulation(nn.Module):
    """``units`` leaky integrate-and-fire neurons; holds parameters, never state.

    Args:
        units: Number of neurons ``N``.
        beta: Initial decay per spike step, in [0, 1]; one learnable value per neuron.
        threshold: Firing threshold, the same for all neurons.
        surrogate: Name in ``SURROGATES``.
        learn_beta: Whether training changes ``beta``.
        learn_threshold: Whether training changes the threshold, then one per neuron.
        reset: What a spike does to the membrane, one step later: ``'subtract'`` the threshold,
            set it to ``'zero'``, or ``'none'``.
        backend: ``'fused'``, or ``'reference'`` for stock ``snntorch.Leaky`` (slow, for checks).

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        units: int,
        *,
        beta: float = 0.95,
        threshold: float = 1.0,
        surrogate: str = 'fast_sigmoid',
        learn_beta: bool = True,
        learn_threshold: bool = False,
        reset: str = 'subtract',
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        if units < 1:
            raise ValueError(f'units: got {units!r}, expected at least 1')
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f'beta: got {beta!r}, expected a decay in [0, 1]')
        if not threshold > 0:
            raise ValueError(f'threshold: got {threshold!r}, expected a number above 0')
        if backend not in BACKENDS:
            raise ValueError(f'backend: got {backend!r}, expected one of {", ".join(BACKENDS)}')
        if reset not in RESETS:
            raise ValueError(f'reset: got {reset!r}, expected one of {", ".join(RESETS)}')
        spike_gradient(surrogate)
        self.units = units
        self.surrogate = surrogate
        self.reset = reset
        self.backend = backend
        self.beta = nn.Parameter(torch.full((units,), beta), requires_grad=learn_beta)
        self.threshold: Tensor
        thresholds = torch.full((units,), threshold)
        if learn_threshold:
            self.threshold = nn.Parameter(thresholds)
        else:
            self.register_buffer('threshold', thresholds)

    def forward(
        self, current: Tensor, membrane: Tensor, num_steps: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Spike over ``current [B, T, N]``; see ``leaky_sequence``."""
        beta, threshold = self.beta, self.threshold
        surrogate = spike_gradient(self.surrogate)
        if self.backend == 'reference':
            if transformed():
                raise NotImplementedError("backend: got 'reference' under a transform of "
                                          "torch.func, which snntorch's cells do not take, "
                                          "expected 'fused'")
            from .reference import leaky_reference

            return leaky_reference(current, membrane, beta, threshold, num_steps, surrogate,
                                   self.reset)
        if elementary():
            fire = functional_spike(self.surrogate) if transformed() else surrogate
            return plain_sequence(current, membrane, beta, threshold, num_steps, fire, self.reset)
        if self.reset != 'subtract':
            return reset_sequence(current, membrane, beta, threshold, num_steps, surrogate,
                                  self.reset)
        return leaky_sequence(current, membrane, beta, threshold, num_steps, surrogate)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Accept the ``state_dict`` of a ``snntorch.Leaky`` with the same reset."""
        for name, expected in (('graded_spikes_factor', 1),
                               ('reset_mechanism_val', RESETS.index(self.reset))):
            value = state_dict.pop(prefix + name, None)
            if value is not None and bool((value != expected).any()):
                raise ValueError(f'{prefix}{name}: got {value.tolist()}, expected {expected}')
        for name in ('beta', 'threshold'):
            value = state_dict.get(prefix + name)
            if value is not None and value.numel() == 1:  # snntorch shares one among all neurons
                state_dict[prefix + name] = value.reshape(1).expand(self.units)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return (f'{self.units}, surrogate={self.surrogate!r}, reset={self.reset!r}, '
                f'backend={self.backend!r}')
