"""Small recordings written on the spot, in the formats robots write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores

from liquidspike_ros.robot import RobotSpec

TYPES = get_typestore(Stores.ROS2_KILTED)
M = TYPES.types
START = 1_000_000_000_000


@pytest.fixture(scope='session')
def robot() -> RobotSpec:
    """A robot so small that a test trains it in a second."""
    return RobotSpec.from_dict({
        'name': 'toy', 'rate': 15.0, 'trigger': 'camera',
        'sensors': {
            'camera': {'width': 16, 'height': 12},
            'imu': {'rate': 60.0, 'window': 4},
            'lidar': {'beams': 8},
            'audio': {'sample_rate': 2000, 'channels': 2, 'window': 200},
        },
    })


def header(time: int) -> Any:
    stamp = M['builtin_interfaces/msg/Time'](sec=time // 10**9, nanosec=time % 10**9)
    return M['std_msgs/msg/Header'](stamp=stamp, frame_id='base_link')


def image(time: int, value: np.ndarray) -> Any:
    height, width, _ = value.shape
    return M['sensor_msgs/msg/Image'](
        header=header(time), height=height, width=width, encoding='rgb8', is_bigendian=0,
        step=width * 3, data=np.ascontiguousarray(value, np.uint8).reshape(-1))


def imu(time: int, gyro: np.ndarray, accel: np.ndarray) -> Any:
    vector = M['geometry_msgs/msg/Vector3']
    zeros = np.zeros(9)
    return M['sensor_msgs/msg/Imu'](
        header=header(time), orientation=M['geometry_msgs/msg/Quaternion'](x=0, y=0, z=0, w=1),
        orientation_covariance=zeros,
        angular_velocity=vector(**dict(zip('xyz', gyro, strict=True))),
        angular_velocity_covariance=zeros,
        linear_acceleration=vector(**dict(zip('xyz', accel, strict=True))),
        linear_acceleration_covariance=zeros)


def scan(time: int, ranges: np.ndarray) -> Any:
    step = 2 * np.pi / len(ranges)
    return M['sensor_msgs/msg/LaserScan'](
        header=header(time), angle_min=-np.pi + step / 2, angle_max=np.pi - step / 2,
        angle_increment=step, time_increment=0.0, scan_time=0.1, range_min=0.05, range_max=8.0,
        ranges=np.asarray(ranges, np.float32), intensities=np.zeros(0, np.float32))


def audio(samples: np.ndarray) -> Any:
    dimension = M['std_msgs/msg/MultiArrayDimension']
    frames, channels = samples.shape
    layout = M['std_msgs/msg/MultiArrayLayout'](dim=[
        dimension(label='frames', size=frames, stride=frames * channels),
        dimension(label='channels', size=channels, stride=channels)], data_offset=0)
    return M['std_msgs/msg/Int16MultiArray'](
        layout=layout, data=np.ascontiguousarray(samples, np.int16).reshape(-1))


def twist(v: float, w: float) -> Any:
    vector = M['geometry_msgs/msg/Vector3']
    return M['geometry_msgs/msg/Twist'](
        linear=vector(x=v, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=w))


def twist_stamped(time: int, value: Any) -> Any:
    return M['geometry_msgs/msg/TwistStamped'](header=header(time), twist=value)


def moved(message: Any, offset: int) -> Any:
    """The message with its stamp moved by ``offset`` ns; as it is if it has none."""
    if not hasattr(message, 'header'):
        return message
    stamp = message.header.stamp
    return dataclasses.replace(message, header=header(
        stamp.sec * 10**9 + stamp.nanosec + offset))


def clock(time: int) -> Any:
    return M['rosgraph_msgs/msg/Clock'](clock=header(time).stamp)


def odometry(time: int, twist: Any) -> Any:
    point, turn = M['geometry_msgs/msg/Point'], M['geometry_msgs/msg/Quaternion']
    pose = M['geometry_msgs/msg/Pose'](position=point(x=0, y=0, z=0),
                                       orientation=turn(x=0, y=0, z=0, w=1))
    return M['nav_msgs/msg/Odometry'](
        header=header(time), child_frame_id='base_link',
        pose=M['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=np.zeros(36)),
        twist=M['geometry_msgs/msg/TwistWithCovariance'](twist=twist, covariance=np.zeros(36)))


def jpeg(time: int, value: np.ndarray) -> Any:
    import cv2
    data = cv2.imencode('.jpg', value[..., ::-1])[1].reshape(-1)
    return M['sensor_msgs/msg/CompressedImage'](header=header(time), format='jpeg', data=data)


def array(values: list[float]) -> Any:
    layout = M['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
    return M['std_msgs/msg/Float64MultiArray'](layout=layout, data=np.array(values, np.float64))


Row = tuple[int, str, Any]
Make = Callable[..., Path]


def drive(seconds: float = 4.0, seed: int = 0) -> list[Row]:
    """A toy drive: the left half of the picture is as bright as the robot should turn."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    turn, ticks = 0.0, int(seconds * 15)
    for k in range(ticks):
        now = START + int(k * 1e9 / 15)
        turn = random.uniform(-1, 1) if k % 10 == 0 else turn
        picture = np.full((12, 16, 3), 128, np.uint8)
        picture[:, :8] = int(128 + 100 * turn)
        picture[-1, -1] = k % 256  # what repeats while the robot moves is frozen
        rows.append((now - 1000, '/cmd_vel', twist(0.3, 2.0 * turn)))
        rows.append((now, '/camera/image_raw', image(now, picture)))
    for k in range(int(seconds * 60)):
        now = START + int(k * 1e9 / 60) + 200
        rows.append((now, '/imu', imu(now, random.normal(size=3),
                                      random.normal(size=3) + (0, 0, 9.81))))
    for k in range(int(seconds * 10)):
        now = START + int(k * 1e8) + 300
        rows.append((now, '/scan', scan(now, random.uniform(1, 7, 8))))
    for k in range(int(seconds * 50)):
        now = START + int(k * 2e7) + 400
        rows.append((now, '/audio', audio(random.integers(-9000, 9000, (40, 2)))))
    return sorted(rows, key=lambda row: row[0])


