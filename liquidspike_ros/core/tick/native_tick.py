"""Single ticks of a batch of one by the C code of ``native``, on weights of a deployed copy.

The values are those of ``strategies`` and ``side_by_side``. Whatever the C code is not for (more
rows, gradients, tensors that are not plain memory) is left to the calls there.
"""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

from ..state import State
from .native import kernels, structures, takes
from .native.plain_memory import is_plain, is_watched, NotPlain
from .pointers import memory_units, Pointers
from .weights import EarlyWeights, EncoderWeights, TickWeights


class TickInput(NamedTuple):
    """What a tick works on.

    Attributes:
        features: Preprocessed ``[1, input_dim]`` by modality; None if not there at all.
        present: ``[M, 1, 1]`` bool; None if everything is there.
        shares: Weight of each modality ``[M, 1, 1]``: 0 where absent, sums to 1 over M. None if
            everything is there.
        dt: Seconds, a number or ``[1, 1]``.
    """

    features: Mapping[str, Tensor | None]
    present: Tensor | None
    shares: Tensor | None
    dt: Tensor | float


class TickOutput(NamedTuple):
    """What it makes of it.

    Attributes:
        output: ``[1, output_dim]``.
        tokens: Features of the modalities ``[M, 1, E]``, if asked for.
        rates: Spike rates ``[populations, 1, N]``.
        attention: ``[1, heads, M, M]``, if there is any and it was asked for.
        state: Afterwards.
    """

    output: Tensor
    tokens: Tensor | None
    rates: Tensor
    attention: Tensor | None
    state: State


class NativeTick:
    """Late, hybrid or hierarchical fusion, as the weights have it.

    Attributes:
        structure: The weights as the C code takes them.
        usual: Where the shares [M] stand if everything is there.
        state_sizes: Units of the state, in the order in which the C code has it.
        shares: Weight of each modality ``[M, 1, 1]`` if everything is there.
        nested_sizes: Units of the state, nested as it is.

    Raises:
        NotPlain: The weights are not for the C code.
    """

    def __init__(self, w: TickWeights) -> None:
        self.shares, self.nested_sizes = w.shares, w.state_sizes
        library, last = kernels(), w.votes if w.core is None else w.core
        assert library is not None
        assert last is not None
        self._run, self._like = library.tick, w.shares
        cells, (inputs, neurons, units) = len(w.shares), _sizes(w.encoders)
        width, outputs = w.encoders.readout.outputs, last.last.outputs
        self._memory = memory_units(w.core)
        self._pointers = to = Pointers()
        self._levels = (structures.Attention * len(w.levels))(
            *(to.attention(level, cells, width) for level in w.levels))
        self.structure = structures.Tick(
            to.encoders(w.encoders, cells, inputs),
            structures.Core() if w.core is None else to.core(w.core, width),
            structures.Head() if w.votes is None else
            to.head(w.votes.first, w.votes.last, cells, units, outputs),
            ctypes.addressof(self._levels), len(w.levels))
        self._address, self.usual = ctypes.addressof(self.structure), to.to(w.shares, cells, 1, 1)
        self.state_sizes = [neurons] * cells + [units] * cells + [self._memory]
        self._shapes = [(1, size) for size in [inputs] * cells + self.state_sizes]
        self._total, self._cells = sum(self.state_sizes), cells
        self._given = ctypes.c_void_p * len(self._shapes)
        self._outputs, self._tokens = (1, outputs), (cells, 1, width)
        self._rates = (cells, 1, neurons)
        self._attention = (1, w.levels[-1].num_heads, cells, cells) if w.levels else None

    def __call__(self, tick: TickInput, state: State, insight: bool) -> TickOutput | None:
        """One tick; None if that is not for the C code.

        Args:
            tick: What is there.
            state: Before.
            insight: Whether tokens and attention are wanted.
        """
        features, cells = tick.features, self._cells
        before = [*map(state['encoders'].__getitem__, features)]
        memory = state['memory']['hx'] if self._memory else None
        addresses = _addresses([*features.values(), *map(_MEMBRANE, before), *map(_HX, before),
                                memory], self._shapes)
        if addresses is None:
            return None
        present = None if tick.present is None else tick.present.contiguous()
        shares = None if tick.shares is None else tick.shares.contiguous()
        new = self._like.new_empty
        after, rates, output = new(1, self._total), new(self._rates), new(self._outputs)
        tokens = new(self._tokens) if insight else None
        attention = new(self._attention) if insight and self._attention else None
        failed = self._run(
            self._address, self._given(*addresses), _address(present),
            self.usual if shares is None else shares.data_ptr(),
            float(tick.dt), torch.get_num_threads(), after.data_ptr(), rates.data_ptr(),
            _address(tokens), _address(attention), output.data_ptr())
        if failed:
            raise MemoryError('no memory for a tick')
        # "Unsafe" for autograd, which takes no part here and forbids writing to other views.
        parts = torch.unsafe_split_with_sizes(after, self.state_sizes, 1)
        result: State = {'encoders': {
            name: {'membrane': membrane, 'hx': hx}
            for name, membrane, hx in zip(features, parts, parts[cells:], strict=False)}}
        if self._memory:
            result['memory'] = {'hx': parts[-1]}
        return TickOutput(output=output, tokens=tokens, rates=rates, attention=attention,
                      state=result)


