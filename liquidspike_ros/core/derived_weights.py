"""Weights made of parameters: anew at every call, and once and for all in a deployed copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Made = TypeVar('Made')


class DerivedWeights:
    """Makes weights; holds them only once it was told that nobody changes the parameters.

    Part of no module's state, and empty in copies and pickles.
    """

    def __init__(self, frozen: bool = False) -> None:
        self._made: dict[Any, Any] | None = {} if frozen else None

    @property
    def frozen(self) -> bool:
        """Whether what was made once is used ever after."""
        return self._made is not None

    def freeze(self) -> None:
        """From now on nobody changes the parameters."""
        self._made = {}

    def get(self, key: Any, build: Callable[[], Made]) -> Made:
        """What ``build`` makes.

        Args:
            key: The same for what is made of the same parameters.
            build: Makes it; if it is to be held, without gradients and in full precision.
        """
        if self._made is None:
            return build()
        if key not in self._made:
            with (torch.inference_mode(False), torch.no_grad(),
                  torch.autocast('cpu', enabled=False), torch.autocast('cuda', enabled=False)):
                self._made[key] = build()
        result: Made = self._made[key]
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> DerivedWeights:
        return DerivedWeights(self.frozen)

    def __reduce__(self) -> tuple[Any, ...]:
        return DerivedWeights, (self.frozen,)


def stack_weights(pieces: Iterable[Weights]) -> Weights:
    """Join weights along their leading dimension."""
    listed = list(pieces)
    if len(listed) == 1:
        return listed[0]
    return {name: torch.cat([piece[name] for piece in listed]) for name in listed[0]}
