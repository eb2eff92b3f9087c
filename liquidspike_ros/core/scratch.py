"""Memory that is used again at the next tick, with the views into it that a tick works on.

At a batch of one, making a view costs as much as computing what is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Buffers = TypeVar('Buffers')


class Scratch:
    """Buffers for one kind of work, by the shape of what is worked on.

    Nothing in them outlives a tick. Two threads never get the same ones.
    """

    def __init__(self) -> None:
        self._free: dict[Any, Any] = {}

    def take(self, like: Tensor, make: Callable[[], Buffers]) -> Buffers:
        """Buffers for work on ``like``, their content undefined; from ``make`` if none are free."""
        found: Buffers | None = self._free.pop(_key(like), None)
        return make() if found is None else found

    def put_back(self, like: Tensor, buffers: Any) -> None:
        """Give back what was taken for ``like``."""
        self._free[_key(like)] = buffers


def _key(like: Tensor) -> tuple[Any, ...]:
    # What was made in inference mode may not be written to outside of it.
    return like.shape, like.dtype, torch.is_inference_mode_enabled()
