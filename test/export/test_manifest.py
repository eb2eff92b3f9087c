"""export.json tells enough to run a step without reading Python."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from liquidspike_ros.control.action import to_command
from liquidspike_ros.control.tensors import INPUT_NAMES, robot_model_config, values_to_tensors
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.export.flat_step import FlatStep
from liquidspike_ros.export.manifest import describe, to_text
from liquidspike_ros.robot import load_robot
from liquidspike_ros.share import shared_file


@pytest.fixture(scope='module')
def robot():
    return load_robot(shared_file('config/robots/beacon.yaml'))


@pytest.fixture(scope='module')
def document(robot):
    model = RobotMultiSensorModel(
        **robot_model_config(robot), camera_architecture='simple', encoder_dim=16,
        liquid_units=8, spiking_units=8, num_spike_steps=2)
    return json.loads(to_text(describe(FlatStep(model), {'checkpoint': 'mine'}, robot)))


def test_scaling_is_that_of_the_node(document, robot):
    raw = {name: np.full(spec.shape, 7, np.uint8 if name == 'camera' else np.float32)
           for name, spec in robot.sensors.items()}
    raw['audio'] = np.full(robot.audio.shape, 7 / 32768, np.float32)  # what the node makes of PCM 7
    expected = values_to_tensors({name: value[None] for name, value in raw.items()}, robot)
    entries = {entry['name']: entry for entry in document['inputs']}
    for sensor in robot.sensors:
        entry = entries[INPUT_NAMES[sensor]]
        divisor = torch.tensor(entry['divide_by'])
        if entry['divide_axis'] is not None:
            divisor = divisor.view([-1 if axis == entry['divide_axis'] else 1
                                    for axis in range(len(entry['shape']))])
        got = torch.full(entry['shape'], 7.0) / divisor
        torch.testing.assert_close(got, expected[entry['name']])


def test_the_action_becomes_the_command_of_the_node(document, robot):
    entry = document['outputs'][0]
    action = np.array([-1.5, 0.25])
    command = np.clip(action * entry['multiply_by'], entry['command']['lower'],
                      entry['command']['upper'])
    np.testing.assert_allclose(command, to_command(action, robot.command))
    assert entry['columns'] == ['linear.x', 'angular.z']


def test_every_state_output_feeds_an_input_that_starts_at_zero(document):
    inputs = {entry['name']: entry for entry in document['inputs']}
    fed = [entry['feeds'] for entry in document['outputs'][1:]]
    assert fed == [name for name in inputs if name.startswith('state.')]
    assert all(inputs[name]['initial'] == 0.0 for name in fed)
    assert all(inputs[entry['feeds']]['shape'] == entry['shape']
               for entry in document['outputs'][1:])


def test_every_input_says_what_it_means(document):
    assert all(entry['meaning'] and entry['dtype'] in ('float32', 'bool')
               for entry in document['inputs'])
    assert document['inputs'][4]['columns'] == document['modalities']
    assert document['control_rate_hz'] == 15.0


def test_without_a_robot_it_says_what_the_model_knows(step):
    document = describe(step, {}, None)
    assert 'divide_by' not in document['inputs'][0]
    assert '[0, 1]' in document['inputs'][0]['meaning']
    assert 'command' not in document['outputs'][0]


def test_a_list_of_numbers_takes_a_line():
    assert to_text({'a': [1, 2.5, None], 'b': ['x [1,\n 2]']}) == (
        '{\n  "a": [1, 2.5, null],\n  "b": [\n    "x [1,\\n 2]"\n  ]\n}\n')
