"""From a checkpoint to a folder of checked artefacts, or to nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import hashlib
import os
from pathlib import Path
import shutil
import time
from typing import Any

from ..core.checkpoint import from_pretrained, read_config
from ..robot import RobotSpec
from ..untrusted.text import brief
from .check import Agreement, compare
from .flat_step import ExportError, FlatStep
from .formats import Format, FORMATS, Program, quietly, trace
from .manifest import describe, describe_agreement, MANIFEST, to_text
from .sequences import random_ticks

Say = Callable[[str], None]


@dataclass(frozen=True)
class Artefact:
    """One file of an export.

    Attributes:
        format: Its format.
        path: Where it is.
        size: Bytes.
        agreement: With the eager model.
    """

    format: str
    path: Path
    size: int
    agreement: Agreement


def export(checkpoint: Path, output: Path, formats: Sequence[str], *, batch: int = 1,
           say: Say = lambda line: None) -> list[Artefact]:
    """Write a robot policy in some formats, each checked against eager from the disk.

    An export that is there already is replaced as a whole, when the new one is complete.

    Args:
        checkpoint: Folder with ``config.json`` and ``model.safetensors``.
        output: Folder for the artefacts and ``export.json``.
        formats: Keys of ``FORMATS``.
        batch: Rows of every input.
        say: Takes lines about progress.

    Raises:
        ExportError: The model cannot be exported, a tool is missing, the folder holds something
            else, or an artefact differs from eager. Nothing is left behind.
        CheckpointError: The checkpoint is not whole.
        ModuleNotFoundError: A format needs a package that is not installed.
    """
    chosen = [_format(name) for name in dict.fromkeys(formats)]
    for entry in chosen:
        entry.check_ready()
    _check_replaceable(output)
    model, metadata = from_pretrained(checkpoint)
    step = FlatStep(model, batch)
    document = describe(step, _source(checkpoint, step), _robot(metadata))
    if not metadata.get('robot'):
        say(f'{checkpoint}: does not say which robot it was trained for; {MANIFEST} has no units')
    say(f'{checkpoint}: {", ".join(step.modalities)} -> {step.outputs[0].shape[1]} actions, '
        f'{len(step.state)} state entries')
    started = time.monotonic()
    program = _guard('tracing', lambda: trace(step))
    say(f'traced in {time.monotonic() - started:.1f} s')
    with _unfinished(output) as folder:
        artefacts = [_write(entry, program, step, folder, say) for entry in chosen]
        document['artefacts'] = {a.format: _entry(a) for a in artefacts}
        (folder / MANIFEST).write_text(to_text(document))
    return [Artefact(a.format, output / a.path.name, a.size, a.agreement) for a in artefacts]


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ExportError(f'format: got {brief(name)}, expected one of {", ".join(FORMATS)}')
    return FORMATS[name]


def _write(entry: Format, program: Program, step: FlatStep, folder: Path, say: Say) -> Artefact:
    path = folder / entry.file
    note = ' (compiles C++: a minute, or several for a large model)' if entry.name == 'aoti' else ''
    say(f'{entry.name}: writing{note} …')
    started = time.monotonic()
    with quietly():
        _guard(entry.name, lambda: entry.write(program, step, path))
    size = path.stat().st_size
    say(f'{entry.name}: written in {time.monotonic() - started:.1f} s, {size / 1e6:.1f} MB')
    started = time.monotonic()
    run = _guard(entry.name, lambda: entry.load(path))
    try:
        agreement = compare(step, run, random_ticks(step))
    except ExportError as error:
        raise ExportError(f'{entry.name}: {error}') from None
    say(f'{entry.name}: {agreement.ticks} random ticks in {time.monotonic() - started:.1f} s, '
        f'worst difference to eager {agreement.worst:.1e}, {agreement.ties} ties')
    return Artefact(entry.name, path, size, agreement)


def _guard(what: str, work: Callable[[], Any]) -> Any:
    """Run an exporter; what it cannot do is one line."""
    try:
        return work()
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(f'{what}: {error.strerror or error}') from error
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = lines[0] if lines else 'no reason given'
        raise ExportError(f'{what}: {type(error).__name__}: {first}') from error


def _entry(artefact: Artefact) -> dict[str, Any]:
    form = FORMATS[artefact.format]
    return {'file': form.file, 'runs_on': form.runs_on, 'bytes': artefact.size,
            'sha256': hashlib.sha256(artefact.path.read_bytes()).hexdigest(),
            'check': describe_agreement(artefact.agreement)}


def _source(checkpoint: Path, step: FlatStep) -> dict[str, Any]:
    weights = read_config(checkpoint)['sha256']
    return {'checkpoint': checkpoint.resolve().name, 'weights_sha256': weights,
            'model_class': type(step.model).__name__, 'config': step.model.config}


def _robot(metadata: dict[str, Any]) -> RobotSpec | None:
    return RobotSpec.from_dict(metadata['robot']) if metadata.get('robot') else None


def _check_replaceable(output: Path) -> None:
    """Only a folder that an export wrote is replaced, and an empty one."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ExportError(f'{output}: a file, expected a folder')
    own = {MANIFEST, *(entry.file for entry in FORMATS.values())}
    others = sorted(path.name for path in output.iterdir() if path.name not in own)
    if others:
        raise ExportError(f'{output}: holds {others[0]}, which no export wrote; expected a new or '
                          f'empty folder, or an earlier export')


@contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    """A folder that becomes ``output`` when all went well, and is gone otherwise."""
    beside = next(parent for parent in output.absolute().parents if parent.is_dir())
    folder = beside / f'.{output.name}.{os.getpid()}.part'
    try:
        folder.mkdir()
    except OSError as error:
        raise ExportError(f'{output}: {error.strerror or error}') from None
    try:
        yield folder
        output.parent.mkdir(parents=True, exist_ok=True)
        _replace(folder, output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, output: Path) -> None:
    """Rename a folder over another; the old one is whole until the new one is in its place."""
    if not output.exists():
        folder.rename(output)
        return
    old = folder.with_suffix('.old')
    output.rename(old)
    try:
        folder.rename(output)
    except BaseException:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)
