"""``sensor_msgs/Imu`` -> float32 ``[6]``: angular velocity (rad/s), linear acceleration (m/s²)."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, ImuSpec
from .fields import converter, is_optical, stamp_of
from .observation import InvalidSample, Sample
from .rotations import OPTICAL, rotation_matrix

MAX_ANGULAR_VELOCITY = 35.0  # rad/s: MEMS gyroscopes end at 2000 °/s
MAX_LINEAR_ACCELERATION = 200.0  # m/s²: MEMS accelerometers end at 16 g

_UNMEASURED = (math.nan, math.nan, math.nan)
Vector = tuple[float, float, float]


def _vector(msg: Any, name: str, factor: float, limit: float, setting: str) -> Vector:
    """The field's x, y, z; NaN where covariance[0] == −1 says that it is not measured."""
    if float(getattr(msg, f'{name}_covariance')[0]) == -1.0:
        return _UNMEASURED
    vector = getattr(msg, name)
    values = (float(vector.x) * factor, float(vector.y) * factor, float(vector.z) * factor)
    for axis, value in zip('xyz', values, strict=True):
        if not abs(value) <= limit:  # NaN is not
            raise InvalidSample(f'{name}.{axis}: got {value:g}, expected within ±{limit:g}; is the '
                                f'topic in another unit than sensors.imu.{setting} says?')
    return values


@functools.lru_cache(maxsize=16)
def _turn(rotation: tuple[float, float, float]) -> NDArray[np.float64]:
    return rotation_matrix(*rotation).T


@converter
def convert_imu(msg: Any, spec: ImuSpec) -> Sample:
    """``sensor_msgs/msg/Imu`` -> float32 ``[6]`` in the robot's axes, rad/s and m/s².

    ``spec.rotation`` turns it there; without one, frames called optical are a camera's and are
    turned as clouds are.

    A field whose ``covariance[0]`` is −1 is not measured (Imu.msg) and reads NaN: drivers send
    the accelerometer and the gyroscope in turns, and ``WindowBuffer`` holds each by itself.
    All-zero covariances are legal and mean unknown.

    Raises:
        InvalidSample: NaN, Inf or beyond what any such sensor measures; neither field measured.
    """
    stamp = stamp_of(msg)
    angular = _vector(msg, 'angular_velocity', ANGULAR_VELOCITY_UNITS[spec.angular_velocity_unit],
                      MAX_ANGULAR_VELOCITY, 'angular_velocity_unit')
    linear = _vector(msg, 'linear_acceleration', ACCELERATION_UNITS[spec.acceleration_unit],
                     MAX_LINEAR_ACCELERATION, 'acceleration_unit')
    if angular is _UNMEASURED and linear is _UNMEASURED:
        raise InvalidSample('covariance[0] is -1 for angular velocity and linear acceleration: '
                            'nothing is measured')
    roll, pitch, yaw = spec.rotation
    if not (roll or pitch or yaw):
        if not is_optical(msg):
            return Sample(stamp, np.array(angular + linear, np.float32))
        roll, pitch, yaw = OPTICAL
    turned = np.array((angular, linear)) @ _turn((roll, pitch, yaw))
    return Sample(stamp, turned.reshape(6).astype(np.float32))
