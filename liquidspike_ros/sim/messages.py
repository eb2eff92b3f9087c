"""Simulated samples as standard ROS 2 messages, without a ROS installation.

They are rosbags' dataclasses of the standard definitions: converters read their attributes as they
read rclpy's, and the typestore turns them into the very CDR bytes that bags and topics carry.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import get_typestore, Stores

TYPESTORE = get_typestore(Stores.ROS2_KILTED)

_types = TYPESTORE.types
_Time = _types['builtin_interfaces/msg/Time']
_Header = _types['std_msgs/msg/Header']
_Vector3 = _types['geometry_msgs/msg/Vector3']
_Point = _types['geometry_msgs/msg/Point']
_Quaternion = _types['geometry_msgs/msg/Quaternion']
_Pose = _types['geometry_msgs/msg/Pose']
_PoseWithCovariance = _types['geometry_msgs/msg/PoseWithCovariance']
_Twist = _types['geometry_msgs/msg/Twist']
_TwistWithCovariance = _types['geometry_msgs/msg/TwistWithCovariance']
_Image = _types['sensor_msgs/msg/Image']
_Imu = _types['sensor_msgs/msg/Imu']
_LaserScan = _types['sensor_msgs/msg/LaserScan']
_Odometry = _types['nav_msgs/msg/Odometry']
_Clock = _types['rosgraph_msgs/msg/Clock']
_Dimension = _types['std_msgs/msg/MultiArrayDimension']
_ArrayLayout = _types['std_msgs/msg/MultiArrayLayout']
_Int16MultiArray = _types['std_msgs/msg/Int16MultiArray']

Covariance = NDArray[np.float64]
Planar = tuple[float, float, float]


@dataclass(frozen=True)
class SimMessage:
    """One message leaving the simulator.

    Attributes:
        now_ns: Simulation time at which it leaves, ns.
        topic: Relative topic name.
        type_name: Interface type, e.g. ``sensor_msgs/msg/Imu``.
        msg: The message, a rosbags dataclass.
    """

    now_ns: int
    topic: str
    type_name: str
    msg: Any

    def serialize(self) -> bytes:
        """The message as CDR, as bags store it and publishers take it."""
        return bytes(TYPESTORE.serialize_cdr(self.msg, self.type_name))


def time_message(stamp_ns: int) -> Any:
    """builtin_interfaces/Time."""
    return _Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def _header(stamp_ns: int, frame_id: str) -> Any:
    return _Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def _vector(x: float, y: float, z: float) -> Any:
    return _Vector3(x=x, y=y, z=z)


def clock_message(stamp_ns: int) -> Any:
    """rosgraph_msgs/Clock."""
    return _Clock(clock=time_message(stamp_ns))


def image_message(stamp_ns: int, frame_id: str, pixels: NDArray[np.uint8]) -> Any:
    """sensor_msgs/Image of RGB pixels ``[H, W, 3]``."""
    height, width, channels = pixels.shape
    return _Image(header=_header(stamp_ns, frame_id), height=height, width=width, encoding='rgb8',
                  is_bigendian=0, step=width * channels, data=pixels.reshape(-1))


def imu_message(stamp_ns: int, frame_id: str, gyro: NDArray[np.float64],
                acceleration: NDArray[np.float64], gyro_covariance: Covariance,
                acceleration_covariance: Covariance) -> Any:
    """sensor_msgs/Imu without an orientation estimate (rad/s, m/s²; REP 145)."""
    return _Imu(
        header=_header(stamp_ns, frame_id),
        orientation=_Quaternion(x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=_NO_ORIENTATION,
        angular_velocity=_vector(*gyro.tolist()),
        angular_velocity_covariance=gyro_covariance,
        linear_acceleration=_vector(*acceleration.tolist()),
        linear_acceleration_covariance=acceleration_covariance)


_NO_ORIENTATION = np.array([-1.0, *[0.0] * 8])  # the definition's way of saying so


def scan_message(stamp_ns: int, frame_id: str, ranges: NDArray[np.float32], angle_min: float,
                 angle_increment: float, limits: tuple[float, float], scan_time: float) -> Any:
    """sensor_msgs/LaserScan; ``angle_min`` is where the first beam looks (rad), ranges in m."""
    return _LaserScan(
        header=_header(stamp_ns, frame_id), angle_min=angle_min,
        angle_max=angle_min + (len(ranges) - 1) * angle_increment,
        angle_increment=angle_increment, time_increment=0.0, scan_time=scan_time,
        range_min=limits[0], range_max=limits[1], ranges=ranges,
        intensities=np.empty(0, dtype=np.float32))


def odometry_message(stamp_ns: int, frames: tuple[str, str], pose: Planar,
                     twist: tuple[float, float], pose_covariance: Covariance,
                     twist_covariance: Covariance) -> Any:
    """nav_msgs/Odometry in the plane.

    Args:
        stamp_ns: Time of measurement, ns.
        frames: Frame of the pose, frame of the twist.
        pose: x (m), y (m), yaw (rad).
        twist: Forward speed (m/s), yaw rate (rad/s).
        pose_covariance: ``[36]``.
        twist_covariance: ``[36]``.
    """
    x, y, yaw = pose
    return _Odometry(
        header=_header(stamp_ns, frames[0]), child_frame_id=frames[1],
        pose=_PoseWithCovariance(
            pose=_Pose(position=_Point(x=x, y=y, z=0.0), orientation=_Quaternion(
                x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2))),
            covariance=pose_covariance),
        twist=_TwistWithCovariance(
            twist=twist_message(*twist), covariance=twist_covariance))


def twist_message(v: float, w: float) -> Any:
    """geometry_msgs/Twist: forward speed (m/s), yaw rate (rad/s)."""
    return _Twist(linear=_vector(v, 0.0, 0.0), angular=_vector(0.0, 0.0, w))


def audio_message(samples: NDArray[np.int16]) -> Any:
    """std_msgs/Int16MultiArray of interleaved PCM from samples ``[frames, channels]``."""
    frames, channels = samples.shape
    dimensions = [
        _Dimension(label='frames', size=frames, stride=frames * channels),
        _Dimension(label='channels', size=channels, stride=channels),
    ]
    return _Int16MultiArray(layout=_ArrayLayout(dim=dimensions, data_offset=0),
                            data=samples.reshape(-1))
