"""Observations as the model's tensors, for one tick and for training sequences alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..robot import AudioSpec, CameraSpec, ImuSpec, LidarSpec, RobotSpec
from ..sensing.observation import Observation

GRAVITY = 9.81  # m/s²: accelerations reach the model in units of it
INPUT_NAMES = {'camera': 'camera', 'imu': 'sensors', 'lidar': 'lidar', 'audio': 'audio'}

_IMU_SCALE = np.array([[1.0]] * 3 + [[GRAVITY]] * 3, np.float32)

Array = NDArray[Any]


def sensor_scale(name: str, robot: RobotSpec) -> Array | None:
    """What a sensor's floats are divided by for the model; None for nothing."""
    if name == 'lidar':
        return np.array([[robot.lidar.range_max], [1.0]], np.float32)
    return _IMU_SCALE if name == 'imu' else None


def _to_tensor(name: str, value: Array, robot: RobotSpec) -> Tensor:
    """One sensor's array with any leading dimensions, scaled, as its own memory."""
    if name == 'camera':
        # Only seen as [C, H, W]: the trunks work on channels-last memory, which is how it comes.
        return torch.from_numpy(value.copy()).movedim(-1, -3)
    scale = sensor_scale(name, robot)
    return torch.from_numpy(np.array(value if scale is None else value / scale, np.float32))


def values_to_tensors(values: Mapping[str, Array], robot: RobotSpec, *,
                      camera_dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Arrays of ``Observation.values``, stacked along any leading dimensions, as model inputs.

    Args:
        values: Per sensor ``[…, *spec.shape]``.
        robot: Sensors and ranges.
        camera_dtype: float32, or uint8 to keep frames four times smaller until ``scale_camera``.

    Returns:
        camera ``[…, 3, H, W]`` in [0, 1]; sensors ``[…, 6, K]`` (rad/s, g); lidar ``[…, 2, beams]``
        (range / range_max, validity); audio ``[…, C, n]`` in [−1, 1].
    """
    tensors = {INPUT_NAMES[name]: _to_tensor(name, values[name], robot) for name in robot.sensors}
    return tensors if camera_dtype == torch.uint8 else scale_camera(tensors)


def scale_camera(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """uint8 frames among ``inputs`` as float32 in [0, 1]; everything else as it is."""
    return {name: value.to(torch.float32).div_(255.0) if value.dtype == torch.uint8 else value
            for name, value in inputs.items()}


def observation_tensors(obs: Observation, robot: RobotSpec, *,
                        camera_dtype: torch.dtype = torch.float32
                        ) -> tuple[dict[str, Tensor], Tensor]:
    """One observation as a batch of one: inputs ``[1, …]`` and ``present`` bool ``[1, M]``."""
    inputs = values_to_tensors({name: obs.values[name][None] for name in robot.sensors}, robot,
                               camera_dtype=camera_dtype)
    return inputs, torch.tensor([[obs.present[name] for name in robot.sensors]])


def stack_observations(observations: Sequence[Observation], robot: RobotSpec, *,
                       camera_dtype: torch.dtype = torch.float32
                       ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """A sequence as inputs ``[T, …]``, ``present`` bool ``[T, M]`` and ``dt`` ``[T]``, s.

    Raises:
        ValueError: The sequence is empty.
    """
    if not observations:
        raise ValueError('observations: got none, expected at least one')
    values = {name: np.stack([obs.values[name] for obs in observations]) for name in robot.sensors}
    present = torch.tensor([[obs.present[name] for name in robot.sensors]
                            for obs in observations])
    dt = torch.tensor([obs.dt for obs in observations], dtype=torch.float32)
    return values_to_tensors(values, robot, camera_dtype=camera_dtype), present, dt


def robot_model_config(robot: RobotSpec) -> dict[str, Any]:
    """What ``RobotMultiSensorModel`` must be built with to fit a robot.

    Sensors that the robot does not have or use are None (``num_sensors``: 0).
    """
    sensors = robot.sensors
    camera, imu = sensors.get('camera'), sensors.get('imu')
    lidar, audio = sensors.get('lidar'), sensors.get('audio')
    config: dict[str, Any] = {
        'camera_size': None, 'num_sensors': 0, 'sensor_window': None, 'lidar_shape': None,
        'audio_channels': None, 'audio_window': None, 'action_dim': robot.command.width,
        'control_rate': robot.rate,
    }
    if isinstance(camera, CameraSpec):
        config['camera_size'] = (3, camera.height, camera.width)
    if isinstance(imu, ImuSpec):
        config |= {'num_sensors': 6, 'sensor_window': imu.window}
    if isinstance(lidar, LidarSpec):
        around = lidar.angle_max - lidar.angle_min > 2 * math.pi - 1e-3
        config |= {'lidar_shape': (2, lidar.beams), 'lidar_circular': around}
    if isinstance(audio, AudioSpec):
        config |= {'audio_channels': audio.channels, 'audio_window': audio.window,
                   'audio_sample_rate': audio.sample_rate}
    return config
