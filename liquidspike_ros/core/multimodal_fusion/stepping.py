"""The two ways through time: tick by tick, and over a sequence, the state going in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

from torch import Tensor

from ..frozen_parts import PartlyFrozen
from ..state import State
from .info import FusionInfo

NOMINAL_DT = 1.0 / 15.0
Inputs = Mapping[str, Tensor | None]  # by modality; leave out, or give None, what is not there


class Stepping(PartlyFrozen):
    """What networks and ready-made models have in common; a subclass says how, see below."""

    @overload
    def step(
        self, inputs: Inputs, state: State | None = ..., dt: Tensor | float = ...,
        present: Tensor | None = ..., return_info: Literal[False] = ...,
    ) -> tuple[Tensor, State]: ...

    @overload
    def step(
        self, inputs: Inputs, state: State | None = ..., dt: Tensor | float = ...,
        present: Tensor | None = ..., *, return_info: Literal[True],
    ) -> tuple[Tensor, State, FusionInfo]: ...

    @overload
    def step(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any: ...

    def step(
        self, inputs: Inputs, state: State | None = None, dt: Tensor | float = NOMINAL_DT,
        present: Tensor | None = None, return_info: bool = False,
    ) -> Any:
        """One control tick.

        Args:
            inputs: ``[B, …]`` by modality.
            state: From ``init_state`` or the previous tick; rest if None.
            dt: Seconds since the previous tick, a number or ``[B]``.
            present: ``[B, M]`` bool in the order of ``modalities``; False where a given input is
                not to be used.
            return_info: Also return a ``FusionInfo``.

        Returns:
            ``(output [B, output_dim], state)`` or ``(output, state, info)``.

        Raises:
            ValueError: Names the input or state entry, what was got and what was expected.
        """
        return self._step(inputs, state, dt, present, return_info)

    @overload
    def unroll(
        self, inputs: Inputs, state: State | None = ..., dt: Tensor | float = ...,
        present: Tensor | None = ..., return_info: Literal[False] = ...,
    ) -> tuple[Tensor, State]: ...

    @overload
    def unroll(
        self, inputs: Inputs, state: State | None = ..., dt: Tensor | float = ...,
        present: Tensor | None = ..., *, return_info: Literal[True],
    ) -> tuple[Tensor, State, FusionInfo]: ...

    @overload
    def unroll(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any: ...

    def unroll(
        self, inputs: Inputs, state: State | None = None, dt: Tensor | float = NOMINAL_DT,
        present: Tensor | None = None, return_info: bool = False,
    ) -> Any:
        """A sequence of ticks, as many ``step`` calls would walk through it.

        Args:
            inputs: ``[B, T, …]`` by modality.
            state: From ``init_state`` or what came before; rest if None.
            dt: Seconds, a number, ``[B]``, ``[B, T]`` or ``[B, T, 1]``.
            present: ``[B, T, M]`` bool in the order of ``modalities``.
            return_info: Also return a ``FusionInfo`` with ``[B, T, …]`` entries.

        Returns:
            ``(outputs [B, T, output_dim], state)`` or ``(outputs, state, info)``.

        Raises:
            ValueError: Names the input or state entry, what was got and what was expected.
        """
        return self._unroll(inputs, state, dt, present, return_info)

    def _step(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        raise NotImplementedError

    def _unroll(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        raise NotImplementedError