def write(path: Path, rows: list[Row], storage: str = 'mcap',
          compressed: bool | str = False, types: Any = TYPES, version: int = 9,
          qos: Mapping[str, list[Qos]] = MappingProxyType({})) -> Path:
    """``compressed``: by ``file`` or ``message``, or true for the storage's own chunks."""
    writer = Writer(path, version=version, storage_plugin=StoragePlugin[storage.upper()])
    if compressed:
        mode = compressed.upper() if isinstance(compressed, str) else 'STORAGE'
        writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for time, topic, message in rows:
            kind = message.__msgtype__
            if (topic, kind) not in connections:
                connections[topic, kind] = writer.add_connection(
                    topic, kind, typestore=types, offered_qos_profiles=qos.get(topic, ()))
            writer.write(connections[topic, kind], time, types.serialize_cdr(message, kind))
    return path


@pytest.fixture
def make_bag(tmp_path: Path) -> Make:
    """``make_bag(name, rows=None, storage='mcap', seconds=4.0, seed=0)`` writes a recording."""

    def make(name: str = 'bag', rows: list[Row] | None = None, storage: str = 'mcap',
             seconds: float = 4.0, seed: int = 0, compressed: bool | str = False,
             **options: Any) -> Path:
        rows = drive(seconds, seed) if rows is None else rows
        return write(tmp_path / name, rows, storage, compressed, **options)

    return make


@pytest.fixture(scope='session')
def write_bag() -> Callable[..., Path]:
    """``write`` itself, for recordings that several tests share."""
    return write


@pytest.fixture(scope='session')
def toy_drive() -> Callable[..., list[Row]]:
    """The rows of ``drive``, to be spoilt before they are written."""
    return drive


@pytest.fixture
def messages() -> Any:
    """Makers of single messages: ``image``, ``imu``, ``scan``, ``audio``, ``twist``, …"""
    return SimpleNamespace(image=image, imu=imu, scan=scan, audio=audio, twist=twist, jpeg=jpeg,
                           twist_stamped=twist_stamped, array=array, moved=moved, clock=clock,
                           odometry=odometry, types=TYPES, start=START)
