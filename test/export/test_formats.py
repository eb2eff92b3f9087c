"""Every format, read back from the disk, does what eager does."""

from __future__ import annotations

from pathlib import Path
import shutil

import pytest
import torch

from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.multimodal_fusion import FusionStrategy
from liquidspike_ros.export.check import Agreement, compare
from liquidspike_ros.export.flat_step import ExportError, FlatStep
from liquidspike_ros.export.formats import FORMATS, Program, quietly, trace
from liquidspike_ros.export.sequences import random_ticks

STRATEGIES = [strategy.value for strategy in FusionStrategy]
needs_compiler = pytest.mark.skipif(shutil.which('g++') is None, reason='no C++ compiler')


def agreement(step: FlatStep, name: str, folder: Path, program: Program | None = None) -> Agreement:
    form = FORMATS[name]
    for module in form.needs:
        pytest.importorskip(module)
    path = folder / name / form.file
    path.parent.mkdir()
    with quietly():
        form.write(program or trace(step), step, path)
    assert [entry.name for entry in path.parent.iterdir()] == [form.file]
    return compare(step, form.load(path), random_ticks(step))


@pytest.mark.slow
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_pt2_and_onnx_of_every_strategy(robot_model, tmp_path, strategy):
    step = FlatStep(robot_model(fusion_strategy=strategy))
    program = trace(step)  # as an export does: one for all formats
    assert agreement(step, 'pt2', tmp_path, program).worst < 1e-5
    assert agreement(step, 'onnx', tmp_path, program).worst < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize('backbone', [name for name in BACKBONES if name != 'cfc'])
def test_onnx_of_every_cell(robot_model, tmp_path, backbone):
    step = FlatStep(robot_model(fusion_strategy='early', backbone=backbone))
    assert agreement(step, 'onnx', tmp_path).worst < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize('changes', [
    # What comes before the fusion, before the one that is exported fastest.
    {'camera_architecture': 'efficient', 'fusion_strategy': 'early'},
    {'camera_architecture': 'resnet', 'fusion_strategy': 'early'},
    {'audio_channels': 1, 'fusion_strategy': 'early'},
    {'audio_pooling': 'last', 'fusion_strategy': 'early'},
    {'audio_channels': None, 'lidar_shape': None},
    {'sensor_window': 16, 'fusion_strategy': 'early'},
    {'num_attention_heads': 3}, {'backend': 'reference'},
], ids=str)
def test_onnx_of_every_kind_of_model(robot_model, tmp_path, changes):
    assert agreement(FlatStep(robot_model(**changes)), 'onnx', tmp_path).worst < 5e-5


@pytest.mark.parametrize('name', ['pt2', 'onnx'])
def test_rows_of_a_batch_are_apart(robot_model, tmp_path, name):
    step = FlatStep(robot_model(fusion_strategy='early'), batch=3)
    assert agreement(step, name, tmp_path).worst < 1e-5


@pytest.fixture(scope='module')
def early(robot_model, tmp_path_factory):
    """A step and its ONNX file."""
    pytest.importorskip('onnxruntime')
    step, path = FlatStep(robot_model(fusion_strategy='early')), tmp_path_factory.mktemp('early')
    with quietly():
        FORMATS['onnx'].write(trace(step), step, path / 'step.onnx')
    return step, path / 'step.onnx'


@pytest.mark.xdist_group('early')
def test_digital_silence_is_finite_in_onnx(early):
    """The optimiser of the ONNX exporter takes the floor under the cross-spectrum for 0."""
    step, path = early
    outputs = FORMATS['onnx'].load(path)(step.example())
    assert all(bool(torch.isfinite(value).all()) for value in outputs)


@pytest.mark.xdist_group('early')
def test_onnx_names_and_shapes_are_those_of_the_ports(early):
    onnx = pytest.importorskip('onnx')
    step, path = early
    graph = onnx.load(path).graph
    for found, ports in ((graph.input, step.inputs), (graph.output, step.outputs)):
        assert [(value.name, tuple(size.dim_value for size in value.type.tensor_type.shape.dim))
                for value in found] == [(port.name, port.shape) for port in ports]


@needs_compiler
@pytest.mark.slow
def test_aoti_agrees_and_leaves_nothing_in_the_common_cache(robot_model, tmp_path, monkeypatch):
    monkeypatch.delenv('TORCHINDUCTOR_CACHE_DIR', raising=False)
    step = FlatStep(robot_model(fusion_strategy='early', audio_channels=None))
    assert agreement(step, 'aoti', tmp_path).worst < 1e-5


def test_no_compiler_says_what_to_install(monkeypatch):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(ExportError, match=r'looked for no-such-compiler.*apt-get install g\+\+'):
        FORMATS['aoti'].check_ready()
