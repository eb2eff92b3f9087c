"""One modality: preprocessor -> spike encoder -> liquid cell.

What happens while a modality is absent: its population receives a learned current (near zero to
begin with, so that it falls silent) and its liquid cell goes on with the true timespan. Membrane
and liquid memory thus fade as they would in a quiet world, and are there when it comes back. A
key that is not given and ``present=False`` are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ...untrusted.text import brief
from ..derived_weights import DerivedWeights
from ..liquid import build_liquid
from ..spiking.population import LIFPopulation
from ..state import State
from .absent import without_effect
from .coded import encode_alone
from .config import ModalityConfig
from .encoded import Encoded
from .side_by_side import group_key, run_group


class ModalityEncoder(nn.Module):
    """Preprocessor -> spike encoder -> liquid cell of one modality; holds no state.

    The current into the neurons is ``sigmoid`` of a linear layer, between 0 and the threshold:
    the firing rate follows it over the whole range and no membrane winds up or runs away.

    Args:
        config: Sizes and preprocessor.
        dt_scale: Timespan units per second of the liquid cell.
        backend: ``'fused'`` or ``'reference'``.
    """

    def __init__(
        self, config: ModalityConfig, *, dt_scale: float = 15.0, backend: str = 'fused'
    ) -> None:
        super().__init__()
        self.input_dim, self.encoder_dim = config.input_dim, config.encoder_dim
        self.num_spike_steps = config.num_spike_steps
        self.preprocessing = config.preprocessing or nn.Identity()
        self.norm = feature_norm(config)
        self.current = nn.Linear(config.input_dim, config.spiking_units)
        # sigmoid(−4) = 0.018 is below the 1 − β = 0.05 that would make a neuron fire at all.
        self.absent = nn.Parameter(torch.full((config.spiking_units,), -4.0))
        self.coding = config.coding
        self.population = LIFPopulation(config.spiking_units, beta=config.beta, backend=backend,
                                        **(config.spiking_options or {}))
        self.liquid = build_liquid(
            config.backbone, config.spiking_units, config.liquid_units, dt_scale=dt_scale,
            backend=backend, options=config.backbone_options,
        )
        self.readout = nn.Linear(self.liquid.output_size, config.encoder_dim)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def state_sizes(self) -> dict[str, int]:
        """Units of each entry of the state."""
        sizes = {'membrane': self.population.units, 'hx': self.liquid.state_size}
        return sizes | {'last': self.input_dim} if self.coding == 'delta' else sizes

    def currents(self, features: Tensor, present: Tensor) -> Tensor:
        """Currents ``[B, T, N]`` of features ``[B, T, input_dim]``."""
        drive = self.current(self.norm(features))
        return torch.sigmoid(torch.where(present.unsqueeze(-1), drive, self.absent))

    def forward(
        self, inputs: Tensor, state: State, dt: Tensor, present: Tensor | None = None,
        return_rates: bool = False,
    ) -> Any:
        """Encode a sequence of raw inputs.

        Args:
            inputs: ``[B, T, …]``.
            state: ``{'membrane': [B, N], 'hx': [B, H]}``, and with delta coding ``'last'``, the
                features that were there last ``[B, input_dim]``.
            dt: Seconds, ``[B, T, 1]``.
            present: ``[B, T]`` bool; all if None.
            return_rates: Also return the spike rates ``[B, T, N]``.

        Returns:
            Features ``[B, T, encoder_dim]`` and the state afterwards, and last the rates.
        """
        if inputs.dim() < 3:
            raise ValueError(f'input: got shape {tuple(inputs.shape)}, '
                             f'expected [B, T, …] with the shape of one sample')
        if present is None:
            present = torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        features = preprocess('input', self.preprocessing, inputs.flatten(0, 1),
                              present.flatten(), self.input_dim).unflatten(0, present.shape)
        rates, membrane, memory = encode_alone(self, features, present, state)
        outputs, hx = self.liquid(rates, state['hx'], dt)
        tokens = self.dropout(self.readout(outputs))
        after = {'membrane': membrane, 'hx': hx} | memory
        return (tokens, after, rates) if return_rates else (tokens, after)


def feature_norm(config: ModalityConfig) -> nn.Module:
    """LayerNorm for a preprocessor's features, nothing for a raw input: its size is its meaning."""
    return nn.Identity() if config.preprocessing is None else nn.LayerNorm(config.input_dim)


