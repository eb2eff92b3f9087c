"""An inertial measurement unit."""

from __future__ import annotations

from dataclasses import dataclass
import math

from ..settings import setting
from .sensor import require_field, SensorSpec, TYPE

IMU_TYPES = ('sensor_msgs/msg/Imu',)
# Unit a topic may be in -> what makes rad/s and m/s² of it.
ANGULAR_VELOCITY_UNITS = {'rad/s': 1.0, 'deg/s': math.pi / 180}
ACCELERATION_UNITS = {'m/s2': 1.0, 'g': 9.80665}


@dataclass(frozen=True, kw_only=True)
class ImuSpec(SensorSpec):
    """An IMU; every sample since the last tick, resampled to float32 ``[6, window]``.

    Rows: angular velocity x, y, z (rad/s), linear acceleration x, y, z (m/s²), in the robot's axes:
    x ahead, y left, z up.
    """

    topic: str = 'imu'
    type: str = setting(IMU_TYPES[0], TYPE, choices=IMU_TYPES)
    rate: float = 200.0
    max_age: float = 0.1
    window: int = setting(
        16, 'IMU samples per tick after resampling', limits=(1, 1024), unit='samples')
    acceleration_unit: str = setting(
        'm/s2', 'Unit of the topic', choices=tuple(ACCELERATION_UNITS))
    angular_velocity_unit: str = setting(
        'rad/s', 'Unit of the topic', choices=tuple(ANGULAR_VELOCITY_UNITS))
    rotation: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), 'Roll, pitch, yaw of the IMU in the robot, as in URDF: turns what it '
        'measures to x ahead, y left, z up; zeros leave it as it is, or turn it from the axes of '
        'a camera where its frame is called optical', limits=(-2 * math.pi, 2 * math.pi),
        unit='rad')

    def __post_init__(self) -> None:
        self._check('sensors.imu')
        require_field(len(self.rotation) == 3, 'sensors.imu.rotation', self.rotation,
                      'roll, pitch and yaw in rad')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (6, self.window)
