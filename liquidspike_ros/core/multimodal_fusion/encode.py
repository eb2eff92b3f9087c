"""Several encoders at once: those of equal size side by side, the others one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..derived_weights import DerivedWeights
from ..state import State
from .batch import Encoded
from .encoder import ModalityEncoder
from .side_by_side import group_key, run_group


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
