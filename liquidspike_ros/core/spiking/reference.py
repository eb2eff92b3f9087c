"""The upstream LIF cell, run from our weights: what the fused code is checked against.

Slow and simple on purpose. ``backend='reference'`` of a model runs it.
"""

from __future__ import annotations

from collections.abc import Callable

import snntorch
import torch
from torch import Tensor


def leaky_reference(
    current: Tensor,
    membrane: Tensor,
    beta: Tensor,
    threshold: Tensor,
    num_steps: int = 1,
    surrogate: Callable[[Tensor], Tensor] | None = None,
    reset: str = 'subtract',
) -> tuple[Tensor, Tensor]:
    """Same contract as ``lif.leaky_sequence``, by stock ``snntorch.Leaky``."""
    current = current.to(membrane.dtype)
    cell = snntorch.Leaky(beta=0.0, spike_grad=surrogate, reset_mechanism=reset)
    # snntorch keeps every cell ever made in a class-wide list; leave it as it was.
    snntorch.SpikingNeuron.instances.remove(cell)
    constants = {'beta': beta, 'threshold': threshold}
    spikes = []
    for drive in current.unbind(1):
        for _ in range(num_steps):
            fired, membrane = torch.func.functional_call(cell, constants, (drive, membrane))
            spikes.append(fired.to(drive.dtype))
    return torch.stack(spikes, 1), membrane
