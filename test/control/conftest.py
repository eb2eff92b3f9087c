from __future__ import annotations

import pytest
import torch

from liquidspike_ros.control.tensors import robot_model_config
from liquidspike_ros.robot import RobotSpec

SENSES = {'camera': {'width': 16, 'height': 16}, 'imu': {'window': 8}, 'lidar': {'beams': 16},
          'audio': {'sample_rate': 2000, 'window': 400, 'channels': 2}}


@pytest.fixture(scope='session')
def small_robot():
    return RobotSpec.from_dict({'sensors': SENSES})


@pytest.fixture(scope='session')
def make_policy(small_robot):
    """A small untrained policy for ``small_robot`` whose actions depend on everything."""
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel

    def make(**changes):
        torch.manual_seed(0)
        sizes = {'fusion_dim': 16, 'encoder_dim': 16, 'liquid_units': 8, 'spiking_units': 8,
                 'num_spike_steps': 4, 'camera_architecture': 'simple'}
        return RobotMultiSensorModel(
            **(robot_model_config(small_robot) | sizes | changes)).eval()

    return make