class NativeEarlyTick:
    """Early fusion.

    Attributes:
        structure: The weights as the C code takes them.
        usual: Where the factors [M] stand if everything is there.
        state_sizes: Units of the state, in the order in which the C code has it.
        shares: Weight of each modality ``[M, 1, 1]`` if everything is there.
        nested_sizes: Units of the state, nested as it is.

    Raises:
        NotPlain: The weights are not for the C code.
    """

    def __init__(self, w: EarlyWeights) -> None:
        self.shares, self.nested_sizes = w.shares, w.state_sizes
        library = kernels()
        assert library is not None
        self._run, self._like = library.early_tick, w.factors
        cells, width, (_, neurons, units) = len(w.shares), w.adapters.outputs, _sizes(w.shared)
        self._pointers = to = Pointers()
        self.structure = structures.EarlyTick(
            to.adapters(w, cells), to.encoders(w.shared, 1, cells * width),
            to.head(w.first, w.last, 1, w.shared.readout.outputs))
        self._address, self.usual = ctypes.addressof(self.structure), to.to(w.factors, cells, 1, 1)
        self.state_sizes, self._total = [neurons, units], neurons + units
        self._shapes = [(1, size) for size in [w.adapters.inputs] * cells + self.state_sizes]
        self._given = ctypes.c_void_p * len(self._shapes)
        self._rates, self._adapted = (1, 1, neurons), (cells, 1, width)
        self._outputs = (1, w.last.outputs)

    def __call__(self, tick: TickInput, state: State, insight: bool) -> TickOutput | None:
        """One tick; None if that is not for the C code."""
        before = state['shared']
        addresses = _addresses([*tick.features.values(), before['membrane'], before['hx']],
                               self._shapes)
        if addresses is None:
            return None
        present = factors = None
        if tick.present is not None and tick.shares is not None:
            present = tick.present.contiguous()
            # 1 for every present modality to begin with, whatever the subset.
            factors = (tick.shares * present.sum(0)).contiguous()
        new = self._like.new_empty
        after, rates, output = new(1, self._total), new(self._rates), new(self._outputs)
        adapted = new(self._adapted)
        failed = self._run(
            self._address, self._given(*addresses), _address(present),
            self.usual if factors is None else factors.data_ptr(),
            float(tick.dt), torch.get_num_threads(), after.data_ptr(), rates.data_ptr(),
            adapted.data_ptr(), output.data_ptr())
        if failed:
            raise MemoryError('no memory for a tick')
        membrane, hx = torch.unsafe_split_with_sizes(after, self.state_sizes, 1)
        return TickOutput(output=output, tokens=adapted, rates=rates, attention=None,
                      state={'shared': {'membrane': membrane, 'hx': hx}})


def native_tick(w: TickWeights | EarlyWeights) -> NativeTick | NativeEarlyTick | None:
    """Single ticks in C; None where they have to run in torch."""
    if not takes(w.shares):
        return None
    try:
        return NativeTick(w) if isinstance(w, TickWeights) else NativeEarlyTick(w)
    except NotPlain:
        return None


_MEMBRANE, _HX = itemgetter('membrane'), itemgetter('hx')


def _sizes(w: EncoderWeights) -> tuple[int, int, int]:
    """Inputs, neurons and liquid units of each modality."""
    return w.current.inputs, w.current.outputs, w.readout.inputs


def _addresses(
    values: list[Tensor | None], shapes: list[tuple[int, int]]
) -> list[int | None] | None:
    """Where the numbers of each stand; None if the C code cannot read all of them.

    Also if somebody records the operator calls, and would miss what is done without any.
    """
    if len(values) != len(shapes) or is_watched():
        return None
    found: list[int | None] = []
    for value, shape in zip(values, shapes, strict=True):
        if value is None:
            found.append(None)
            continue
        if not is_plain(value) or value.shape != shape or not value.is_contiguous():
            return None
        address = value.data_ptr()
        if not address:  # torch's stand-in for zeros, without memory
            return None
        found.append(address)
    return found


def _address(value: Tensor | None) -> int | None:
    return None if value is None else value.data_ptr()
