"""A folder of checked artefacts, or nothing."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import json
from pathlib import Path

import pytest
import torch

from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained
from liquidspike_ros.export import check, write
from liquidspike_ros.export.flat_step import ExportError, FlatStep
from liquidspike_ros.export.formats import trace
from liquidspike_ros.export.write import export


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


@pytest.fixture(scope='module')
def program(checkpoint):
    return trace(FlatStep(from_pretrained(checkpoint)[0]))


@pytest.fixture
def traced(program, monkeypatch):
    """Spares a test about files the tracing of the model."""
    monkeypatch.setattr(write, 'trace', lambda step: program)


def test_the_folder_holds_the_artefact_and_its_manifest(checkpoint, tmp_path):
    said: list[str] = []
    (artefact,) = export(checkpoint, tmp_path / 'a' / 'b', ['pt2'], say=said.append)
    assert everything(tmp_path) == ['a', 'a/b', 'a/b/export.json', 'a/b/step.pt2']
    document = json.loads((tmp_path / 'a/b/export.json').read_text())
    entry = document['artefacts']['pt2']
    assert entry['sha256'] == hashlib.sha256(artefact.path.read_bytes()).hexdigest()
    assert entry['check']['worst_difference']['state'] <= entry['check']['tolerance'] == 1e-4
    weights = json.loads((checkpoint / 'config.json').read_text())['sha256']
    assert document['source']['weights_sha256'] == weights
    assert any(line.startswith('traced in') for line in said)
    assert any('random ticks' in line for line in said)


def test_it_runs_from_the_disk_with_the_manifest_alone(checkpoint, tmp_path):
    export(checkpoint, tmp_path / 'out', ['pt2'], batch=2)
    document = json.loads((tmp_path / 'out/export.json').read_text())
    step = torch.export.load(tmp_path / 'out' / document['artefacts']['pt2']['file']).module()
    inputs = {entry['name']: torch.zeros(entry['shape'], dtype=getattr(torch, entry['dtype']))
              for entry in document['inputs']}
    inputs['present'][:] = True
    actions = []
    for _ in range(2):
        inputs['dt'][:] = 1 / document['control_rate_hz']
        outputs = step(*inputs.values())
        actions.append(outputs[0])
        for entry, value in zip(document['outputs'], outputs, strict=True):
            if 'feeds' in entry:
                inputs[entry['feeds']] = value
    assert actions[0].shape == (2, 2)
    assert not torch.equal(*actions)


@pytest.mark.xdist_group('traced')
def test_an_export_is_replaced_as_a_whole(checkpoint, traced, tmp_path):
    out = tmp_path / 'out'
    export(checkpoint, out, ['pt2'])
    (out / 'step.onnx').write_text('of the export before')
    before = (out / 'step.pt2').stat().st_ino
    export(checkpoint, out, ['pt2'])
    assert everything(tmp_path) == ['out', 'out/export.json', 'out/step.pt2']
    assert (out / 'step.pt2').stat().st_ino != before


def test_a_folder_with_something_else_in_it_stays_as_it_is(checkpoint, tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(ExportError, match=r'holds notes\.txt, which no export wrote'):
        export(checkpoint, tmp_path, ['pt2'])
    assert everything(tmp_path) == ['notes.txt']


def test_a_place_where_nothing_can_be_written(checkpoint, tmp_path):
    with pytest.raises(ExportError, match=r'^/proc/no/such/place: '):
        export(checkpoint, Path('/proc/no/such/place'), ['pt2'])


def test_a_file_is_no_folder(checkpoint, tmp_path):
    (tmp_path / 'out').write_text('mine')
    with pytest.raises(ExportError, match='a file, expected a folder'):
        export(checkpoint, tmp_path / 'out', ['pt2'])


@pytest.mark.xdist_group('traced')
def test_a_difference_leaves_nothing_and_names_format_entry_and_size(
    checkpoint, traced, tmp_path, monkeypatch
):
    form = write.FORMATS['pt2']

    def off(path):
        run = form.load(path)
        return lambda inputs: [value + 1e-3 for value in run(inputs)]

    monkeypatch.setitem(write.FORMATS, 'pt2', replace(form, load=off))
    with pytest.raises(ExportError, match=r'^pt2: .*: differs from eager by 0\.001'):
        export(checkpoint, tmp_path / 'out', ['pt2'])
    assert everything(tmp_path) == []


@pytest.mark.xdist_group('traced')
@pytest.mark.parametrize('error', [KeyboardInterrupt(), RuntimeError('no such operator\nmore')])
def test_what_ends_half_way_leaves_the_old_export(
    checkpoint, traced, tmp_path, monkeypatch, error
):
    out = tmp_path / 'out'
    export(checkpoint, out, ['pt2'])
    before = (out / 'export.json').read_bytes()

    def fail(program, step, path):
        path.write_text('half')
        raise error

    monkeypatch.setitem(write.FORMATS, 'pt2', replace(write.FORMATS['pt2'], write=fail))
    with pytest.raises((KeyboardInterrupt, ExportError)) as caught:
        export(checkpoint, out, ['pt2'])
    if isinstance(error, RuntimeError):
        assert str(caught.value) == 'pt2: RuntimeError: no such operator'
    assert everything(tmp_path) == ['out', 'out/export.json', 'out/step.pt2']
    assert (out / 'export.json').read_bytes() == before


def test_what_is_missing_is_said_before_any_work(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(write.FORMATS, 'onnx',
                        replace(write.FORMATS['onnx'], needs=('no_such_module',)))
    said: list[str] = []
    with pytest.raises(ModuleNotFoundError, match='no_such_module'):
        export(checkpoint, tmp_path / 'out', ['pt2', 'onnx'], say=said.append)
    assert said == []
    assert everything(tmp_path) == []


def test_unknown_format(checkpoint, tmp_path):
    with pytest.raises(ExportError, match="format: got 'tflite', expected one of pt2, aoti, onnx"):
        export(checkpoint, tmp_path / 'out', ['tflite'])


def test_a_broken_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match='no such folder'):
        export(tmp_path / 'none', tmp_path / 'out', ['pt2'])
    assert everything(tmp_path) == []


def test_the_tolerance_is_what_the_documentation_says():
    assert check.TOLERANCE == 1e-4
