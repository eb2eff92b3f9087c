"""Streams of different rates brought to one timeline, with what was not there yet marked absent."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

import torch
from torch import nn, Tensor

METHODS = ('hold', 'linear')
TOLERANCE = 1e-6  # s: a sample due at a tick counts as there, whatever the last digits say


def _stretched(first: Tensor, second: Any, ticks: int | None) -> tuple[Tensor, Tensor]:
    pair = [first, second]
    for value in pair:
        if not isinstance(value, Tensor) or value.dim() != 3 or value.shape[2] < 1:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f'features: got {got}, expected two tensors [B, C, T]')
    length = max(value.shape[2] for value in pair) if ticks is None else ticks
    one, other = (nn.functional.interpolate(value, size=length, mode='linear') for value in pair)
    return one, other


class TemporalAligner(nn.Module):
    """Resamples streams to the ticks of a network; no parameters, no state.

    ``'hold'`` takes the newest sample that is there at a tick, as a robot does: it looks at no
    later sample. ``'linear'`` interpolates between the samples before and after, which is for
    recordings only, and holds the last one after the end.

    Without rates, ``TemporalAligner()(video, audio)`` stretches features ``[B, C, T_i]`` of one and
    the same time to the longest of them, by linear interpolation.

    Args:
        rates: Samples per second by modality, in the order of the network's ``modalities``; None
            for features that last equally long.
        rate: Ticks per second.
        method: ``'hold'`` or ``'linear'``, for all or by modality.
        max_age: Seconds after which a sample is too old and its modality absent; None for never.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    def __init__(
        self,
        rates: Mapping[str, float] | None = None,
        rate: float = 1.0,
        method: str | Mapping[str, str] = 'hold',
        max_age: float | None = None,
    ) -> None:
        super().__init__()
        if rates is None:
            rates = {}
        elif not rates:
            raise ValueError(f'rates: got {rates!r}, expected at least one modality')
        for name, value in {**rates, 'rate': rate}.items():
            if not 0 < value < math.inf:
                raise ValueError(f'{name}: got {value!r} per second, expected a number above 0')
        if max_age is not None and not max_age >= 0:
            raise ValueError(f'max_age: got {max_age!r}, expected seconds or None')
        self.rates, self.rate, self.max_age = dict(rates), rate, max_age
        self.methods = (dict.fromkeys(rates, 'hold') | dict(method)
                        if isinstance(method, Mapping) else dict.fromkeys(rates, method))
        for name, how in self.methods.items():
            if name not in rates:
                raise ValueError(f'method: got {name!r}, expected names among {", ".join(rates)}')
            if how not in METHODS:
                raise ValueError(f'method: got {how!r}, expected one of {", ".join(METHODS)}')

    def forward(
        self,
        streams: Mapping[str, Tensor | None] | Tensor,
        timestamps: Mapping[str, Tensor] | Tensor | None = None,
        ticks: int | None = None,
    ) -> tuple[Any, Tensor]:
        """Align streams.

        Args:
            streams: ``[B, T_i, …]`` by modality; leave out, or give None, what is not there.
            timestamps: Seconds since the first tick ``[B, T_i]``, ascending, for streams that are
                not regular; the others start at the first tick and keep to their rate.
            ticks: Length ``T`` of the result; as long as all streams last if None.

        Two tensors in place of the mappings are features ``[B, C, T_i]``, see above; both come back
        as ``[B, C, T]``.

        Returns:
            Streams ``[B, T, …]`` and ``present [B, T, M]``, as ``unroll`` takes them. Before its
            first sample a modality is absent.

        Raises:
            ValueError: Names the stream, what was got and what was expected.
        """
        if isinstance(streams, Tensor):
            return _stretched(streams, timestamps, ticks)
        if isinstance(timestamps, Tensor):
            raise ValueError('timestamps: got a Tensor, expected one by modality')
        times = self._times(streams, timestamps or {})
        if ticks is None:
            ends = [float(t.max()) + 1.0 / self.rates[name] for name, t in times.items()]
            ticks = max(math.ceil((min(ends) - TOLERANCE) * self.rate), 1)
        batch, device = next((len(t), t.device) for t in times.values())
        clock = torch.arange(ticks, device=device, dtype=torch.float64) / self.rate
        clock = clock.expand(batch, ticks).contiguous()
        aligned: dict[str, Tensor] = {}
        present = torch.zeros(batch, ticks, len(self.rates), dtype=torch.bool, device=device)
        for index, name in enumerate(self.rates):
            stream = streams.get(name)
            if stream is not None:
                aligned[name], present[..., index] = self._resample(
                    stream, times[name], clock, self.methods[name])
        return aligned, present

    def _times(
        self, streams: Mapping[str, Tensor | None], timestamps: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        for name in (*streams, *timestamps):
            if name not in self.rates:
                raise ValueError(f'streams: got {name!r}, '
                                 f'expected names among {", ".join(self.rates)}')
        given = {name: value for name, value in streams.items() if value is not None}
        if not given:
            raise ValueError(f'streams: got none, expected at least one of {", ".join(self.rates)}')
        batch = next(iter(given.values())).shape[0]
        times: dict[str, Tensor] = {}
        for name, value in given.items():
            if value.dim() < 2 or value.shape[0] != batch or value.shape[1] < 1:
                raise ValueError(f'{name}: got shape {tuple(value.shape)}, '
                                 f'expected [{batch}, T, …] with at least one sample T')
            regular = torch.arange(value.shape[1], device=value.device, dtype=torch.float64)
            own = timestamps.get(name, (regular / self.rates[name]).expand(value.shape[:2]))
            if own.shape != value.shape[:2]:
                raise ValueError(f'timestamps of {name}: got shape {tuple(own.shape)}, '
                                 f'expected {tuple(value.shape[:2])}')
            times[name] = own.to(value.device, torch.float64).contiguous()
        return times

    def _resample(
        self, stream: Tensor, times: Tensor, clock: Tensor, method: str
    ) -> tuple[Tensor, Tensor]:
        newest = torch.searchsorted(times, clock + TOLERANCE, right=True) - 1  # [B, T], −1: none
        before = newest.clamp_min(0)
        valid = newest >= 0
        age = clock - times.gather(1, before)
        if self.max_age is not None:
            valid = valid & (age <= self.max_age + TOLERANCE)
        rows = torch.arange(len(stream), device=stream.device).unsqueeze(1)
        held = stream[rows, before]  # [B, T, …]
        if method == 'hold':
            return held, valid
        after = (before + 1).clamp_max(stream.shape[1] - 1)
        gap = times.gather(1, after) - times.gather(1, before)
        share = torch.where(gap > 0, age / gap.clamp_min(TOLERANCE), 0.0).clamp(0, 1)
        share = share.to(stream.dtype).view(*share.shape, *[1] * (stream.dim() - 2))
        return torch.lerp(held, stream[rows, after], share), valid
