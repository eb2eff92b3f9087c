"""Weights derived from parameters, kept for as long as these do not change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray
import torch
from torch import nn, Tensor

Weights = dict[str, Tensor]
_Place = tuple[dict[str, Any], str]  # a module's table and the name in it
_Probe = NDArray[Any]  # the last element of a tensor, as a view


class KeptWeights:
    """Holds derived weights; part of no module's state, and empty in copies and pickles."""

    def __init__(self) -> None:
        self._kept: dict[Any, tuple[list[int], list[_Probe], list[float], Weights]] = {}
        self._places: dict[Any, tuple[list[_Place], list[_Place]]] = {}

    def get(
        self, key: Any, modules: Iterable[nn.Module], build: Callable[[], Weights]
    ) -> Weights:
        """What ``build`` makes of the tensors of ``modules``.

        Built anew where gradients are wanted, else only after one of the tensors was changed,
        moved or replaced. Nothing is kept of tensors on a GPU or in bfloat16.

        Args:
            key: Under which the weights are kept; the same modules for the same key.
            modules: Whose parameters and buffers the weights depend on.
            build: Makes the weights.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return build()
        places = self._places.get(key)
        if places is None:
            parts = [part for module in modules for part in module.modules()]
            places = self._places[key] = (
                [(table, name) for part in parts for table in (part._parameters, part._buffers)
                 for name, value in table.items() if value is not None],
                [(part._modules, name) for part in parts for name in part._modules])
        tensors = [table[name] for table, name in places[0]]
        try:
            # Changes in place count up; assignment and .to() move the data.
            marks = [tensor.data_ptr() for tensor in tensors]
            marks += [tensor._version for tensor in tensors]
        except RuntimeError:  # tensors born in inference mode count no versions
            return build()
        marks += [id(table[name]) for table, name in places[1]]  # a part may be replaced
        kept = self._kept.get(key)
        if kept is not None and kept[0] == marks:
            # Fused optimisers and writing through ``.data`` leave no mark but the new values.
            if [probe.item() for probe in kept[1]] == kept[2]:
                return kept[3]
        elif kept is not None:
            del self._places[key]  # what was replaced may have other parts
        probes = [_probe(tensor) for tensor in tensors if tensor.numel()]
        found = [probe for probe in probes if probe is not None]
        if len(found) < len(probes):
            return build()
        self._kept[key] = (marks, found, [probe.item() for probe in found], build())
        return self._kept[key][3]

    def __deepcopy__(self, memo: dict[int, Any]) -> KeptWeights:
        return KeptWeights()

    def __reduce__(self) -> tuple[Any, ...]:
        return KeptWeights, ()


def _probe(tensor: Tensor) -> _Probe | None:
    """A view of the last element; None where a look would cost a transfer or numpy has no type."""
    if tensor.device.type != 'cpu' or tensor.dtype == torch.bfloat16 or not tensor.is_contiguous():
        return None
    return tensor.detach().view(-1)[-1:].numpy()


def stack_weights(pieces: Iterable[Weights]) -> Weights:
    """Join weights along their leading dimension."""
    listed = list(pieces)
    if len(listed) == 1:
        return listed[0]
    return {name: torch.cat([piece[name] for piece in listed]) for name in listed[0]}
