from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest
import torch

from liquidspike_ros.control.tensors import (
    observation_tensors,
    robot_model_config,
    scale_camera,
    stack_observations,
)
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

ROBOT = RobotSpec.from_dict({
    'sensors': {'camera': {'width': 12, 'height': 8}, 'imu': {'window': 4}, 'lidar': {'beams': 6},
                'audio': {'sample_rate': 1000, 'window': 100, 'channels': 2}}})


def observation(seed=0, **present):
    rng = np.random.default_rng(seed)
    values = {'camera': rng.integers(0, 256, (8, 12, 3), dtype=np.uint8),
              'imu': rng.normal(size=(6, 4)).astype(np.float32),
              'lidar': np.stack((rng.uniform(0, 8, 6), np.ones(6))).astype(np.float32),
              'audio': rng.uniform(-1, 1, (2, 100)).astype(np.float32)}
    return Observation(stamp=seed, dt=0.05 + seed / 100, values=values,
                       present={name: present.get(name, True) for name in values},
                       age=dict.fromkeys(values, 0.0))


def test_units_and_layouts():
    obs = observation()
    inputs, present = observation_tensors(obs, ROBOT)
    assert list(inputs) == ['camera', 'sensors', 'lidar', 'audio']
    assert all(value.dtype == torch.float32 for value in inputs.values())
    assert inputs['camera'].is_contiguous(memory_format=torch.channels_last)
    assert all(value.is_contiguous() for name, value in inputs.items() if name != 'camera')
    assert inputs['camera'].shape == (1, 3, 8, 12)
    assert inputs['camera'][0, 2, 3, 5].item() == pytest.approx(
        obs.values['camera'][3, 5, 2] / 255)
    assert np.allclose(inputs['sensors'][0, :3], obs.values['imu'][:3])
    assert np.allclose(inputs['sensors'][0, 3:], obs.values['imu'][3:] / 9.81)
    assert np.allclose(inputs['lidar'][0, 0], obs.values['lidar'][0] / 8.0)
    assert (inputs['lidar'][0, 1] == 1).all()
    assert np.array_equal(inputs['audio'][0], obs.values['audio'])
    assert present.tolist() == [[True] * 4]


def test_tensors_own_their_memory():
    obs = observation()
    inputs, _ = observation_tensors(obs, ROBOT)
    before = {name: value.copy() for name, value in obs.values.items()}
    for value in inputs.values():
        value.zero_()
    assert all(np.array_equal(obs.values[name], before[name]) for name in before)


def test_present_follows_the_order_of_the_sensors():
    _, present = observation_tensors(observation(lidar=False), ROBOT)
    assert present.tolist() == [[True, True, False, True]]


def test_a_stacked_sequence_holds_exactly_the_single_ticks():
    sequence = [observation(seed, imu=seed != 2) for seed in range(4)]
    inputs, present, dt = stack_observations(sequence, ROBOT)
    assert dt.tolist() == pytest.approx([0.05, 0.06, 0.07, 0.08])
    for t, obs in enumerate(sequence):
        single, mask = observation_tensors(obs, ROBOT)
        assert torch.equal(present[t], mask[0])
        assert all(torch.equal(inputs[name][t], single[name][0]) for name in single)


def test_frames_may_stay_bytes_until_the_batch_is_made():
    sequence = [observation(seed) for seed in range(3)]
    small, _, _ = stack_observations(sequence, ROBOT, camera_dtype=torch.uint8)
    assert small['camera'].dtype == torch.uint8
    assert torch.equal(scale_camera(small)['camera'],
                       stack_observations(sequence, ROBOT)[0]['camera'])


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match='expected at least one'):
        stack_observations([], ROBOT)


def test_a_disabled_sensor_is_no_input():
    blind = replace(ROBOT, trigger='imu', camera=replace(ROBOT.camera, enabled=False))
    inputs, present = observation_tensors(observation(), blind)
    assert 'camera' not in inputs
    assert present.shape == (1, 3)
    assert robot_model_config(blind)['camera_size'] is None


def test_model_configuration():
    config = robot_model_config(ROBOT)
    assert config == {
        'camera_size': (3, 8, 12), 'num_sensors': 6, 'sensor_window': 4, 'lidar_shape': (2, 6),
        'lidar_circular': True, 'audio_channels': 2, 'audio_window': 100,
        'audio_sample_rate': 1000, 'action_dim': 2, 'control_rate': 15.0}
    ahead = replace(ROBOT, lidar=replace(ROBOT.lidar, angle_min=0.0, angle_max=math.pi))
    assert robot_model_config(ahead)['lidar_circular'] is False
