"""The formats a step is written in: how each is written, and run again from the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import importlib
import logging
import os
from pathlib import Path
import shutil
from typing import Any
import warnings

import torch
from torch import Tensor

from .check import Run
from .flat_step import ExportError, FlatStep

Program = Any  # torch.export.ExportedProgram
OPSET = 20


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: As the user gives it.
        file: Name of the artefact.
        runs_on: What a program needs to run it.
        needs: Modules that must be there besides torch.
        ready: Raises ``ExportError`` where the machine lacks something else.
        write: Traced program, step and path -> the file.
        load: Path -> a function from inputs to outputs.
    """

    name: str
    file: str
    runs_on: str
    needs: tuple[str, ...]
    ready: Callable[[], None]
    write: Callable[[Program, FlatStep, Path], None]
    load: Callable[[Path], Run]

    def check_ready(self) -> None:
        """Fail before any work is done.

        Raises:
            ModuleNotFoundError: A package is not installed.
            ExportError: There is no compiler.
        """
        for module in self.needs:
            importlib.import_module(module)
        self.ready()


@torch.no_grad()
def trace(step: FlatStep) -> Program:
    """The step as a graph of elementary operators, with its weights."""
    with quietly():
        return torch.export.export(step, step.example(), strict=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the notes that torch's exporters print about themselves."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _nothing() -> None:
    pass


def _write_pt2(program: Program, step: FlatStep, path: Path) -> None:
    with path.open('wb') as file:
        torch.export.save(program, file)


def _load_pt2(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda inputs: module(*inputs)


def _find_compiler() -> None:
    compiler = os.environ.get('CXX') or 'g++'
    if shutil.which(compiler.split()[0]) is None:
        raise ExportError(f'aoti: no C++ compiler found (looked for {compiler}); install one '
                          f'(sudo apt-get install g++) or name it in CXX')


def _write_aoti(program: Program, step: FlatStep, path: Path) -> None:
    import torch._inductor as inductor

    scratch = path.with_name('inductor')  # else sources and objects stay behind in the user's /tmp
    before = os.environ.get('TORCHINDUCTOR_CACHE_DIR')
    os.environ['TORCHINDUCTOR_CACHE_DIR'] = str(scratch)
    try:
        inductor.aoti_compile_and_package(program, package_path=str(path))
    finally:
        os.environ.pop('TORCHINDUCTOR_CACHE_DIR')
        if before is not None:
            os.environ['TORCHINDUCTOR_CACHE_DIR'] = before
        shutil.rmtree(scratch, ignore_errors=True)


def _load_aoti(path: Path) -> Run:
    import torch._inductor as inductor

    package = inductor.aoti_load_package(str(path))
    return lambda inputs: package(*inputs)


def _write_onnx(program: Program, step: FlatStep, path: Path) -> None:
    from onnxscript import optimizer

    # Not optimised by rewriting: its rules take a constant below 1e-8 for 0, and the floor that
    # keeps digital silence finite is one. Runtimes optimise what they load.
    exported = torch.onnx.export(
        program, step.example(), dynamo=True, optimize=False, verbose=False,
        opset_version=OPSET,
        input_names=[port.name for port in step.inputs],
        output_names=[port.name for port in step.outputs])
    assert exported is not None  # no path was given
    for _ in range(2):
        optimizer.fold_constants_ir(exported.model)
        optimizer.remove_unused_nodes(exported.model)
    exported.save(path)


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no notes about what it did not fold
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    names = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        given = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
        return [torch.from_numpy(value) for value in session.run(outputs, given)]

    return run


FORMATS = {
    entry.name: entry for entry in (
        Format('pt2', 'step.pt2', 'torch.export.load, Python', (), _nothing, _write_pt2, _load_pt2),
        Format('aoti', 'step.aoti.pt2', 'libtorch of the version under made_with, C++ or Python, '
               'on such a processor', (), _find_compiler, _write_aoti, _load_aoti),
        Format('onnx', 'step.onnx', f'an ONNX runtime that knows opset {OPSET}',
               ('onnx', 'onnxscript', 'onnxruntime'), _nothing, _write_onnx, _load_onnx),
    )
}