def preprocess(
    name: str, module: nn.Module, rows: Tensor, present: Tensor | None, width: int
) -> Tensor:
    """Run a preprocessor once over all rows.

    What stands in absent rows never enters the module: a NaN there would come back through the
    gradient of its weights even though its output is not used. Where the module computes batch
    statistics, absent rows do not enter it at all.

    Args:
        name: Modality, for errors.
        module: ``[R, …]`` -> ``[R, width]``.
        rows: ``[R, …]``.
        present: ``[R]`` bool; None if known to be True throughout.
        width: Expected width of the features.

    Raises:
        ValueError: Names the modality, what was got and what was expected.
    """
    index = None
    if present is not None and _mixes_rows(module):
        index = present.nonzero().squeeze(1)
        if not len(index):
            like = next(value for value in module.buffers() if value.is_floating_point())
            return without_effect(like.new_zeros(len(rows), width), module)
        count, rows = len(rows), rows.index_select(0, index)
    elif present is not None:
        keep = present.reshape(-1, *[1] * (rows.dim() - 1))
        rows = torch.where(keep, rows, rows.new_zeros(()))
    try:
        features: Tensor = module(rows)
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
    except RuntimeError as error:  # torch does not say of which input
        weight = next((value for value in module.parameters() if value.is_floating_point()), None)
        if weight is None or rows.dtype == weight.dtype:
            raise
        raise ValueError(f'{name}: got {rows.dtype}, expected {weight.dtype} like the weights '
                         f'of its preprocessor ({brief(str(error))})') from None
    if not features.is_floating_point():
        raise ValueError(f'{name}: got preprocessed features of {features.dtype}, expected '
                         f'floating-point numbers')
    if features.dim() != 2 or features.shape[-1] != width:
        raise ValueError(f'{name}: got preprocessed features of shape '
                         f'{tuple(features.shape)}, expected [B, {width}] (input_dim)')
    if index is not None:
        features = features.new_zeros(count, width).index_copy(0, index, features)
    return features


def _mixes_rows(module: nn.Module) -> bool:
    """Whether what it makes of a row depends on the other rows, as batch statistics do."""
    return any(isinstance(part, _BatchNorm) and part.training for part in module.modules())


def encode(
    encoders: Mapping[str, ModalityEncoder],
    features: Mapping[str, Tensor | None],
    present: Mapping[str, Tensor] | None,
    states: Mapping[str, State],
    dt: Tensor,
    derived: DerivedWeights | None = None,
) -> Encoded:
    """Encode several modalities, those of equal size side by side.

    Args:
        encoders: By modality.
        features: Preprocessed features ``[B, T, input_dim]`` by modality; None if never there.
        present: ``[B, T]`` bool by modality; None if everything is there.
        states: State by modality.
        dt: Seconds, ``[B, T, 1]``.
        derived: Makes stacked weights; at every call anew if None.
    """
    groups: dict[Any, list[str]] = {}
    for name, encoder in encoders.items():
        groups.setdefault(group_key(encoder) or name, []).append(name)
    derived = derived or DerivedWeights()
    tokens: dict[str, Tensor] = {}
    rates: list[tuple[tuple[str, ...], Tensor]] = []
    after: dict[str, State] = {}
    for key, names in groups.items():
        group = {name: encoders[name] for name in names}
        if isinstance(key, str):
            tokens[key], spiking, after[key] = _encode_alone(
                group[key], features[key], None if present is None else present[key],
                states[key], dt)
            rates.append(((key,), spiking.transpose(0, 1).unsqueeze(1)))
            continue
        encoded, spiking, membrane, hx = run_group(group, features, present, states, dt, derived)
        rates.append((tuple(names), spiking))
        for index, name in enumerate(names):
            after[name] = {'membrane': membrane[index], 'hx': hx[index]}
        encoded = group[names[0]].dropout(encoded)
        if len(groups) == 1:
            return Encoded(names=tuple(names), tokens=encoded.permute(2, 1, 0, 3),
                           rates=tuple(rates), state=after)
        tokens |= zip(names, encoded.transpose(1, 2).unbind(0), strict=True)
    return Encoded(names=tuple(encoders), tokens=torch.stack([tokens[n] for n in encoders], -2),
                   rates=tuple(rates), state={name: after[name] for name in encoders})


def _encode_alone(
    encoder: ModalityEncoder, features: Tensor | None, present: Tensor | None, state: State,
    dt: Tensor,
) -> tuple[Tensor, Tensor, State]:
    """An encoder that does not run side by side, see ``group_key``."""
    if features is None:
        features = dt.new_zeros(*dt.shape[:2], encoder.input_dim)
    tokens, after, rates = encoder(features, state, dt, present, return_rates=True)
    return tokens, rates, after
