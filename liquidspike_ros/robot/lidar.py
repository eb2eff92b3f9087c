"""A planar LiDAR, or a point cloud that is projected to one."""

from __future__ import annotations

from dataclasses import dataclass
import math

from ..settings import setting
from .sensor import require_field, SensorSpec, TYPE

LIDAR_TYPES = ('sensor_msgs/msg/LaserScan', 'sensor_msgs/msg/PointCloud2')
# What drivers write where nothing came back (REP 117 wants +Inf, which always counts).
NO_RETURNS = ('inf', 'nan', 'zero', 'negative', 'beyond_max')


@dataclass(frozen=True, kw_only=True)
class LidarSpec(SensorSpec):
    """A planar LiDAR (or a point cloud projected to one), resampled by angle.

    Reaches the model as float32 ``[2, beams]``: range (m) and validity (0 or 1). Beam ``i`` looks
    along ``angle_min + (i + 0.5) · (angle_max − angle_min) / beams``; by default all around.
    """

    topic: str = 'scan'
    type: str = setting(LIDAR_TYPES[0], TYPE, choices=LIDAR_TYPES)
    rate: float = 10.0
    required: bool = True
    beams: int = setting(180, 'LiDAR beams after resampling by angle', limits=(4, 8192))
    angle_min: float = setting(
        -math.pi, 'Angle of the first edge of the field of view', limits=(-6.3, 6.3), unit='rad')
    angle_max: float = setting(
        math.pi, 'Angle of the last edge of the field of view', limits=(-6.3, 6.3), unit='rad')
    range_min: float = setting(
        0.05, 'Ranges below count as this', limits=(0.0, 1000.0), unit='m')
    range_max: float = setting(8.0, 'Range of no return', limits=(0.01, 1000.0), unit='m')
    z_min: float = setting(
        -0.2, 'Points lower than this are left out of the scan (point clouds)',
        limits=(-1000.0, 1000.0), unit='m')
    z_max: float = setting(
        1.0, 'Points higher than this are left out of the scan (point clouds)',
        limits=(-1000.0, 1000.0), unit='m')
    no_return: str = setting(
        'inf', 'What the driver writes where nothing came back, which then reads range_max: one '
        f'or more of {", ".join(NO_RETURNS)}, with commas between')
    transform: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0), "Pose of a point cloud's frame in the robot: x, y, z in m, "
        'roll, pitch, yaw in rad; zeros leave a cloud as it is, or turn it from the axes of a '
        'camera where its frame is called optical', limits=(-1000.0, 1000.0))

    def __post_init__(self) -> None:
        self._check('sensors.lidar')
        span = self.angle_max - self.angle_min
        require_field(0 < span <= 2 * math.pi + 1e-6, 'sensors.lidar.angle_max', self.angle_max,
                      f'more than angle_min ({self.angle_min}), by at most a full circle')
        require_field(self.range_min < self.range_max, 'sensors.lidar.range_max', self.range_max,
                      f'more than range_min ({self.range_min})')
        require_field(self.z_min < self.z_max, 'sensors.lidar.z_max', self.z_max,
                      f'more than z_min ({self.z_min})')
        require_field(self.no_returns <= set(NO_RETURNS), 'sensors.lidar.no_return', self.no_return,
                      f'one or more of {", ".join(NO_RETURNS)}')
        require_field(len(self.transform) == 6, 'sensors.lidar.transform', self.transform,
                      'x, y, z in m; roll, pitch, yaw in rad')
        require_field(self.type == LIDAR_TYPES[1] or not any(self.transform),
                      'sensors.lidar.transform', self.transform, f'zeros where type is {self.type}')

    @property
    def no_returns(self) -> frozenset[str]:
        """The parts of ``no_return``, and ``inf``, which always says so."""
        return frozenset(part.strip() for part in f'{self.no_return},inf'.split(','))

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (2, self.beams)
