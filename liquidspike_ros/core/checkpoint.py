"""Models on disk: ``config.json`` and ``model.safetensors``, never pickle.

``config.json`` carries the SHA-256 of the weights, so replacing it is the one moment at which a
new checkpoint takes the place of the old: the weights are first written whole beside the old ones
(``model.safetensors.new``), then ``config.json`` is replaced, then the weights are moved into
place. Whenever the power goes, either the old or the new checkpoint is whole, and loading finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import hashlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn, Tensor

from .multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)

FORMAT = 'liquidspike_ros/1'
CONFIG, WEIGHTS, PENDING = 'config.json', 'model.safetensors', 'model.safetensors.new'
MODELS: dict[str, Callable[..., nn.Module]] = {
    model.__name__: model
    for model in (RobotMultiSensorModel, VisionLanguageModel, AudioVideoModel, TriModalModel)
}
FIELDS: dict[str, type] = {
    'format': str, 'model_class': str, 'config': dict, 'sha256': str, 'metadata': dict
}


class CheckpointError(ValueError):
    """A checkpoint cannot be read or written; one line naming file and first differing field."""


def save_pretrained(
    model: nn.Module, directory: str | Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a model, replacing the checkpoint in ``directory`` atomically.

    Args:
        model: One of ``MODELS``.
        directory: Made if need be; other files in it are left alone.
        metadata: Anything JSON takes, handed back by ``from_pretrained``.

    Raises:
        CheckpointError: Another model class, weights or metadata that cannot be stored, a full
            disk. The checkpoint that was there is still whole.
    """
    directory = Path(directory)
    name = type(model).__name__
    if name not in MODELS:
        raise CheckpointError(f'{directory}: got a {name}, expected one of {", ".join(MODELS)}')
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    _check_finite(directory / WEIGHTS, tensors)
    weights = safetensors.torch.save(tensors)
    document = {
        'format': FORMAT,
        'model_class': name,
        'config': model.config,
        'sha256': hashlib.sha256(weights).hexdigest(),
        'metadata': dict(metadata or {}),
    }
    try:
        text = json.dumps(document, indent=2, allow_nan=False) + '\n'
    except (TypeError, ValueError) as error:
        raise CheckpointError(f'{directory / CONFIG}: metadata: {error}, '
                              f'expected what JSON takes') from None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _settle(directory)
        _write(directory / PENDING, weights)
        scratch = directory / f'{CONFIG}.new'
        _write(scratch, text.encode())
        os.replace(scratch, directory / CONFIG)
        os.replace(directory / PENDING, directory / WEIGHTS)
    except OSError as error:
        where = error.filename or directory
        raise CheckpointError(f'{where}: {error.strerror or error}') from None


def from_pretrained(
    directory: str | Path, device: torch.device | str = 'cpu'
) -> tuple[nn.Module, dict[str, Any]]:
    """Read a model, in evaluation mode, and its metadata.

    Args:
        directory: Folder with ``config.json`` and ``model.safetensors``.
        device: Where the weights go.

    Raises:
        CheckpointError: The folder, a file or a field is missing, damaged, of another format or
            model, or holds a number that is not finite.
    """
    directory = Path(directory)
    document = _read_config(directory)
    model = _build(directory / CONFIG, document['model_class'], document['config'])
    _load(directory / WEIGHTS, model, _read_weights(directory, document['sha256']))
    return model.to(device).eval(), document['metadata']


def _read_config(directory: Path) -> dict[str, Any]:
    if not directory.is_dir():
        raise CheckpointError(f'{directory}: no such folder, '
                              f'expected one with {CONFIG} and {WEIGHTS}')
    path = directory / CONFIG
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f'{path}: {error.strerror or error}') from None
    except ValueError as error:
        raise CheckpointError(f'{path}: not JSON ({error})') from None
    if not isinstance(document, dict):
        raise CheckpointError(f'{path}: got {type(document).__name__}, expected an object')
    for name, kind in FIELDS.items():
        if not isinstance(document.get(name), kind):
            raise CheckpointError(f'{path}: {name}: got {document.get(name)!r}, '
                                  f'expected a {kind.__name__}')
    if document['format'] != FORMAT:
        raise CheckpointError(f'{path}: format: got {document["format"]!r}, expected {FORMAT!r}')
    return document


def _build(path: Path, name: str, config: dict[str, Any]) -> nn.Module:
    if name not in MODELS:
        raise CheckpointError(f'{path}: model_class: got {name!r}, '
                              f'expected one of {", ".join(MODELS)}')
    known = inspect.signature(MODELS[name]).parameters
    for key in config:
        if key not in known:
            raise CheckpointError(f'{path}: config.{key}: unknown, '
                                  f'expected among {", ".join(known)}')
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    try:
        return MODELS[name](**arguments)
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise CheckpointError(f'{path}: config: {str(error).splitlines()[0]}') from None


def _read_weights(directory: Path, expected: str) -> bytes:
    """The weights ``config.json`` speaks of: in place, or still beside (see above)."""
    path = directory / WEIGHTS
    found = None
    for candidate in (path, directory / PENDING):
        try:
            data = candidate.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CheckpointError(f'{candidate}: {error.strerror or error}') from None
        digest = hashlib.sha256(data).hexdigest()
        if digest == expected:
            return data
        found = found or (candidate, digest, data)
    if found is None:
        raise CheckpointError(f'{path}: no such file')
    candidate, digest, data = found
    if data[:1] == b'\x80' or data[:2] == b'PK':
        raise CheckpointError(f'{candidate}: a pickle, expected safetensors; pickles are never '
                              f'loaded, they can run code')
    raise CheckpointError(f'{candidate}: sha256: got {digest[:12]}…, expected {expected[:12]}… as '
                          f'in {CONFIG}: truncated, damaged or of another checkpoint')


def _load(path: Path, model: nn.Module, data: bytes) -> None:
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f'{path}: not safetensors ({str(error).splitlines()[0]})') from None
    wanted = model.state_dict()
    for key, value in wanted.items():
        if key not in tensors:
            raise CheckpointError(f'{path}: {key}: missing, expected shape {tuple(value.shape)}')
        got = tensors[key]
        if got.shape != value.shape or got.dtype != value.dtype:
            raise CheckpointError(
                f'{path}: {key}: got {got.dtype} of shape {tuple(got.shape)}, '
                f'expected {value.dtype} of shape {tuple(value.shape)}')
    extra = sorted(tensors.keys() - wanted.keys())
    if extra:
        raise CheckpointError(f'{path}: {extra[0]}: unknown tensor, the model has none such')
    _check_finite(path, tensors)
    model.load_state_dict(tensors, strict=True)


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f'{path}: {key}: got NaN or Inf, expected finite weights')


def _settle(directory: Path) -> None:
    """Finish an interrupted save: move the weights ``config.json`` means into place."""
    pending = directory / PENDING
    try:
        expected = json.loads((directory / CONFIG).read_bytes())['sha256']
        current = hashlib.sha256(pending.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return
    if current == expected:
        os.replace(pending, directory / WEIGHTS)


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is on the disk when this returns; leave nothing if it fails."""
    try:
        with path.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
