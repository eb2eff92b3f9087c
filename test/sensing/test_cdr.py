"""Serialised messages are read as the middleware would, and doubted as any other input."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.cdr import is_plain, MAX_ITEMS, read_message, READERS
from liquidspike_ros.sensing.converters import convert
from liquidspike_ros.sensing.observation import InvalidSample

typesys = pytest.importorskip('rosbags.typesys')
STORE = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
TYPES = STORE.types


def header(frame: str = 'odd') -> Any:
    time = TYPES['builtin_interfaces/msg/Time'](sec=1_700_000_000, nanosec=123_456_789)
    return TYPES['std_msgs/msg/Header'](stamp=time, frame_id=frame)


def vector(*values: float) -> Any:
    return TYPES['geometry_msgs/msg/Vector3'](*values)


def imu() -> Any:
    rng = np.random.default_rng(3)
    return TYPES['sensor_msgs/msg/Imu'](
        header(), TYPES['geometry_msgs/msg/Quaternion'](0.1, 0.2, 0.3, 0.9), rng.normal(size=9),
        vector(1.0, 2.0, 3.0), rng.normal(size=9), vector(4.0, 5.0, 6.0), rng.normal(size=9))


def image(pixels: int = 7) -> Any:
    return TYPES['sensor_msgs/msg/Image'](
        header(), 1, pixels, 'rgb8', 0, 3 * pixels, np.arange(3 * pixels, dtype=np.uint8))


def scan(beams: int = 5) -> Any:
    ranges = np.linspace(1, 2, beams, dtype=np.float32)
    return TYPES['sensor_msgs/msg/LaserScan'](
        header(), -1.0, 1.0, 0.5, 0.0, 0.125, 0.0625, 8.0, ranges, ranges[:0])


def cloud() -> Any:
    field = TYPES['sensor_msgs/msg/PointField']
    fields = [field(name, 4 * i, 7, 1) for i, name in enumerate(('x', 'yy', 'zzz'))]
    return TYPES['sensor_msgs/msg/PointCloud2'](
        header('lidar'), 1, 2, fields, False, 12, 24,
        np.arange(6, dtype=np.float32).view(np.uint8), True)


def sound() -> Any:
    dimension = TYPES['std_msgs/msg/MultiArrayDimension']('frames', 3, 6)
    return TYPES['std_msgs/msg/Int16MultiArray'](
        TYPES['std_msgs/msg/MultiArrayLayout']([dimension], 0),
        np.array([1, -2, 3, -4, 5, -6], np.int16))


def compressed() -> Any:
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header(''), 'jpeg', np.arange(9, dtype=np.uint8))


MESSAGES = {message.__msgtype__: message
            for message in (imu(), image(), scan(), cloud(), sound(), compressed())}


def serialised(message: Any, *, little: bool = True) -> bytes:
    return bytes(STORE.serialize_cdr(message, message.__msgtype__, little_endian=little))


def same(read: Any, message: Any) -> bool:
    """Whether a record has every field of a message, with the same value."""
    if hasattr(message, '__msgtype__'):
        return all(same(getattr(read, name), getattr(message, name))
                   for name in message.__dataclass_fields__  # without the constants
                   if name.islower() and name != '__msgtype__')
    if isinstance(message, list):
        return len(read) == len(message) and all(map(same, read, message))
    return bool(np.array_equal(read, message))


def test_every_type_is_tried_here() -> None:
    assert MESSAGES.keys() == READERS.keys()


@pytest.mark.parametrize('little', [True, False], ids=['little endian', 'big endian'])
@pytest.mark.parametrize('interface', READERS)
def test_every_field_reads_as_it_was_written(interface: str, little: bool) -> None:
    message = MESSAGES[interface]
    data = serialised(message, little=little)
    assert is_plain(data)
    assert same(read_message(interface, data), message)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=122), max_size=9), st.integers(0, 9))
def test_fields_lie_where_the_lengths_before_them_put_them(frame: str, beams: int) -> None:
    for message in (image(beams), scan(beams), imu()):
        message.header.frame_id = frame
        assert same(read_message(message.__msgtype__, serialised(message)), message)


@pytest.mark.parametrize('interface', READERS)
def test_a_message_cut_off_anywhere_is_no_sample(interface: str) -> None:
    whole = serialised(MESSAGES[interface])
    end = len(whole.rstrip(b'\0'))  # the padding behind the last field may go
    for length in (*range(4, min(end, 60)), *range(60, end, 7), end - 1):
        with pytest.raises(InvalidSample, match=f'serialised {interface}: '):
            read_message(interface, whole[:length])


@pytest.mark.parametrize('interface', READERS)
@given(place=st.integers(0, 200), value=st.integers(0, 2**32 - 1))
def test_no_number_in_a_message_breaks_more_than_the_message(
        interface: str, place: int, value: int) -> None:
    data = bytearray(serialised(MESSAGES[interface]))
    at = 4 + place % (len(data) - 8)
    data[at:at + 4] = struct.pack('<I', value)
    with contextlib.suppress(InvalidSample):
        read = read_message(interface, bytes(data))
        assert all(part.nbytes <= len(data) for part in read if isinstance(part, np.ndarray))


def test_sub_records_without_end_are_refused() -> None:
    layout = b'\0\1\0\0' + struct.pack('<I', MAX_ITEMS + 1) + bytes(16 * MAX_ITEMS)
    with pytest.raises(InvalidSample, match=f'{MAX_ITEMS + 1} sub-records, expected at most'):
        read_message('std_msgs/msg/Int16MultiArray', layout)


def test_arrays_are_views_of_what_arrived() -> None:
    data = serialised(image(1000))
    assert np.shares_memory(read_message('sensor_msgs/msg/Image', data).data,
                            np.frombuffer(data, np.uint8))


def test_a_name_that_is_no_text_is_read_with_a_mark() -> None:
    data = serialised(image()).replace(b'odd', b'\xff\xfe!')
    assert read_message('sensor_msgs/msg/Image', data).header.frame_id == '\ufffd\ufffd!'


@pytest.mark.parametrize('data', [b'', b'\0', b'\0\2\0\0', b'\0\7\0\0', b'\0\3\0\0'])
def test_other_encodings_are_told_apart(data: bytes) -> None:
    assert not is_plain(data)


@pytest.mark.parametrize(('sensor', 'message'), [
    ('camera', image(96 * 72)), ('imu', imu()), ('lidar', scan(180)), ('audio', sound())])
@pytest.mark.parametrize('little', [True, False], ids=['little endian', 'big endian'])
def test_converters_make_the_same_of_both(sensor: str, message: Any, little: bool) -> None:
    spec, interface = RobotSpec().sensors[sensor], message.__msgtype__
    if sensor == 'camera':
        message.height, message.width, message.step = 72, 96, 288
    if sensor == 'lidar':
        message.angle_increment = 2.0 / 179
    read = convert(read_message(interface, serialised(message, little=little)), interface, spec)
    direct = convert(message, interface, spec)
    assert read.stamp == direct.stamp
    assert np.array_equal(read.data, direct.data)
    assert read.data.dtype == direct.data.dtype
