"""Spike encoders that cannot stand side by side with the others: coded inputs, other resets.

Features become spikes first (``spiking.coding``), then pass the same synapses (the linear layer and
its sigmoid) as a direct current would, so that the membrane stays as bounded as it is there. Rate
and latency code the intensity ``sigmoid(features)``; delta codes changes of the features.

The current of a latency spike stays on to the end of its tick. A spike that passed would leave the
same charge whenever it came, and a spike rate would not tell early from late (Rueckauer and Liu,
'Conversion of analog to spiking neural networks using sparse temporal coding', ISCAS 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..spiking import coding
from ..state import State
from .encoder_parts import EncoderParts


def runs_alone(encoder: EncoderParts) -> bool:
    """Whether the population differs from what all others share."""
    population = encoder.population
    return (encoder.coding != 'direct' or population.reset != 'subtract'
            or population.surrogate != 'fast_sigmoid')


def encode_alone(
    encoder: EncoderParts, features: Tensor, present: Tensor, state: State
) -> tuple[Tensor, Tensor, State]:
    """Features to spike rates.

    Args:
        encoder: Of the modality.
        features: Preprocessed ``[B, T, input_dim]``.
        present: ``[B, T]`` bool.
        state: Of the modality.

    Returns:
        Spike rates ``[B, T, N]``, membranes ``[B, N]`` and what the coding remembers.
    """
    steps, memory = encoder.num_spike_steps, State()
    if encoder.coding == 'delta':
        memory['last'] = state['last']
    held = steps  # spike steps for which a current is held
    if encoder.coding != 'direct':
        features = encoder.norm(features)
        if encoder.coding == 'delta':
            spikes, memory['last'] = coding.delta(features, state['last'], present)
        elif encoder.coding == 'latency':
            spikes = coding.latency(torch.sigmoid(features), steps)
            spikes, held = spikes.unflatten(1, (-1, steps)).cumsum(2).flatten(1, 2), 1
        else:
            spikes, held = coding.rate(torch.sigmoid(features), steps), 1
        mask = present.repeat_interleave(steps // held, 1).unsqueeze(-1)
        currents = torch.sigmoid(torch.where(mask, encoder.current(spikes), encoder.absent))
    else:
        currents = encoder.currents(features, present)
    fired, membrane = encoder.population(currents, state['membrane'], held)
    return fired.unflatten(1, (-1, steps)).mean(2), membrane, memory
