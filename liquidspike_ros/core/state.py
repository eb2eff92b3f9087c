"""The memory of a network: a nested plain dict of tensors, each with the batch first.

Everything that walks through one is here. Sizes of a state are nested as it is, with unit counts in
the place of tensors, and are walked through in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]  # str -> Tensor [B, N] or another State


def map_state(change: Callable[[Any], Any], state: Mapping[str, Any]) -> State:
    """Apply ``change`` to every tensor of a state (or number of its sizes), into a new state."""
    return {
        key: map_state(change, value) if isinstance(value, Mapping) else change(value)
        for key, value in state.items()
    }


def entries(state: Any, name: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted name and value of everything in a state, such as ``encoders.camera.membrane``.

    Also through lists and tuples, which states of other people's models may hold.
    """
    if isinstance(state, Mapping):
        parts: Iterable[tuple[Any, Any]] = state.items()
    elif isinstance(state, (list, tuple)):
        parts = enumerate(state)
    else:
        yield name, state
        return
    for key, value in parts:
        yield from entries(value, f'{name}.{key}' if name else str(key))


def leaves(state: Any) -> list[Tensor]:
    """All tensors of a state, in its own order."""
    return [value for _, value in entries(state) if isinstance(value, Tensor)]


def pairs(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Values of two states of the same nesting under the same names, in the order of ``one``.

    Raises:
        ValueError: Their names differ.
    """
    named = dict(entries(other))
    found = [(value, named.pop(name, None)) for name, value in entries(one)]
    missing = any(value is None for _, value in found)
    if missing or named:
        raise ValueError(f'state: got entries {sorted(dict(entries(other)))}, expected '
                         f'{sorted(dict(entries(one)))}')
    return found


def nest_state(sizes: Mapping[str, Any], values: Iterable[Tensor]) -> State:
    """Tensors in the order of ``sizes`` as a state of that nesting."""
    rest = iter(values)
    return map_state(lambda _: next(rest), sizes)


def detach_state(state: State) -> State:
    """Cut a state from the graph that made it: between the chunks of truncated BPTT."""
    return map_state(torch.Tensor.detach, state)


def reset_state(state: State, mask: Tensor) -> State:
    """Put the rows where ``mask [B]`` is True back to rest, the others as they are.

    A row that holds NaN or Inf comes back clean.

    Raises:
        ValueError: ``mask`` is not a boolean tensor ``[B]``.
    """
    if mask.dtype != torch.bool or mask.dim() != 1:
        raise ValueError(f'mask: got {mask.dtype} of shape {tuple(mask.shape)}, '
                         f'expected torch.bool of shape [B]')

    def reset(value: Tensor) -> Tensor:
        if value.shape[0] != mask.shape[0]:
            raise ValueError(f'mask: got {mask.shape[0]} rows, expected {value.shape[0]}')
        return torch.where(mask.unsqueeze(-1), torch.zeros_like(value), value)

    return map_state(reset, state)


def check_state(state: object, expected: dict[str, Any], batch: int, name: str = 'state') -> None:
    """Compare a state with the sizes it must have.

    Args:
        state: What was given.
        expected: Nested dict of unit counts.
        batch: ``B``.
        name: Where in the state we are.

    Raises:
        ValueError: Names the first entry that differs, what was got and what was expected.
    """
    if not isinstance(state, dict):
        raise ValueError(f'{name}: got {type(state).__name__}, expected a dict')
    if state.keys() != expected.keys():
        missing = sorted(expected.keys() - state.keys())
        fault = (f'{missing[0]!r} is missing' if missing else
                 f'{sorted(map(str, state.keys() - expected.keys()))[0]!r} is unknown')
        raise ValueError(f'{name}: got entries {sorted(map(str, state))}, '
                         f'expected {sorted(expected)}: {fault}')
    for key, size in expected.items():
        value = state[key]
        if isinstance(size, dict):
            check_state(value, size, batch, f'{name}.{key}')
        elif not isinstance(value, Tensor):
            raise ValueError(f'{name}.{key}: got {type(value).__name__}, expected a tensor')
        elif value.shape != (batch, size):
            raise ValueError(f'{name}.{key}: got shape {tuple(value.shape)}, '
                             f'expected {(batch, size)}')
