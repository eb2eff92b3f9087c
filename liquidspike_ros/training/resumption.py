"""What a checkpoint does not hold but going on needs: optimiser, live weights, where it stood."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import nn, Tensor

from .configuration import TrainingError

FILE = 'training.safetensors'


def save_progress(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer,
                  progress: Mapping[str, Any]) -> None:
    """Write the training state into ``folder``, atomically and without pickle.

    Args:
        folder: Of the checkpoint it belongs to.
        model: With its live weights (the checkpoint has the averaged ones).
        optimiser: Its moments are kept.
        progress: Plain facts: step, epoch, minutes, history.
    """
    tensors = {f'model/{name}': value.detach().contiguous().clone()
               for name, value in model.state_dict().items()}
    for index, moments in optimiser.state_dict()['state'].items():
        for name, value in moments.items():
            tensors[f'optimiser/{index}/{name}'] = torch.as_tensor(value).contiguous().clone()
    partial = folder / f'.{FILE}.partial'
    with partial.open('wb') as file:
        file.write(save(tensors, metadata={'progress': json.dumps(dict(progress))}))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / FILE)


def load_progress(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer
                  ) -> dict[str, Any]:
    """Restore what ``save_progress`` wrote; returns the plain facts.

    Raises:
        TrainingError: The file is missing, damaged, or belongs to another model.
    """
    path = folder / FILE
    try:
        with safe_open(path, framework='pt') as file:
            progress: dict[str, Any] = json.loads((file.metadata() or {})['progress'])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict({name.removeprefix('model/'): value
                               for name, value in tensors.items() if name.startswith('model/')})
        _restore_moments(optimiser, tensors)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f'{path}: cannot resume ({reason}), expected the training state of '
                            'this very model; start without resume') from None
    return progress


def _restore_moments(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith('optimiser/'):
            _, index, name = key.split('/')
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({'state': state,
                               'param_groups': optimiser.state_dict()['param_groups']})
