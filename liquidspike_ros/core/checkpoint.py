"""Models on disk: ``config.json`` and ``model.safetensors``, never pickle.

``config.json`` carries the SHA-256 of the weights, so replacing it is the one moment at which a
new checkpoint takes the place of the old: the weights are first written whole beside the old ones
(``model.safetensors.new``), then ``config.json`` is replaced, then the weights are moved into
place. Whenever the power goes, either the old or the new checkpoint is whole, and loading finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn, Tensor

from ..untrusted.files import FileRefusal, open_regular, read_bytes
from ..untrusted.json_text import JsonRefusal, parse_json
from ..untrusted.text import brief, one_line, reason, Refusal
from .blueprint import shapes_of
from .multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)
from .multimodal_applications.model import FusionModel
from .sizes import LARGEST_BYTES
from .weights_file import HEADER_LIMIT, read_header, TensorEntry, WeightsHeader, WeightsRefusal

FORMAT = 'liquidspike_ros/1'
CONFIG, WEIGHTS, PENDING = 'config.json', 'model.safetensors', 'model.safetensors.new'
MODELS: dict[str, type[FusionModel]] = {
    model.__name__: model
    for model in (RobotMultiSensorModel, VisionLanguageModel, AudioVideoModel, TriModalModel)
}
FIELDS: dict[str, type] = {
    'format': str, 'model_class': str, 'config': dict, 'sha256': str, 'metadata': dict
}

CONFIG_LIMIT = 16 << 20
"""Largest ``config.json``, bytes; the history of a training is part of it."""
WIRED = ('ltc', 'ncp', 'ncp_ltc')


class CheckpointError(Refusal):
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
        parse_json(text)  # what could not be read again is not written
        if len(text) > CONFIG_LIMIT:
            raise ValueError(f'{len(text):,} characters, more than {CONFIG_LIMIT:,}')
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
        # Were the second renaming on the disk without the first, neither checkpoint was whole.
        _sync_folder(directory)
        os.replace(directory / PENDING, directory / WEIGHTS)
    except OSError as error:
        where = error.filename or directory
        raise CheckpointError(f'{where}: {error.strerror or error}') from None


def from_pretrained(
    directory: str | Path, device: torch.device | str = 'cpu'
) -> tuple[nn.Module, dict[str, Any]]:
    """Read a model, in evaluation mode, and its metadata.

    What ``config.json`` asks for is compared with what the weights hold before anything is built:
    nobody else's file makes this machine allocate more than that file is long.

    Args:
        directory: Folder with ``config.json`` and ``model.safetensors``.
        device: Where the weights go.

    Raises:
        CheckpointError: The folder, a file or a field is missing, damaged, of another format or
            model, larger than it may be, or holds a number that is not finite.
    """
    directory = Path(directory)
    document = read_config(directory)
    plan = _Plan(directory / CONFIG, document['model_class'], document['config'])
    path, data = _choose_weights(directory, plan, document['sha256'])
    model = plan.build()
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f'{path}: not safetensors ({reason(error)})') from None
    _check_finite(path, tensors)
    model.load_state_dict(tensors, strict=True)
    return model.to(device).eval(), document['metadata']


def read_config(directory: str | Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint, its fields there and of their types.

    Raises:
        CheckpointError: The folder, the file or a field is missing or damaged.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise CheckpointError(f'{directory}: no such folder, '
                              f'expected one with {CONFIG} and {WEIGHTS}')
    path = directory / CONFIG
    if not path.exists():
        raise CheckpointError(f'{directory}: no {CONFIG} inside, expected a checkpoint: a folder '
                              f'with {CONFIG} and {WEIGHTS}, as training writes it')
    try:
        document = parse_json(read_bytes(path, CONFIG_LIMIT))
    except FileRefusal as error:
        raise CheckpointError(str(error)) from None
    except JsonRefusal as error:
        raise CheckpointError(f'{path}: {error}') from None
    if not isinstance(document, dict):
        raise CheckpointError(f'{path}: got {type(document).__name__}, expected an object')
    for name, kind in FIELDS.items():
        if not isinstance(document.get(name), kind):
            raise CheckpointError(f'{path}: {name}: got {brief(document.get(name))}, '
                                  f'expected a {kind.__name__}')
    if document['format'] != FORMAT:
        raise CheckpointError(f'{path}: format: got {brief(document["format"])}, '
                              f'expected {FORMAT!r}')
    return document


class _Plan:
    """The model that a ``config.json`` asks for.

    Args:
        path: Of ``config.json``.
        name: Of the model's class.
        config: Its arguments.

    Raises:
        CheckpointError: There is no such model, or it knows no such argument.
    """

    def __init__(self, path: Path, name: str, config: dict[str, Any]) -> None:
        if name not in MODELS:
            raise CheckpointError(f'{path}: model_class: got {brief(name)}, '
                                  f'expected one of {", ".join(MODELS)}')
        known = MODELS[name].arguments()
        for key in config:
            if key not in known:
                raise CheckpointError(f'{path}: config.{one_line(key, 80)}: unknown, '
                                      f'expected among {", ".join(known)}')
        self.path, self._model = path, MODELS[name]
        given = {**MODELS[name].earlier, **config}
        self._arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}

    def build(self) -> nn.Module:
        """The model, with random weights."""
        return self._tried(lambda: self._model(**self._arguments))

    def shapes(self, elements: int) -> Mapping[str, Tensor]:
        """Its ``state_dict`` on the meta device.

        Args:
            elements: Of all weights that there are for it.

        Raises:
            CheckpointError: A wiring alone asks for more, or the model cannot be built.
        """
        units, neurons = (self._arguments.get(name) for name in ('liquid_units', 'spiking_units'))
        # A wiring and the adjacency of an LTC are made in memory even for shapes alone.
        if (self._arguments.get('backbone') in WIRED and isinstance(units, int)
                and isinstance(neurons, int) and units * max(units, neurons) > 8 * elements):
            raise CheckpointError(f'{self.path}: config.liquid_units: got {brief(units)}, expected '
                                  f'fewer: {WEIGHTS} has {elements:,} weights in all')
        shapes: Mapping[str, Tensor] = self._tried(
            lambda: shapes_of(self._model, self._arguments))
        return shapes

    def _tried(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # values of any type and size may fail anywhere
            raise CheckpointError(f'{self.path}: config: {reason(error)}') from None


def _choose_weights(directory: Path, plan: _Plan, expected: str) -> tuple[Path, bytes]:
    """The weights ``config.json`` speaks of: in place, or still beside (see above)."""
    first: CheckpointError | None = None
    for path in (directory / WEIGHTS, directory / PENDING):
        try:
            return path, _read_weights(path, plan, expected)
        except FileRefusal as error:
            refusal = None if error.missing else CheckpointError(str(error))
        except CheckpointError as error:
            refusal = error
        first = first or refusal
    raise first or CheckpointError(f'{directory / WEIGHTS}: no such file')


def _read_weights(path: Path, plan: _Plan, expected: str) -> bytes:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_BYTES + HEADER_LIMIT:
            raise CheckpointError(f'{path}: got {size:,} bytes, expected at most {LARGEST_BYTES:,}')
        try:
            header = read_header(file, size)
        except WeightsRefusal as error:
            raise CheckpointError(f'{path}: {error}') from None
        if header is not None:
            _compare(path, plan, header)
        file.seek(0)
        data = file.read(size)
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise CheckpointError(
            f'{path}: sha256: got {digest[:12]}…, expected {one_line(expected[:12])}… as in '
            f'{CONFIG}: truncated, damaged or of another checkpoint')
    if header is None:
        raise CheckpointError(f'{path}: not safetensors (cut off)')
    return data


def _compare(path: Path, plan: _Plan, header: WeightsHeader) -> None:
    """The first difference between the weights that are there and those of the model."""
    found = header.tensors
    wanted = plan.shapes(sum(entry.numel for entry in found.values()))
    for key, value in wanted.items():
        want = TensorEntry(value.dtype, tuple(value.shape))
        if key not in found:
            raise CheckpointError(f'{path}: {key}: missing, expected shape {want.shape}')
        if found[key] != want:
            raise CheckpointError(f'{path}: {key}: got {found[key]}, expected {want}')
    extra = sorted(found.keys() - wanted.keys())
    if extra:
        raise CheckpointError(f'{path}: {one_line(extra[0], 80)}: unknown tensor, the model has '
                              f'none such')


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f'{path}: {key}: got NaN or Inf, expected finite weights')


def _settle(directory: Path) -> None:
    """Finish an interrupted save: move the weights ``config.json`` means into place."""
    pending = directory / PENDING
    try:
        expected = read_config(directory)['sha256']
        current = hashlib.sha256(read_bytes(pending, LARGEST_BYTES + HEADER_LIMIT)).hexdigest()
    except Refusal:
        return
    if current == expected:
        os.replace(pending, directory / WEIGHTS)


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is on the disk when this returns; leave nothing if it fails."""
    path.unlink(missing_ok=True)  # a FIFO or a link of that name would be written into
    try:
        with path.open('xb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(directory: Path) -> None:
    """Put the renamings in a folder on the disk, where the file system can do that."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
