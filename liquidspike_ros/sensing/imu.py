"""``sensor_msgs/Imu`` -> float32 ``[6]``: angular velocity (rad/s), linear acceleration (m/s²)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..robot import ImuSpec
from .fields import converter, stamp_of
from .observation import InvalidSample, Sample

MAX_ANGULAR_VELOCITY = 35.0  # rad/s: MEMS gyroscopes end at 2000 °/s
MAX_LINEAR_ACCELERATION = 200.0  # m/s²: MEMS accelerometers end at 16 g


def _vector(msg: Any, name: str, limit: float) -> tuple[float, float, float] | None:
    """The field's x, y, z; None where covariance[0] == −1 says that it is not measured."""
    if float(getattr(msg, f'{name}_covariance')[0]) == -1.0:
        return None
    vector = getattr(msg, name)
    values = (float(vector.x), float(vector.y), float(vector.z))
    for axis, value in zip('xyz', values, strict=True):
        if not math.isfinite(value) or abs(value) > limit:
            raise InvalidSample(f'{name}.{axis}: got {value:g}, expected within ±{limit:g}')
    return values


@converter
def convert_imu(msg: Any, spec: ImuSpec) -> Sample:
    """``sensor_msgs/msg/Imu`` -> float32 ``[6]``.

    A field whose ``covariance[0]`` is −1 is not measured (Imu.msg) and reads zero; all-zero
    covariances are legal and mean unknown.

    Raises:
        InvalidSample: NaN, Inf or beyond what any such sensor measures; neither field measured.
    """
    stamp = stamp_of(msg)
    angular = _vector(msg, 'angular_velocity', MAX_ANGULAR_VELOCITY)
    linear = _vector(msg, 'linear_acceleration', MAX_LINEAR_ACCELERATION)
    if angular is None and linear is None:
        raise InvalidSample('covariance[0] is -1 for angular velocity and linear acceleration: '
                            'nothing is measured')
    zero = (0.0, 0.0, 0.0)
    return Sample(stamp, np.array((angular or zero) + (linear or zero), np.float32))
