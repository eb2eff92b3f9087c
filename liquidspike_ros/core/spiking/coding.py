"""Input coding: how values become spike trains before they reach the neurons.

======= =========================================================================================
direct  no spikes: the current is held for all spike steps of a tick
rate    at every spike step a spike with the probability of the intensity: random
latency one spike per tick, the earlier the larger the intensity
delta   a spike (+1 or −1) for as long as a tick in which the value has changed by the threshold
======= =========================================================================================

Values are those of ``snntorch.spikegen``. Coding has no gradient of its own; a straight-through
one lets what stands before it learn.

Source: Eshraghian et al., 'Training Spiking Neural Networks Using Lessons From Deep Learning',
Proceedings of the IEEE 111(9), 2023, section III.
"""

from __future__ import annotations

import torch
from torch import Tensor

CODINGS = ('direct', 'rate', 'latency', 'delta')
LATENCY_THRESHOLD = 0.01
DELTA_THRESHOLD = 0.1
_EPSILON = 1e-7  # spikegen's, against a division by zero


def rate(intensity: Tensor, num_steps: int, generator: torch.Generator | None = None) -> Tensor:
    """Spikes at random, as many on average as the intensity says.

    Args:
        intensity: ``[B, T, N]``, clipped to [0, 1].
        num_steps: Spike steps ``K`` per tick.
        generator: Of the random numbers; torch's own if None.

    Returns:
        Spikes ``[B, T·K, N]``. The gradient is that of the probability.
    """
    # Spike steps first, as spikegen draws them: the same seed gives the same spikes.
    chance = intensity.transpose(0, 1).clamp(0, 1).repeat_interleave(_positive(num_steps), 0)
    spikes = torch.bernoulli(chance.detach(), generator=generator)
    return (spikes + (chance - chance.detach())).transpose(0, 1)


def latency(
    intensity: Tensor,
    num_steps: int,
    threshold: float = LATENCY_THRESHOLD,
    linear: bool = True,
    clip: bool = True,
) -> Tensor:
    """One spike per tick: at its first step for intensity 1, at its last at the threshold.

    Unlike ``spikegen.latency(normalize=True)``, the logarithmic code is spread over the tick by
    the longest time there can be, not by the longest in the batch, so that rows stay independent.

    Args:
        intensity: ``[B, T, N]``, clipped to [0, 1].
        num_steps: Spike steps ``K`` per tick.
        threshold: Below it there is no spike.
        linear: Time falls linearly with the intensity; otherwise as the charging time of an RC
            circuit, ``log(x / (x − threshold))``.
        clip: Without it, what is below the threshold spikes at the last step.

    Returns:
        Spikes ``[B, T·K, N]``. The gradient is that of the intensity spread over the steps.
    """
    if not 0 < threshold < 1:
        raise ValueError(f'threshold: got {threshold!r}, expected a number in (0, 1)')
    intensity = intensity.clamp(0, 1)
    values, last = intensity.detach(), _positive(num_steps) - 1
    if linear:
        time = ((1 - values) * last).clamp_max((1 - threshold) * last)
    else:
        above = values.clamp_min(threshold + _EPSILON)
        longest = torch.log(torch.as_tensor((threshold + _EPSILON) / _EPSILON))
        time = torch.log(above / (above - threshold)) * (last / longest.item())
    steps = torch.arange(num_steps, device=values.device).view(-1, 1)
    spikes = (time.round().clamp_max(last).unsqueeze(2) == steps).to(values.dtype)  # [B, T, K, N]
    if clip:
        spikes = spikes * (values >= threshold).unsqueeze(2)
    spread = (intensity - values).unsqueeze(2) / num_steps
    return (spikes + spread).flatten(1, 2)


def delta(
    values: Tensor, last: Tensor, present: Tensor | None = None,
    threshold: float = DELTA_THRESHOLD,
) -> tuple[Tensor, Tensor]:
    """Spikes where a value has changed since the tick before.

    Args:
        values: ``[B, T, N]``.
        last: Values of the tick before the first ``[B, N]``; zeros at rest.
        present: ``[B, T]`` bool; a tick that is absent has no spikes and changes no memory.
        threshold: Least change.

    Returns:
        Spikes ``[B, T, N]`` (−1, 0 or 1) and the values to be the next ``last``, without
        gradient. The gradient of the spikes is that of the change.
    """
    held = values.detach()
    if present is not None:
        held = _hold(held, last.detach(), present)
    before = torch.cat([last.detach().to(held).unsqueeze(1), held[:, :-1]], 1)
    change = values - before
    if present is not None:
        change = torch.where(present.unsqueeze(-1), change, 0.0)
    size = change.detach()
    spikes = (size >= threshold).to(size) - (size <= -threshold).to(size)
    return spikes + (change - size), held[:, -1].to(last.dtype)


def _hold(values: Tensor, last: Tensor, present: Tensor) -> Tensor:
    """Replace what is absent by what was there last, ``last`` where nothing was."""
    ticks = torch.arange(1, values.shape[1] + 1, device=values.device)
    newest = torch.where(present, ticks, 0).cummax(1).values  # [B, T]: 0 means `last`
    everything = torch.cat([last.to(values).unsqueeze(1), values], 1)
    return everything.gather(1, newest.unsqueeze(-1).expand_as(values))


def _positive(num_steps: int) -> int:
    if num_steps < 1:
        raise ValueError(f'num_steps: got {num_steps!r}, expected at least 1')
    return num_steps
