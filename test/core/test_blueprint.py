"""The shapes of a model are known before it has memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from liquidspike_ros.core.blueprint import shapes_of
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)

SMALL = {'encoder_dim': 8, 'liquid_units': 8, 'spiking_units': 6, 'num_spike_steps': 2,
         'fusion_dim': 8}
ROBOT = SMALL | {'camera_size': None, 'lidar_shape': (2, 36), 'audio_channels': 2}


@pytest.mark.parametrize(('build', 'arguments'), [
    (RobotMultiSensorModel, ROBOT),
    (RobotMultiSensorModel, ROBOT | {'camera_size': (3, 36, 48), 'camera_architecture': 'simple'}),
    (RobotMultiSensorModel, ROBOT | {'backbone': 'ltc'}),
    (RobotMultiSensorModel, ROBOT | {'backbone': 'ncp', 'backend': 'reference'}),
    (RobotMultiSensorModel, ROBOT | {'backbone': 'ncp_ltc'}),
    (RobotMultiSensorModel, ROBOT | {'backbone_options': {'mixed_memory': True, 'proj_size': 3}}),
    (RobotMultiSensorModel, ROBOT | {'fusion_strategy': 'hybrid', 'coding': 'delta'}),
    (RobotMultiSensorModel, ROBOT | {'fusion_strategy': 'hierarchical'}),
    (RobotMultiSensorModel, ROBOT | {'fusion_strategy': 'late',
                                     'spiking_options': {'learn_threshold': True}}),
    (VisionLanguageModel, SMALL | {'vision_architecture': 'simple', 'text_vocab_size': 30}),
    (VisionLanguageModel, SMALL | {'task': 'captioning', 'text_vocab_size': 30}),
    (AudioVideoModel, SMALL | {'video_frames': 4}),
    (TriModalModel, SMALL | {'text_vocab_size': 30}),
])
def test_shapes_and_types_are_those_of_the_model(build, arguments):
    found, real = shapes_of(build, arguments), build(**arguments).state_dict()
    assert {name: (value.shape, value.dtype) for name, value in found.items()} == {
        name: (value.shape, value.dtype) for name, value in real.items()}


def test_a_model_that_no_machine_could_hold_takes_no_memory():
    sizes = {'encoder_dim': 65536, 'liquid_units': 65536, 'spiking_units': 65536}
    found = shapes_of(RobotMultiSensorModel, ROBOT | sizes)
    assert sum(value.numel() for value in found.values()) > 2**33


def test_random_numbers_stay_as_they_were():
    torch.manual_seed(0)
    first = torch.rand(3)
    torch.manual_seed(0)
    shapes_of(RobotMultiSensorModel, ROBOT)
    assert torch.equal(torch.rand(3), first)


def test_it_does_not_bring_in_a_compiler():
    """Which would take two seconds at the start of a robot."""
    code = f"""
import sys
from liquidspike_ros.core.blueprint import shapes_of
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
before = set(sys.modules)
for backbone in ('cfc', 'ltc', 'ncp'):
    shapes_of(RobotMultiSensorModel, {ROBOT!r} | {{'backbone': backbone}})
assert not {{name for name in set(sys.modules) - before if name.startswith('torch._dynamo')}}
"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)
