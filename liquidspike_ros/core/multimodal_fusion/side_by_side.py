"""Encoders of equal size side by side: one product for all of them instead of one each.

At a batch of one a tick costs what its operator calls cost, so their number is what counts: four
modalities need no more calls than one. The stacked weights follow the parameters: with gradients
they are stacked anew at each call, without they are kept until a parameter changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TYPE_CHECKING

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..cfc_sequence import cfc_sequence
from ..kept_weights import KeptWeights, stack_weights, Weights
from ..liquid import CfC
from ..neurons import LIFPopulation, spike_gradient
from ..products import affine
from ..spike_rates import spike_rates
from .coded import runs_alone

if TYPE_CHECKING:
    from .encoder import ModalityEncoder

def group_key(encoder: ModalityEncoder) -> tuple[Any, ...] | None:
    """What encoders must share to run side by side; None for one that runs by itself."""
    liquid, population = encoder.liquid, encoder.population
    if not (type(liquid) is CfC and liquid.one_node and type(population) is LIFPopulation
            and population.backend == 'fused' and not runs_alone(encoder)):
        return None
    return (encoder.input_dim, encoder.encoder_dim, encoder.num_spike_steps, population.units,
            population.surrogate, liquid.units, liquid.backbone_units, liquid.mode,
            liquid.activation, liquid.dt_scale, type(encoder.norm))


def structure(encoder: ModalityEncoder) -> tuple[Any, ...]:
    """What decides, besides weights and parts, how an encoder runs: cheap enough for every tick."""
    parts = encoder._modules
    liquid = parts['liquid']
    return (_OWN(encoder), _POPULATION(parts['population']),
            _CELL(liquid) if type(liquid) is CfC else None)


_OWN = attrgetter('input_dim', 'encoder_dim', 'num_spike_steps', 'coding')
_POPULATION = attrgetter('units', 'surrogate', 'backend', 'reset')
_CELL = attrgetter('units', 'backbone_units', 'backbone_layers', 'mode', 'activation', 'dt_scale',
                   'backend')


def encoder_weights(encoder: ModalityEncoder) -> Weights:
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


def stacked_weights(encoders: Mapping[str, ModalityEncoder]) -> Weights:
    """``encoder_weights`` of all, joined along their leading dimension."""
    return stack_weights(map(encoder_weights, encoders.values()))


def run_group(
    encoders: Mapping[str, ModalityEncoder],
    features: Mapping[str, Tensor | None],
    present: Mapping[str, Tensor] | None,
    states: Mapping[str, Mapping[str, Tensor]],
    dt: Tensor,
    kept: KeptWeights,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Encode ``M`` modalities whose encoders share a ``group_key``.

    Args:
        encoders: By modality.
        features: ``[B, T, input_dim]`` by modality; None if never there.
        present: ``[B, T]`` bool by modality; None if everything is there.
        states: State by modality.
        dt: Seconds ``[B, T, 1]``.
        kept: Where the stacked weights are kept between calls.

    Returns:
        Features ``[M, T, B, E]``, rates ``[T, M, B, N]``, membranes ``[M, B, N]`` and hidden
        states ``[M, B, H]``.
    """
    first = next(iter(encoders.values()))
    weights = kept.get(tuple(encoders), encoders.values(), lambda: stacked_weights(encoders))
    batch, ticks = dt.shape[:2]
    count = len(encoders)
    x = torch.stack([_time_first(features[name], dt, first.input_dim) for name in encoders])
    if isinstance(first.norm, nn.LayerNorm):
        x = functional.layer_norm(x, (first.input_dim,), eps=first.norm.eps)
    drive = affine(x.view(count, ticks * batch, -1), weights['current'], weights['current_bias']
                   ).unflatten(1, (ticks, batch))
    if present is not None:
        here = torch.stack([present[name].t() for name in encoders]).unsqueeze(-1)
        drive = torch.where(here, drive, weights['silent'].unsqueeze(1))
    membrane = torch.stack([states[name]['membrane'] for name in encoders])
    rates, membrane = spike_rates(
        torch.sigmoid(drive).transpose(0, 1), membrane, weights['beta'], weights['threshold'],
        first.num_spike_steps, spike_gradient(first.population.surrogate))
    liquid = first.liquid
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
