"""The shipped policy in every format, run as the documentation shows it."""

from __future__ import annotations

import json
from pathlib import Path
import re
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
import torch

from liquidspike_ros.cli import main
from liquidspike_ros.core.checkpoint import from_pretrained
from liquidspike_ros.export.flat_step import FlatStep
from liquidspike_ros.export.formats import FORMATS

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group('export'),
    pytest.mark.skipif(shutil.which('g++') is None, reason='no C++ compiler'),
]


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documentation's command was run."""
    for module in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp('beacon')
    (line,) = re.findall(r'^liquidspike (export .*)$', (ROOT / 'docs/export.md').read_text(), re.M)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(line.split()) == 0
    return folder


@pytest.fixture(scope='module')
def shown(place: Path) -> dict[str, Any]:
    """What every format gives with the code of docs/export.md, by the heading above it."""
    text = (ROOT / 'docs/export.md').read_text()
    blocks = re.findall(r'^([^\n]*)\n\n```python\n(.*?)^```', text, re.M | re.S)
    (_, common), *formats = blocks
    actions = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for heading, code in formats:
            namespace: dict[str, Any] = {'__name__': 'example'}
            exec(compile(common, 'export.md', 'exec'), namespace)
            exec(compile(code, 'export.md', 'exec'), namespace)
            actions[heading.split(',')[0].rstrip(':')] = namespace['action']
    return actions


def test_every_format_runs_as_written_and_gives_the_same(shown):
    assert sorted(shown) == ['AOTInductor', 'ONNX', 'torch.export']
    for action in shown.values():
        assert action.shape == (1, 2)
        np.testing.assert_allclose(action, shown['torch.export'], atol=1e-4)


def test_the_cpp_program_runs_as_written(place):
    (code,) = re.findall(r'^```cpp\n(.*?)^```', (ROOT / 'docs/export.md').read_text(), re.M | re.S)
    root, program = Path(torch.__file__).parent, place.parent / 'program'
    headers = [f'-I{root}/include', f'-I{root}/include/torch/csrc/api/include']
    # The same frame at every tick as below, in place of a random one.
    code = code.replace('torch::rand({1, 3, 72, 96})', 'torch::zeros({1, 3, 72, 96})')
    subprocess.run(
        ['g++', '-std=c++20', '-O0', '-x', 'c++', '-', '-o', str(program), *headers,
         f'-L{root}/lib', '-ltorch', '-ltorch_cpu', '-lc10', f'-Wl,-rpath,{root}/lib'],
        input=code, text=True, check=True, timeout=300)
    printed = subprocess.run([program], cwd=place, capture_output=True, text=True, check=True,
                             timeout=60).stdout
    program.unlink()
    session = FORMATS['onnx'].load(place / 'out/beacon_export/step.onnx')
    step = FlatStep(from_pretrained(ROOT / 'models/beacon')[0])
    values = list(step.example())
    for line in printed.splitlines():
        action, *values[6:] = session(values)
        np.testing.assert_allclose([float(word) for word in line.split()], action[0], atol=1e-4)
    assert len(printed.splitlines()) == 3


def test_every_format_agreed_with_the_model(place):
    artefacts = json.loads((place / 'out/beacon_export/export.json').read_text())['artefacts']
    assert list(artefacts) == ['pt2', 'aoti', 'onnx']
    for entry in artefacts.values():
        assert max(entry['check']['worst_difference'].values()) <= 1e-4


def test_nothing_else_is_left(place):
    assert [path.name for path in place.iterdir()] == ['out']
    assert [path.name for path in (place / 'out').iterdir()] == ['beacon_export']
    assert sorted(path.name for path in (place / 'out/beacon_export').iterdir()) == [
        'export.json', 'step.aoti.pt2', 'step.onnx', 'step.pt2']
