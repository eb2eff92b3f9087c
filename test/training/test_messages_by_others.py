"""Recordings whose messages are not by the book, and what becomes of each.

Every row is a situation from public bug reports of drivers, as ``test_recordings_by_others`` has
them for recorders: one topic of a clean recording holds other messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from dataclasses import dataclass, field
import math
from pathlib import Path
import re
from typing import Any

import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.dataset import convert
from liquidspike_ros.training.episode import bag_to_sequence

cv2 = pytest.importorskip('cv2')

TYPES = get_typestore(Stores.ROS2_KILTED)
AUDIO = 'audio_common_msgs/msg/AudioData'
TYPES.register(get_types_from_msg('uint8[] data\n', AUDIO))
M = TYPES.types
RANDOM = np.random.default_rng(7)
CAMERA, SCAN, IMU, SOUND = '/camera/image_raw', '/scan', '/imu', '/audio'

Change = Callable[[Any, int], Any]


def bytes_of(array: Any) -> Any:
    return np.frombuffer(array.tobytes(), np.uint8)


def raw(encoding: str, step: int, size: int) -> Change:
    def change(old: Any, k: int) -> Any:
        return M['sensor_msgs/msg/Image'](
            header=old.header, height=12, width=16, encoding=encoding, is_bigendian=0, step=step,
            data=RANDOM.integers(0, 255, size).astype(np.uint8))
    return change


def coded(suffix: str, label: str, picture: Callable[[], Any], rest: bytes = b'') -> Change:
    def change(old: Any, k: int) -> Any:
        data = cv2.imencode(suffix, picture())[1].tobytes() + rest
        return M['sensor_msgs/msg/CompressedImage'](
            header=old.header, format=label, data=np.frombuffer(data, np.uint8))
    return change


def colour() -> Any:
    return RANDOM.integers(0, 255, (12, 16, 3)).astype(np.uint8)


def depth() -> Any:
    return RANDOM.integers(300, 5000, (12, 16)).astype(np.uint16)


def ranges(value: float, every: int = 1) -> Change:
    def change(old: Any, k: int) -> Any:
        old.ranges[::every] = value
        return old
    return change


def cloud(points: Callable[[], Any], row_step: int | None = None, frame: str = 'velodyne',
          height: int = 1) -> Change:
    def change(old: Any, k: int) -> Any:
        xyz = np.asarray(points(), np.float32)
        width = len(xyz) // height
        fields = [M['sensor_msgs/msg/PointField'](name=name, offset=4 * i, datatype=7, count=1)
                  for i, name in enumerate('xyz')]
        stamp = M['std_msgs/msg/Header'](stamp=old.header.stamp, frame_id=frame)
        return M['sensor_msgs/msg/PointCloud2'](
            header=stamp, height=height, width=width, fields=fields, is_bigendian=False,
            point_step=12, row_step=12 * width if row_step is None else row_step,
            data=bytes_of(xyz), is_dense=False)
    return change


def around() -> Any:
    return np.c_[RANDOM.uniform(-4, 4, (160, 2)), RANDOM.uniform(0, 0.5, 160)]


def wall_ahead() -> Any:
    """A metre ahead, in the axes of a camera: x right, y down, z forward."""
    right, down = np.meshgrid(np.linspace(-0.4, 0.4, 16), np.linspace(-0.5, 0.3, 10))
    return np.c_[right.ravel(), down.ravel(), 1 + RANDOM.normal(0, 0.003, right.size)]


def halves(covariance: float) -> Change:
    """Accelerometer and gyroscope in turns, the other half zero."""
    def change(old: Any, k: int) -> Any:
        silent = 'linear_acceleration' if k % 2 else 'angular_velocity'
        for axis in 'xyz':
            setattr(getattr(old, silent), axis, 0.0)
        return dataclasses.replace(old, **{
            f'{silent}_covariance': np.array([covariance, *[0.0] * 8])})
    return change


def sound(code: Callable[[Any], bytes]) -> Change:
    return lambda old, k: M[AUDIO](data=np.frombuffer(code(old.data), np.uint8))


def smooth(samples: Any) -> Any:
    phase = RANDOM.uniform(0, 6)  # what repeats while the robot moves is frozen
    return (9000 * np.sin(np.arange(samples.size) / 9 + phase)).astype(np.int16)


@dataclass(frozen=True)
class Case:
    """One situation: what a topic holds instead, whether it is used, what is said of it."""

    topic: str
    change: Change
    used: bool = True
    says: tuple[str, ...] = ()
    sensors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def lidar(**settings: Any) -> Mapping[str, Mapping[str, Any]]:
    return {'lidar': settings}


NAN, INF = math.nan, math.inf
CASES = {
    'depth PNG on a colour camera': Case(
        CAMERA, coded('.png', '16UC1; png compressed ', depth), used=False,
        says=('30 of 30 refused: format: got depth image 16UC1',)),
    'plain 16-bit PNG on a colour camera': Case(
        CAMERA, coded('.png', 'png', depth), used=False, says=('30 of 30 refused', 'depth')),
    'infrared PNG that says so': Case(CAMERA, coded('.png', 'mono16; png compressed ', depth)),
    'JPEG padded with zeros': Case(
        CAMERA, coded('.jpg', 'bgr8; jpeg compressed bgr8', colour, bytes(4096))),
    'JPEG before the rest of another': Case(
        CAMERA, coded('.jpg', 'jpeg', colour, cv2.imencode('.jpg', colour())[1].tobytes()[90:])),
    'grey JPEG with the label of its source': Case(
        CAMERA, coded('.jpg', 'yuv422_yuy2; jpeg compressed mono8', lambda: colour()[..., 0])),
    'nv12': Case(CAMERA, raw('nv12', 16, 16 * 12 * 3 // 2)),
    'nv21': Case(CAMERA, raw('nv21', 16, 16 * 12 * 3 // 2)),
    'yuy2 with padded rows': Case(CAMERA, raw('yuv422_yuy2', 48, 48 * 12)),
    'a step of 0': Case(CAMERA, raw('rgb8', 0, 16 * 12 * 3)),
    'depth on a colour camera': Case(
        CAMERA, raw('16UC1', 32, 32 * 12), used=False, says=('30 of 30 refused', 'depth')),
    'an unknown coding': Case(CAMERA, raw('h264', 0, 99), used=False, says=('h264',)),
    'row_step 0': Case(SCAN, cloud(around, 0, height=8)),
    'row_step in points': Case(SCAN, cloud(around, 160, height=8)),
    'row_step of the whole cloud': Case(SCAN, cloud(around, 160 * 12, height=8)),
    'row_step of nothing': Case(SCAN, cloud(around, 9999)),
    'cloud in an optical frame': Case(
        SCAN, cloud(wall_ahead, frame='camera_depth_optical_frame')),
    'cloud all NaN': Case(
        SCAN, cloud(lambda: np.full((160, 3), NAN), height=8), used=False,
        says=('20 of 20 refused: .*none of 160 points was measured', 'sensor lost')),
    'cloud all at the origin': Case(
        SCAN, cloud(lambda: np.zeros((160, 3)), height=8), used=False, says=('160 at 0, 0, 0',)),
    'half of the beams 0': Case(SCAN, ranges(0.0, every=2)),
    'nothing in range as Inf': Case(SCAN, ranges(INF)),
    'nothing in range as NaN': Case(
        SCAN, ranges(NAN), used=False, says=('20 of 20 refused', 'sensors.lidar.no_return: nan')),
    'nothing in range as NaN, declared': Case(
        SCAN, ranges(NAN), sensors=lidar(no_return='nan')),
    'nothing in range as the maximum + 1': Case(
        SCAN, ranges(9.0), used=False, says=('sensors.lidar.no_return: beyond_max',)),
    'nothing in range as the maximum + 1, declared': Case(
        SCAN, ranges(9.0), sensors=lidar(no_return='beyond_max')),
    'nothing in range as 0, declared': Case(SCAN, ranges(0.0), sensors=lidar(no_return='zero')),
    'IMU in turns, the other half declared': Case(IMU, halves(-1.0)),
    'IMU in turns, the other half zero': Case(IMU, halves(0.0)),
    'MP3': Case(SOUND, sound(lambda pcm: b'\xff\xf3\x88\xc4' + RANDOM.bytes(284)), used=False,
                says=('100 of 100 refused: data: got MP3',)),
    'WAV files': Case(SOUND, sound(lambda pcm: b'RIFF' + bytes(40) + pcm.tobytes()), used=False,
                      says=('100 of 100 refused', 'WAV')),
    'big endian': Case(SOUND, sound(lambda pcm: smooth(pcm).astype('>i2').tobytes()), used=False,
                       says=('refused', 'S16BE')),
    'big endian, declared': Case(
        SOUND, sound(lambda pcm: smooth(pcm).astype('>i2').tobytes()),
        sensors={'audio': {'type': AUDIO, 'sample_format': 'S16BE'}}),
    'floats': Case(SOUND, sound(lambda pcm: (smooth(pcm) / 32768).astype('<f4').tobytes()),
                   used=False, says=('refused', 'F32')),
}


@pytest.fixture
def made(request: pytest.FixtureRequest, robot: RobotSpec, toy_drive: Any, write_bag: Any,
         tmp_path: Path) -> tuple[Case, Path, RobotSpec]:
    """The case of the test's parameter, its recording, and the robot with its settings."""
    case = CASES[request.param]
    rows, count = [], 0
    for time, topic, message in toy_drive(2.0):
        if topic == case.topic:
            message, count = case.change(message, count), count + 1
        rows.append((time, topic, message))
    values = robot.to_dict()
    for name, settings in case.sensors.items():
        values['sensors'][name].update(settings)
    bag = write_bag(tmp_path / 'bag', rows, types=TYPES)
    return case, bag, RobotSpec.from_dict(values)


