"""What a checkpoint does not hold but going on needs: optimiser, live weights, where it stood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
import json
import math
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
import torch
from torch import nn, Tensor

from ..core.weights_file import read_header, TensorEntry, WeightsHeader
from ..untrusted.files import open_regular
from ..untrusted.json_text import parse_json
from ..untrusted.text import brief, one_line, reason, Refusal
from .configuration import TrainingError

FILE = 'training.safetensors'
MOMENTS = ('step', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq')


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stood.

    Attributes:
        step: Optimiser steps done.
        minutes: Time spent training.
        history: One row of metrics for each epoch.
        best: Lowest loss.

    Raises:
        TrainingError: A field is of another kind.
    """

    step: int
    minutes: float
    history: list[dict[str, float]]
    best: float

    def __post_init__(self) -> None:
        rows = self.history if isinstance(self.history, list) else [None]
        for name, good in (
            ('step', isinstance(self.step, int) and 0 <= self.step < 1 << 53),
            ('minutes', _number(self.minutes) and self.minutes >= 0),
            ('history', all(isinstance(row, dict) and all(map(_number, row.values()))
                            for row in rows)),
            ('best', _number(self.best)),
        ):
            if not good:
                raise TrainingError(f'{name}: got {brief(getattr(self, name))}')


def _number(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def save_progress(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer,
                  progress: Progress) -> None:
    """Write the training state into ``folder``, atomically and without pickle.

    Args:
        folder: Of the checkpoint it belongs to.
        model: With its live weights (the checkpoint has the averaged ones).
        optimiser: Its moments are kept.
        progress: Where it stands.
    """
    tensors = {f'model/{name}': value.detach().contiguous().clone()
               for name, value in model.state_dict().items()}
    for index, moments in optimiser.state_dict()['state'].items():
        for name, value in moments.items():
            tensors[f'optimiser/{index}/{name}'] = torch.as_tensor(value).contiguous().clone()
    partial = folder / f'.{FILE}.partial'
    partial.unlink(missing_ok=True)
    with partial.open('xb') as file:
        file.write(save(tensors, metadata={'progress': json.dumps(asdict(progress))}))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_progress(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer) -> Progress:
    """Restore what ``save_progress`` wrote; returns where the training stood.

    Raises:
        TrainingError: The file is missing, damaged, or belongs to another model.
    """
    path = folder / FILE
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            header = read_header(file, size)
            if header is None:
                raise TrainingError('cut off')
            _check(header, model, optimiser)
            file.seek(0)
            tensors = load(file.read(size))
        progress = Progress(**parse_json(header.metadata.get('progress', 'null')))
        model.load_state_dict({name.removeprefix('model/'): value
                               for name, value in tensors.items() if name.startswith('model/')})
        _restore_moments(optimiser, tensors)
    except (OSError, Refusal, SafetensorError, TypeError, ValueError, RuntimeError) as error:
        why = reason(error, 300).removeprefix(f'{path}: ')
        raise TrainingError(f'{path}: cannot resume ({why}), expected the training state of '
                            'this very model; start without resume') from None
    return progress


def _check(header: WeightsHeader, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Compare what is in the file with the model before anything of it is read.

    Raises:
        TrainingError: The first tensor that is missing, of another shape, or unknown.
    """
    found = dict(header.tensors)
    for name, value in model.state_dict().items():
        got, want = found.pop(f'model/{name}', None), TensorEntry(value.dtype, tuple(value.shape))
        if got != want:
            raise TrainingError(f'model/{name}: got {got}, expected {want}')
    parameters = [p for group in optimiser.param_groups for p in group['params']]
    for index, parameter in enumerate(parameters):
        for moment in MOMENTS:
            entry = found.pop(f'optimiser/{index}/{moment}', None)
            if entry is not None and entry.shape not in ((), tuple(parameter.shape)):
                raise TrainingError(f'optimiser/{index}/{moment}: got {entry}, expected shape '
                                    f'{tuple(parameter.shape)}')
    if found:
        raise TrainingError(f'{one_line(min(found), 80)}: unknown tensor')


def _restore_moments(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith('optimiser/'):
            _, index, name = key.split('/')
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({'state': state,
                               'param_groups': optimiser.state_dict()['param_groups']})
