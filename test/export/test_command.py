"""`liquidspike export` as its user meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from liquidspike_ros.cli import export as command
from liquidspike_ros.cli import main
from liquidspike_ros.export.formats import FORMATS


def test_the_command_offers_what_there_is():
    assert tuple(FORMATS) == command.FORMATS


def test_it_says_what_it_does_and_lists_what_it_wrote(capsys, checkpoint, tmp_path):
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(module)
    out = tmp_path / 'out'
    assert main(['export', str(checkpoint), '-o', str(out)]) == 0
    captured = capsys.readouterr()
    assert f'{out / "step.pt2"}: ' in captured.out
    assert 'export.json' in captured.out
    assert 'pt2: written in' in captured.err
    assert json.loads((out / 'export.json').read_text())['source']['checkpoint'] == 'tiny'


@pytest.mark.parametrize(('arguments', 'said'), [
    (['no/such/model'], 'no/such/model: no such folder'),
    (['MODEL', '--format', 'aoti'], 'no C++ compiler found'),
])
def test_errors_are_one_line(capsys, checkpoint, tmp_path, monkeypatch, arguments, said):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    given = [str(checkpoint) if value == 'MODEL' else value for value in arguments]
    assert main(['export', *given, '-o', str(tmp_path / 'out')]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('liquidspike: ')
    assert said in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('module', ['onnx', 'onnxscript', 'onnxruntime'])
def test_a_missing_package_names_the_command_that_installs_it(
    capsys, checkpoint, tmp_path, monkeypatch, module
):
    for other in ('onnx', 'onnxscript'):
        if other != module:
            monkeypatch.setitem(sys.modules, other, sys)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'x'), '--format', 'onnx']) == 1
    line = capsys.readouterr().err.strip()
    assert f"{module} is not installed; run: pip install 'liquidspike_ros[export]'" in line


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(checkpoint, tmp_path):
    log = tmp_path / 'log'
    with log.open('w') as stream:
        process = subprocess.Popen(
            [sys.executable, '-m', 'liquidspike_ros.cli', 'export', str(checkpoint), '-o',
             str(tmp_path / 'out')], stderr=stream, env=os.environ | {'PYTHONPATH': '.'})
        deadline = time.monotonic() + 60
        # Before the tracing, which takes seconds: what follows on a tiny model may be over at once.
        while ' state entries' not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert log.read_text().endswith('liquidspike: interrupted\n')
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ['log']
