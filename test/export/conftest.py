"""Small robot models to export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from liquidspike_ros.control.tensors import robot_model_config
from liquidspike_ros.core.checkpoint import save_pretrained
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.export.flat_step import FlatStep
from liquidspike_ros.robot import load_robot
from liquidspike_ros.share import shared_file


@pytest.fixture(scope='session')
def robot_model() -> Callable[..., RobotMultiSensorModel]:
    def build(**changes: Any) -> RobotMultiSensorModel:
        torch.manual_seed(0)
        sizes: dict[str, Any] = {
            'camera_size': (3, 32, 32), 'num_sensors': 4, 'fusion_dim': 16, 'action_dim': 2,
            'camera_architecture': 'simple', 'fusion_strategy': 'hybrid', 'encoder_dim': 16,
            'liquid_units': 8, 'spiking_units': 8, 'num_spike_steps': 4, 'lidar_shape': (2, 16),
            'audio_channels': 2, 'audio_window': 1600,
        }
        return RobotMultiSensorModel(**sizes | changes).eval()

    return build


@pytest.fixture(scope='session')
def step(robot_model: Callable[..., RobotMultiSensorModel]) -> FlatStep:
    return FlatStep(robot_model())


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint of the beacon robot with small random weights."""
    robot = load_robot(shared_file('config/robots/beacon.yaml'))
    torch.manual_seed(0)
    model = RobotMultiSensorModel(
        **robot_model_config(robot), camera_architecture='simple', fusion_strategy='early',
        fusion_dim=16, encoder_dim=16, liquid_units=8, spiking_units=8, num_spike_steps=2)
    path = tmp_path_factory.mktemp('checkpoint') / 'tiny'
    save_pretrained(model, path, metadata={'robot': robot.to_dict()})
    return path
