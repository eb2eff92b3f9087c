"""One tick as a function of tensors: the model's own step, flat and in a stable order."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.multimodal_applications import AudioVideoModel
from liquidspike_ros.core.multimodal_fusion import FusionStrategy
from liquidspike_ros.core.state import nest_state
from liquidspike_ros.export.flat_step import ExportError, FlatStep
from liquidspike_ros.export.sequences import random_ticks

STRATEGIES = [strategy.value for strategy in FusionStrategy]


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_it_gives_what_the_model_gives(robot_model, strategy, backbone):
    model = robot_model(fusion_strategy=strategy, backbone=backbone)
    step, state, flat = FlatStep(model), model.init_state(1), None
    with torch.no_grad():
        for tick in random_ticks(step, 8):
            flat = step.rest() if flat is None or tick.reset else flat
            state = model.init_state(1) if tick.reset else state
            inputs = dict(zip(model.modalities, tick.senses, strict=True))
            expected, state = model.step(inputs, state, tick.dt, tick.present)
            action, *flat = step(*tick.arguments, *flat)
            torch.testing.assert_close(action, expected, rtol=0, atol=1e-6)
            torch.testing.assert_close(flat, step.flatten(state), rtol=0, atol=1e-6)


def test_the_order_is_modalities_presence_time_state(step):
    names = [port.name for port in step.inputs]
    assert names[:6] == ['camera', 'sensors', 'lidar', 'audio', 'present', 'dt']
    assert names[6:8] == ['state.encoders.camera.membrane', 'state.encoders.camera.hx']
    assert names[-1] == 'state.memory.hx'
    assert step.outputs[0].name == 'action'
    assert [port.name for port in step.outputs[1:]] == [
        name.replace('state.', 'next.', 1) for name in names[6:]]


def test_shapes_are_those_of_the_tensors(robot_model):
    step = FlatStep(robot_model(), batch=3)
    arguments = step.example()
    assert [tuple(value.shape) for value in arguments] == [port.shape for port in step.inputs]
    assert [tuple(value.shape) for value in step(*arguments)] == [
        port.shape for port in step.outputs]


def test_a_state_is_nested_as_the_model_wants_it():
    leaves = [torch.tensor([float(number)]) for number in range(3)]
    assert nest_state({'a': {'b': 1, 'c': 1}, 'd': 1}, leaves) == {
        'a': {'b': leaves[0], 'c': leaves[1]}, 'd': leaves[2]}


def test_the_model_is_copied_frozen_and_in_evaluation_mode(robot_model):
    model = robot_model().train()
    step = FlatStep(model)
    assert not step.model.training
    assert not any(parameter.requires_grad for parameter in step.parameters())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_model_that_is_not_for_robots_is_refused():
    model = AudioVideoModel.__new__(AudioVideoModel)
    torch.nn.Module.__init__(model)
    with pytest.raises(ExportError, match='got AudioVideoModel, expected RobotMultiSensorModel'):
        FlatStep(model)


def test_a_window_of_any_length_is_refused(robot_model):
    with pytest.raises(ExportError, match='audio_window: got any number of samples'):
        FlatStep(robot_model(audio_window=None))
