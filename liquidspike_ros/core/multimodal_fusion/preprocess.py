"""Preprocessors, run over the rows that are there."""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ...untrusted.text import brief
from .absent import without_effect


def preprocess(
    name: str, module: nn.Module, rows: Tensor, present: Tensor | None, width: int
) -> Tensor:
    """Run a preprocessor once over all rows.

    What stands in absent rows never enters the module: a NaN there would come back through the
    gradient of its weights even though its output is not used. Where the module computes batch
    statistics, absent rows do not enter it at all.

    Args:
        name: Modality, for errors.
        module: ``[R, …]`` -> ``[R, width]``.
        rows: ``[R, …]``.
        present: ``[R]`` bool; None if known to be True throughout.
        width: Expected width of the features.

    Raises:
        ValueError: Names the modality, what was got and what was expected.
    """
    index = None
    if present is not None and _mixes_rows(module):
        index = present.nonzero().squeeze(1)
        if not len(index):
            like = next(value for value in module.buffers() if value.is_floating_point())
            return without_effect(like.new_zeros(len(rows), width), module)
        count, rows = len(rows), rows.index_select(0, index)
    elif present is not None:
        keep = present.reshape(-1, *[1] * (rows.dim() - 1))
        rows = torch.where(keep, rows, rows.new_zeros(()))
    try:
        features: Tensor = module(rows)
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
    except RuntimeError as error:  # torch does not say of which input
        weight = next((value for value in module.parameters() if value.is_floating_point()), None)
        if weight is None or rows.dtype == weight.dtype:
            raise
        raise ValueError(f'{name}: got {rows.dtype}, expected {weight.dtype} like the weights '
                         f'of its preprocessor ({brief(str(error))})') from None
    if not features.is_floating_point():
        raise ValueError(f'{name}: got preprocessed features of {features.dtype}, expected '
                         f'floating-point numbers')
    if features.dim() != 2 or features.shape[-1] != width:
        raise ValueError(f'{name}: got preprocessed features of shape '
                         f'{tuple(features.shape)}, expected [B, {width}] (input_dim)')
    if index is not None:
        features = features.new_zeros(count, width).index_copy(0, index, features)
    return features


def _mixes_rows(module: nn.Module) -> bool:
    """Whether what it makes of a row depends on the other rows, as batch statistics do."""
    return any(isinstance(part, _BatchNorm) and part.training for part in module.modules())
