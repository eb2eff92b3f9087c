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
from liquidspike_ros.export.formats import FORMATS, quietly, trace
from liquidspike_ros.export.sequences import random_ticks

STRATEGIES = [strategy.value for strategy in FusionStrategy]
needs_compiler = pytest.mark.skipif(shutil.which('g++') is None, reason='no C++ compiler')


def agreement(step: FlatStep, name: str, folder: Path) -> Agreement:
    form = FORMATS[name]
    for module in form.needs:
        pytest.importorskip(module)
    path = folder / form.file
    with quietly():
        form.write(trace(step), step, path)
    assert [entry.name for entry in folder.iterdir()] == [form.file]
    return compare(step, form.load(path), random_ticks(step))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_pt2_of_every_strategy(robot_model, tmp_path, strategy):
    assert agreement(FlatStep(robot_model(fusion_strategy=strategy)), 'pt2', tmp_path).worst < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ('strategy', 'backbone'),
    [(s, 'cfc') for s in STRATEGIES] + [('hybrid', b) for b in BACKBONES if b != 'cfc'],
)
def test_onnx_of_every_strategy_and_cell(robot_model, tmp_path, strategy, backbone):
    step = FlatStep(robot_model(fusion_strategy=strategy, backbone=backbone))
    assert agreement(step, 'onnx', tmp_path).worst < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize('changes', [
    {'camera_architecture': 'efficient'}, {'camera_architecture': 'resnet'},
    {'audio_channels': 1}, {'audio_channels': None, 'lidar_shape': None}, {'sensor_window': 16},
    {'num_attention_heads': 3}, {'backend': 'reference'},
], ids=str)
def test_onnx_of_every_kind_of_model(robot_model, tmp_path, changes):
    assert agreement(FlatStep(robot_model(**changes)), 'onnx', tmp_path).worst < 5e-5


@pytest.mark.parametrize('name', ['pt2', 'onnx'])
def test_rows_of_a_batch_are_apart(robot_model, tmp_path, name):
    step = FlatStep(robot_model(fusion_strategy='early'), batch=3)
    assert agreement(step, name, tmp_path).worst < 1e-5


def test_digital_silence_is_finite_in_onnx(robot_model, tmp_path):
    """The optimiser of the ONNX exporter takes the floor under the cross-spectrum for 0."""
    pytest.importorskip('onnxruntime')
    step = FlatStep(robot_model(fusion_strategy='early'))
    with quietly():
        FORMATS['onnx'].write(trace(step), step, tmp_path / 'step.onnx')
    outputs = FORMATS['onnx'].load(tmp_path / 'step.onnx')(step.example())
    assert all(bool(torch.isfinite(value).all()) for value in outputs)


def test_onnx_names_and_shapes_are_those_of_the_ports(robot_model, tmp_path):
    onnx = pytest.importorskip('onnx')
    step = FlatStep(robot_model(fusion_strategy='early'))
    with quietly():
        FORMATS['onnx'].write(trace(step), step, tmp_path / 'step.onnx')
    graph = onnx.load(tmp_path / 'step.onnx').graph
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
