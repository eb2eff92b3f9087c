"""Weights derived from parameters, kept for as long as these do not change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import chain
from operator import attrgetter, is_
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn, Tensor

Weights = dict[str, Tensor]
Kept = TypeVar('Kept')

# Everything below runs at every tick over a hundred tensors: hence no loop in Python.
_ADDRESS = torch.Tensor.data_ptr
_VERSION = attrgetter('_version')


class _Entry(NamedTuple):
    depends: Any
    tables: list[Collection[Any]]  # parameters, buffers and parts of modules, as they are now
    contents: list[Any]  # what these were
    tensors: list[Tensor]
    addresses: list[int]
    versions: list[int]
    ends: list[memoryview]  # the last element of every tensor
    seen: bytes  # what these were
    result: Any


class KeptWeights:
    """Holds derived weights; part of no module's state, and empty in copies and pickles."""

    def __init__(self) -> None:
        self._entries: dict[Any, _Entry] = {}

    def get(
        self, key: Any, modules: Iterable[nn.Module], build: Callable[[], Kept],
        owner: nn.Module | None = None, depends: Callable[[], Any] | None = None,
    ) -> Kept:
        """What ``build`` makes of the tensors of ``modules``.

        Built anew where gradients are wanted, else only after one of the tensors was changed,
        moved or replaced. Nothing is kept of tensors on a GPU or in bfloat16.

        Args:
            key: Under which the weights are kept; the same modules for the same key.
            modules: Whose parameters and buffers the weights depend on.
            build: Makes the weights.
            owner: Whose own parameters count too; those of its parts do not.
            depends: Gives what else they depend on, compared by value.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return build()
        entry, now = self._entries.get(key), None if depends is None else depends()
        if entry is not None and entry.depends == now and _holds(entry):
            result: Kept = entry.result
            return result
        result = build()
        entry = _enter(modules, owner, now, result)
        if entry is not None:
            self._entries[key] = entry
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptWeights:
        return KeptWeights()

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptWeights, ()


class FrozenWeights(KeptWeights):
    """Derived weights built once and for good, in full precision: for parameters nobody changes."""

    def __init__(self) -> None:
        super().__init__()
        self._built: dict[Any, Any] = {}

    def get(
        self, key: Any, modules: Iterable[nn.Module], build: Callable[[], Kept],
        owner: nn.Module | None = None, depends: Callable[[], Any] | None = None,
    ) -> Kept:
        """What ``build`` made the first time."""
        if key not in self._built:
            with torch.autocast('cpu', enabled=False), torch.autocast('cuda', enabled=False):
                self._built[key] = build()
        result: Kept = self._built[key]
        return result


def _holds(entry: _Entry) -> bool:
    """Whether nothing was changed since; each of these is blind to what the others see."""
    return (
        # Assignment puts another tensor or module in place,
        all(map(is_, chain.from_iterable(entry.tables), entry.contents))
        # .to() and assignment to .data other memory behind the same tensor,
        and [*map(_ADDRESS, entry.tensors)] == entry.addresses
        # changes in place count up,
        and [*map(_VERSION, entry.tensors)] == entry.versions
        # and fused optimisers and writing through .data leave no mark but the new values.
        and b''.join(entry.ends) == entry.seen)


def _enter(
    modules: Iterable[nn.Module], owner: nn.Module | None, depends: Any, result: Any
) -> _Entry | None:
    """What ``result`` was made from; None where changes could not be noticed."""
    parts = [part for module in modules for part in module.modules()]
    tables: list[Collection[Any]] = [
        table.values() for part in parts
        for table in (part._parameters, part._buffers, part._modules) if table]
    if owner is not None:
        tables.append(owner._parameters.values())
    contents = [*chain.from_iterable(tables)]
    tensors = [value for value in contents if isinstance(value, Tensor)]
    # Tensors born in inference mode count no versions; a look at others would cost a transfer,
    # or numpy has no type for it.
    if any(tensor.is_inference() or tensor.device.type != 'cpu' or tensor.dtype == torch.bfloat16
           or not tensor.is_contiguous() for tensor in tensors):
        return None
    ends = [tensor.detach().view(-1)[-1:].numpy().data.cast('B')
            for tensor in tensors if tensor.numel()]
    return _Entry(depends, tables, contents, tensors, [*map(_ADDRESS, tensors)],
                  [*map(_VERSION, tensors)], ends, b''.join(ends), result)


def stack_weights(pieces: Iterable[Weights]) -> Weights:
    """Join weights along their leading dimension."""
    listed = list(pieces)
    if len(listed) == 1:
        return listed[0]
    return {name: torch.cat([piece[name] for piece in listed]) for name in listed[0]}
