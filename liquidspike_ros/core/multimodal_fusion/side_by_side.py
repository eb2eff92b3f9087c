"""Encoders of equal size side by side: one product for all of them instead of one each.

At a batch of one a tick costs what its operator calls cost, so their number is what counts: four
modalities need no more calls than one. The stacked weights follow the parameters: with gradients
they are stacked anew at each call; a deployed copy keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..derived_weights import DerivedWeights, stack_weights, Weights
from ..dispatch import why_call
from ..liquid import CfC
from ..liquid.cfc_sequence import cfc_sequence
from ..products import affine
from ..spiking.population import LIFPopulation
from ..spiking.rates import spike_rates
from ..spiking.surrogates import spike_gradient
from .coded import runs_alone
from .encoder_parts import EncoderParts


def why_alone(encoder: EncoderParts) -> str:
    """Why an encoder cannot run side by side with others of its size; '' if it can."""
    liquid, population, norm = encoder.liquid, encoder.population, encoder.norm
    assert isinstance(encoder, nn.Module)
    if reason := why_call(encoder, inside=False):
        return reason
    for name, part in encoder.named_children():
        if name != 'preprocessing' and (reason := why_call(part)):
            return f'{name}: {reason}'
    if not (type(liquid) is CfC and liquid.one_node):
        return 'liquid: not a CfC with one backbone layer and a tanh'
    if type(population) is not LIFPopulation or population.backend != 'fused':
        return 'population: not a fused LIFPopulation'
    if runs_alone(encoder):
        return 'coding, reset or surrogate: not the usual ones'
    return '' if has_all(norm) else 'norm: no weight or bias'


def has_all(norm: nn.Module) -> bool:
    """Whether a norm, if it is one, has both weight and bias."""
    return not isinstance(norm, nn.LayerNorm) or (norm.weight is not None and norm.bias is not None)


def group_key(encoder: EncoderParts) -> tuple[Any, ...] | None:
    """What encoders must share to run side by side; None for one that runs by itself."""
    if why_alone(encoder):
        return None
    liquid, population = encoder.liquid, encoder.population
    assert isinstance(liquid, CfC)  # as why_alone made sure
    dropout, norm = encoder.dropout, encoder.norm
    return (encoder.input_dim, encoder.encoder_dim, encoder.num_spike_steps, population.units,
            population.surrogate, liquid.units, liquid.backbone_units, liquid.mode,
            liquid.activation, liquid.dt_scale, type(norm), getattr(norm, 'eps', None),
            dropout.p if dropout.training else None)


def encoder_weights(encoder: EncoderParts) -> Weights:
    """One encoder's weights as ``run_group`` takes them, each with a leading 1."""
    weight: Tensor = encoder.current.weight
    bias: Tensor = encoder.current.bias
    if isinstance(encoder.norm, nn.LayerNorm):  # its scale and shift belong to the next product
        bias = torch.addmv(bias, weight, encoder.norm.bias)
        weight = weight * encoder.norm.weight
    liquid = encoder.liquid
    assert isinstance(liquid, CfC)  # as group_key made sure
    own = {
        'current': weight,
        'current_bias': bias.unsqueeze(0),
        'silent': encoder.absent.unsqueeze(0),
        'beta': encoder.population.beta.clamp(0, 1).unsqueeze(0),
        'threshold': encoder.population.threshold.unsqueeze(0),
        'readout': encoder.readout.weight,
        'readout_bias': encoder.readout.bias.unsqueeze(0),
    }
    return {name: value.unsqueeze(0) for name, value in own.items()
            } | liquid.sequence_weights()


def stacked_weights(encoders: Mapping[str, EncoderParts]) -> Weights:
    """``encoder_weights`` of all, joined along their leading dimension."""
    return stack_weights(map(encoder_weights, encoders.values()))


def run_group(
    encoders: Mapping[str, EncoderParts],
    features: Mapping[str, Tensor | None],
    present: Mapping[str, Tensor] | None,
    states: Mapping[str, Mapping[str, Tensor]],
    dt: Tensor,
    derived: DerivedWeights,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Encode ``M`` modalities whose encoders share a ``group_key``.

    Args:
        encoders: By modality.
        features: ``[B, T, input_dim]`` by modality; None if never there.
        present: ``[B, T]`` bool by modality; None if everything is there.
        states: State by modality.
        dt: Seconds ``[B, T, 1]``.
        derived: Makes the stacked weights.

    Returns:
        Features ``[M, T, B, E]``, rates ``[T, M, B, N]``, membranes ``[M, B, N]`` and hidden
        states ``[M, B, H]``.
    """
    first = next(iter(encoders.values()))
    weights = derived.get(tuple(encoders), lambda: stacked_weights(encoders))
    batch, ticks = dt.shape[:2]
    count = len(encoders)
    x = torch.stack([_time_first(features[name], dt, first.input_dim) for name in encoders])
    if isinstance(first.norm, nn.LayerNorm):
        x = functional.layer_norm(x, (first.input_dim,), eps=first.norm.eps)
    drive = affine(x.view(count, ticks * batch, -1), weights['current'], weights['current_bias']
                   ).unflatten(1, (ticks, batch))
    if present is not None:
        mask = torch.stack([present[name].t() for name in encoders]).unsqueeze(-1)
        drive = torch.where(mask, drive, weights['silent'].unsqueeze(1))
    membrane = torch.stack([states[name]['membrane'] for name in encoders])
    rates, membrane = spike_rates(
        torch.sigmoid(drive).transpose(0, 1), membrane, weights['beta'], weights['threshold'],
        first.num_spike_steps, spike_gradient(first.population.surrogate))
    liquid = first.liquid
    assert isinstance(liquid, CfC)  # as group_key made sure
    drive = affine(rates.transpose(0, 1).flatten(1, 2), weights['input'], weights['offset']
                   ).unflatten(1, (ticks, batch))
    hidden = cfc_sequence(
        drive.transpose(0, 1), torch.stack([states[name]['hx'] for name in encoders]),
        weights['recurrent'], weights['heads'], weights['bias'],
        dt.transpose(0, 1) * liquid.dt_scale, liquid.mode == 'default')
    encoded = affine(hidden.transpose(0, 1).flatten(1, 2), weights['readout'],
                     weights['readout_bias']).unflatten(1, (ticks, batch))
    return encoded, rates, membrane, hidden[-1]


def _time_first(features: Tensor | None, dt: Tensor, width: int) -> Tensor:
    """``[B, T, F]`` -> ``[T, B, F]``; what was never there is masked later and may be anything."""
    if features is None:
        return dt.new_zeros(dt.shape[1], dt.shape[0], width)
    return features.transpose(0, 1)