@pytest.mark.parametrize('made', CASES, indirect=True)
def test_what_becomes_of_a_recording(made: tuple[Case, Path, RobotSpec], tmp_path: Path) -> None:
    case, bag, robot = made
    result = convert(bag, robot, DataConfig(), tmp_path)
    assert (result.folder is not None) == case.used, result.line
    for words in case.says:
        assert re.search(words, result.line), result.line
    if case.used:
        assert 'refused' not in result.line


@pytest.mark.parametrize('made', ['cloud in an optical frame'], indirect=True)
def test_a_wall_ahead_is_seen_ahead(made: tuple[Case, Path, RobotSpec]) -> None:
    _, bag, robot = made
    episode = bag_to_sequence(bag, robot)
    beams = episode.values['lidar'][-1][0]
    ahead = beams[len(beams) // 2 - 1:len(beams) // 2 + 1]
    np.testing.assert_allclose(ahead, 1.0, atol=0.1)
    assert (np.delete(beams, (3, 4)) > 5).all()


@pytest.mark.parametrize('made', ['IMU in turns, the other half declared',
                                  'IMU in turns, the other half zero'], indirect=True)
def test_halves_are_no_average_with_zeros(made: tuple[Case, Path, RobotSpec]) -> None:
    _, bag, robot = made
    episode = bag_to_sequence(bag, robot)
    gravity = episode.values['imu'][5:, 5].mean()
    assert 9.0 < gravity < 10.6
