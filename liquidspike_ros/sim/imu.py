"""The IMU: MuJoCo's gyro and accelerometer with bias and noise as of a small MEMS part."""

from __future__ import annotations

from typing import Any

import numpy as np

from .messages import imu_message
from .world import World

FRAME_ID = 'imu_link'

_GYRO_NOISE = 0.004  # rad/s, rms at 200 Hz
_GYRO_BIAS = 0.004  # rad/s, rms over episodes
_GYRO_WALK = 2e-5  # rad/s per sample
_ACCELERATION_NOISE = 0.04  # m/s², rms
_ACCELERATION_BIAS = 0.05  # m/s², rms over episodes


def _diagonal(deviation: float) -> np.ndarray:
    return np.diag([deviation ** 2] * 3).reshape(-1)


class MemsImu:
    """A gyro and an accelerometer in the robot's middle, 8 cm above the floor.

    The accelerometer measures specific force: at rest +9.81 m/s² upwards.

    Args:
        seed: Of the episode.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64([seed, 0x1A10]))
        self._gyro_bias = _GYRO_BIAS * self._rng.standard_normal(3)
        self._acceleration_bias = _ACCELERATION_BIAS * self._rng.standard_normal(3)
        self._gyro_covariance = _diagonal(_GYRO_NOISE)
        self._acceleration_covariance = _diagonal(_ACCELERATION_NOISE)

    def measure(self, world: World, stamp_ns: int) -> Any:
        """Sample once, at the end of a physics step.

        Returns:
            sensor_msgs/Imu without orientation.
        """
        noise = self._rng.standard_normal(9)
        self._gyro_bias = self._gyro_bias + _GYRO_WALK * noise[6:]
        measured = world.data.sensordata
        gyro = measured[0:3] + self._gyro_bias + _GYRO_NOISE * noise[0:3]
        acceleration = measured[3:6] + self._acceleration_bias + _ACCELERATION_NOISE * noise[3:6]
        return imu_message(stamp_ns, FRAME_ID, gyro, acceleration, self._gyro_covariance,
                           self._acceleration_covariance)
