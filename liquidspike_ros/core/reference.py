"""The upstream cells, run from this package's weights: what the fused code is checked against.

Slow and simple on purpose. ``backend='reference'`` of a model runs these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ncps.torch import CfCCell
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
) -> tuple[Tensor, Tensor]:
    """Same contract as ``neurons.leaky_sequence``, by stock ``snntorch.Leaky``."""
    cell = snntorch.Leaky(beta=0.0, spike_grad=surrogate)
    # snntorch keeps every cell ever made in a class-wide list; leave it as it was.
    snntorch.SpikingNeuron.instances.remove(cell)
    constants = {'beta': beta, 'threshold': threshold}
    spikes = []
    for drive in current.unbind(1):
        for _ in range(num_steps):
            fired, membrane = torch.func.functional_call(cell, constants, (drive, membrane))
            spikes.append(fired.to(drive.dtype))
    return torch.stack(spikes, 1), membrane


def cfc_reference(
    arguments: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    hx: Tensor,
    timespans: Tensor,
) -> tuple[Tensor, Tensor]:
    """A CfC over ``inputs [B, T, I]`` by stock ``ncps.torch.CfCCell``.

    Args:
        arguments: Constructor arguments of ``CfCCell``.
        weights: Its parameters under their upstream names; gradients flow to them.
        inputs: ``[B, T, I]``.
        hx: Hidden state ``[B, H]``.
        timespans: ``[B, T, 1]``, already scaled. Each step passes ``[B, 1]``: the sequence class
            of ncps 1.0.1 squeezes it to ``[B]``, which is wrong where ``B`` equals ``H``.
    """
    with torch.device('meta'):  # no initial values, so no random numbers are drawn
        cell = CfCCell(**arguments)
    outputs = []
    for x, span in zip(inputs.unbind(1), timespans.unbind(1), strict=True):
        _, hx = torch.func.functional_call(cell, dict(weights), (x, hx, span))
        outputs.append(hx)
    return torch.stack(outputs, 1), hx
