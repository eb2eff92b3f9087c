"""Single ticks of a batch of one by the C code of ``native``; the values are those of ``one_tick``.

Whatever the C code is not for (more rows, other precisions, tensors that are not plain memory) is
left to the torch calls there.
"""

from __future__ import annotations

from collections.abc import Iterable
import ctypes
from itertools import chain
from operator import itemgetter

import torch
from torch import nn, Tensor
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ..native import kernels, structures, takes
from .native_weights import NotPlain, Pointers
from .one_tick import Tick, Ticked
from .state import State
from .tick_weights import EarlyWeights, EncoderWeights, TickWeights


class NativeTick:
    """Late, hybrid or hierarchical fusion, as the weights have it.

    Raises:
        NotPlain: The weights are not for the C code.
    """

    def __init__(self, w: TickWeights) -> None:
        self._pointers = to = Pointers()
        self._levels = (structures.Attention * len(w.levels))(*map(to.attention, w.levels))
        self._w = structures.Tick(
            to.encoders(w.encoders),
            structures.Core() if w.core is None else to.core(w.core),
            structures.Head() if w.votes is None else to.head(w.votes.first, w.votes.last),
            ctypes.addressof(self._levels), len(w.levels))
        self._address, self._shares = ctypes.addressof(self._w), w.shares.contiguous()
        library, last = kernels(), w.votes if w.core is None else w.core
        assert library is not None
        assert last is not None
        self._run, self._like = library.tick, w.shares
        cells, neurons, units = _sizes(w.encoders)
        memory = None if w.core is None else w.core.memory
        self._memory = 0 if memory is None else memory.heads.weight.shape[2] // 4
        self._state_sizes = [neurons] * cells + [units] * cells + [self._memory]
        self._total, self._cells = sum(self._state_sizes), cells
        self._given = ctypes.c_void_p * (3 * cells + 1)
        self._outputs = (1, last.last.weight.shape[2])
        self._rates, self._tokens = (cells, 1, neurons), (cells, 1, w.encoders.readout.outputs)
        self._attention = (1, w.levels[-1].num_heads, cells, cells) if w.levels else None

    def __call__(self, tick: Tick, state: State, insight: bool) -> Ticked | None:
        """One tick; None if that is not for the C code. Arguments as those of ``run_tick``."""
        features, cells = tick.features, self._cells
        before = [*map(state['encoders'].__getitem__, features)]
        memory = state['memory']['hx'] if self._memory else None
        addresses = _addresses(chain(features.values(), map(_MEMBRANE, before), map(_HX, before),
                                     (memory,)))
        if addresses is None:
            return None
        present = None if tick.present is None else tick.present.contiguous()
        shares = self._shares if tick.shares is None else tick.shares.contiguous()
        new = self._like.new_empty
        after, rates, output = new(1, self._total), new(self._rates), new(self._outputs)
        tokens = new(self._tokens) if insight else None
        attention = new(self._attention) if insight and self._attention else None
        failed = self._run(
            self._address, self._given(*addresses), _address(present), shares.data_ptr(),
            float(tick.dt), torch.get_num_threads(), after.data_ptr(), rates.data_ptr(),
            _address(tokens), _address(attention), output.data_ptr())
        if failed:
            raise MemoryError('no memory for a tick')
        # "Unsafe" for autograd, which takes no part here and forbids writing to other views.
        parts = torch.unsafe_split_with_sizes(after, self._state_sizes, 1)
        result: State = {'encoders': {
            name: {'membrane': membrane, 'hx': hx}
            for name, membrane, hx in zip(features, parts, parts[cells:], strict=False)}}
        if self._memory:
            result['memory'] = {'hx': parts[-1]}
        return Ticked(output=output, tokens=tokens, rates=rates, attention=attention,
                      state=result)


class NativeEarlyTick:
    """Early fusion.

    Raises:
        NotPlain: The weights are not for the C code.
    """

    def __init__(self, w: EarlyWeights) -> None:
        self._pointers = to = Pointers()
        self._w = structures.EarlyTick(
            to.adapters(w), to.encoders(w.shared), to.head(w.first, w.last))
        self._address, self._factors = ctypes.addressof(self._w), w.factors.contiguous()
        library = kernels()
        assert library is not None
        self._run, self._like = library.early_tick, w.factors
        _, neurons, units = _sizes(w.shared)
        self._state_sizes, self._total = [neurons, units], neurons + units
        cells, _, width = w.adapters.weight.shape
        self._given = ctypes.c_void_p * (cells + 2)
        self._rates, self._adapted = (1, 1, neurons), (cells, 1, width)
        self._outputs = (1, w.last.weight.shape[2])

    def __call__(self, tick: Tick, state: State, insight: bool) -> Ticked | None:
        """One tick; None if that is not for the C code."""
        before = state['shared']
        addresses = _addresses(chain(tick.features.values(), (before['membrane'], before['hx'])))
        if addresses is None:
            return None
        present, factors = None, self._factors
        if tick.present is not None and tick.shares is not None:
            present = tick.present.contiguous()
            # 1 for every present modality to begin with, whatever the subset.
            factors = (tick.shares * present.sum(0)).contiguous()
        new = self._like.new_empty
        after, rates, output = new(1, self._total), new(self._rates), new(self._outputs)
        adapted = new(self._adapted)
        failed = self._run(
            self._address, self._given(*addresses), _address(present), factors.data_ptr(),
            float(tick.dt), torch.get_num_threads(), after.data_ptr(), rates.data_ptr(),
            adapted.data_ptr(), output.data_ptr())
        if failed:
            raise MemoryError('no memory for a tick')
        membrane, hx = torch.unsafe_split_with_sizes(after, self._state_sizes, 1)
        return Ticked(output=output, tokens=adapted, rates=rates, attention=None,
                      state={'shared': {'membrane': membrane, 'hx': hx}})


def native_tick(w: TickWeights) -> NativeTick | None:
    """Late, hybrid or hierarchical fusion in C; None where it has to run in torch."""
    try:
        return NativeTick(w) if takes(w.shares) else None
    except NotPlain:
        return None


def native_early_tick(w: EarlyWeights) -> NativeEarlyTick | None:
    """Early fusion in C; None where it has to run in torch."""
    try:
        return NativeEarlyTick(w) if takes(w.shares) else None
    except NotPlain:
        return None


_MEMBRANE, _HX = itemgetter('membrane'), itemgetter('hx')
_PLAIN = (Tensor, nn.Parameter)  # other kinds of tensors have no memory, or somebody watches them


def _sizes(w: EncoderWeights) -> tuple[int, int, int]:
    """Modalities, neurons and liquid units of each."""
    cells, units, _ = w.readout.weight.shape
    return cells, w.current.weight.shape[2], units


def _addresses(values: Iterable[Tensor | None]) -> list[int | None] | None:
    """Where the numbers of each ``[1, N]`` stand; None if the C code cannot read all of them.

    Also if somebody records the operator calls, and would miss what is done without any.
    """
    if torch.jit.is_tracing() or _get_current_dispatch_mode() is not None:
        return None
    found: list[int | None] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        if (type(value) not in _PLAIN or value.dtype is not torch.float32 or not value.is_cpu
                or not value.is_contiguous() or value.shape[0] != 1):
            return None
        found.append(value.data_ptr())
    return found


def _address(value: Tensor | None) -> int | None:
    return None if value is None else value.data_ptr()
