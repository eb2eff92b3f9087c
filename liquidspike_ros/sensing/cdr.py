"""Sensor messages read where they lie in their serialised form, as far as converters need them.

rclpy makes a Python object of every field of every message: 60 µs for an IMU sample of which 4 µs
are the taking, and two more copies of a picture. The records here have the same fields by the same
names, so the same converters read them; arrays are views of the serialised bytes.

Format: OMG CORBA 3.3 part 2, 9.3 (CDR), behind the four bytes of RTPS 2.5, 10.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import functools
import struct
import types
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .observation import InvalidSample

Array = NDArray[Any]
MAX_ITEMS = 256
"""Most sub-records of a message (fields of a point, dimensions of an array)."""
_ORDERS = {b'\x00\x00': '>', b'\x00\x01': '<'}
_ENCAPSULATION = 4


class Time(NamedTuple):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class Header(NamedTuple):
    """std_msgs/Header."""

    stamp: Time
    frame_id: str


class Vector3(NamedTuple):
    """geometry_msgs/Vector3."""

    x: float
    y: float
    z: float


class Quaternion(NamedTuple):
    """geometry_msgs/Quaternion."""

    x: float
    y: float
    z: float
    w: float


class Image(NamedTuple):
    """sensor_msgs/Image."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Array


class CompressedImage(NamedTuple):
    """sensor_msgs/CompressedImage."""

    header: Header
    format: str
    data: Array


class Imu(NamedTuple):
    """sensor_msgs/Imu."""

    header: Header
    orientation: Quaternion
    orientation_covariance: tuple[float, ...]
    angular_velocity: Vector3
    angular_velocity_covariance: tuple[float, ...]
    linear_acceleration: Vector3
    linear_acceleration_covariance: tuple[float, ...]


class LaserScan(NamedTuple):
    """sensor_msgs/LaserScan."""

    header: Header
    angle_min: float
    angle_max: float
    angle_increment: float
    time_increment: float
    scan_time: float
    range_min: float
    range_max: float
    ranges: Array
    intensities: Array


@dataclass(frozen=True, slots=True)
class PointField:  # a tuple has a count of its own
    """sensor_msgs/PointField."""

    name: str
    offset: int
    datatype: int
    count: int


class PointCloud2(NamedTuple):
    """sensor_msgs/PointCloud2."""

    header: Header
    height: int
    width: int
    fields: list[PointField]
    is_bigendian: bool
    point_step: int
    row_step: int
    data: Array
    is_dense: bool


class MultiArrayDimension(NamedTuple):
    """std_msgs/MultiArrayDimension."""

    label: str
    size: int
    stride: int


class MultiArrayLayout(NamedTuple):
    """std_msgs/MultiArrayLayout."""

    dim: list[MultiArrayDimension]
    data_offset: int


class Int16MultiArray(NamedTuple):
    """std_msgs/Int16MultiArray."""

    layout: MultiArrayLayout
    data: Array


@functools.lru_cache(maxsize=64)
def _structure(code: str) -> struct.Struct:
    return struct.Struct(code)


class _Reader:
    """Reads one field after the other."""

    __slots__ = ('_at', '_data', '_order')

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, _ENCAPSULATION
        self._order = _ORDERS[data[:2]]

    def _align(self, size: int) -> None:
        self._at += -(self._at - _ENCAPSULATION) % size

    def numbers(self, code: str, size: int) -> tuple[Any, ...]:
        """Numbers of one size, by the codes of ``struct``."""
        self._align(size)
        structure = _structure(self._order + code)
        values = structure.unpack_from(self._data, self._at)
        self._at += structure.size
        return values

    def number(self, code: str, size: int) -> Any:
        """One number."""
        return self.numbers(code, size)[0]

    def string(self) -> str:
        """A string; its length counts the zero at its end."""
        return self._text(self.number('I', 4))

    def _text(self, length: int) -> str:
        end = self._at + length
        if end > len(self._data):
            raise ValueError(f'a string of {length} bytes is longer than the message')
        text = self._data[self._at:end]
        self._at = end
        return text.rstrip(b'\0').decode('utf-8', 'replace')

    def array(self, kind: str) -> Array:
        """A sequence of numbers of a numpy kind such as 'f4', as a view."""
        count: int = self.number('I', 4)
        dtype = np.dtype(self._order + kind)
        self._align(dtype.itemsize if count else 1)
        if self._at + count * dtype.itemsize > len(self._data):
            raise ValueError(f'{count} values of {dtype.itemsize} bytes are more than the message '
                             'holds')
        values = np.frombuffer(self._data, dtype, count, self._at) if count else np.empty(0, dtype)
        self._at += values.nbytes
        return values

    def records(self, read: Callable[[_Reader], Any]) -> list[Any]:
        """A sequence of sub-records."""
        count: int = self.number('I', 4)
        if count > MAX_ITEMS:
            raise ValueError(f'{count} sub-records, expected at most {MAX_ITEMS}')
        return [read(self) for _ in range(count)]

    def header(self) -> Header:
        """std_msgs/Header."""
        sec, nanosec, length = self.numbers('iII', 4)
        return Header(Time(sec, nanosec), self._text(length))


def _image(r: _Reader) -> Image:
    header, (height, width) = r.header(), r.numbers('II', 4)
    return Image(header, height, width, r.string(), r.number('B', 1), r.number('I', 4),
                 r.array('u1'))


def _compressed_image(r: _Reader) -> CompressedImage:
    return CompressedImage(r.header(), r.string(), r.array('u1'))


def _imu(r: _Reader) -> Imu:
    header, v = r.header(), r.numbers('37d', 8)
    return Imu(header, Quaternion(*v[:4]), v[4:13], Vector3(*v[13:16]), v[16:25],
               Vector3(*v[25:28]), v[28:37])


def _scan(r: _Reader) -> LaserScan:
    header, v = r.header(), r.numbers('7f', 4)
    return LaserScan(header, v[0], v[1], v[2], v[3], v[4], v[5], v[6], r.array('f4'),
                     r.array('f4'))


def _point_field(r: _Reader) -> PointField:
    return PointField(r.string(), r.number('I', 4), r.number('B', 1), r.number('I', 4))


def _cloud(r: _Reader) -> PointCloud2:
    header, (height, width) = r.header(), r.numbers('II', 4)
    fields, is_bigendian = r.records(_point_field), bool(r.number('B', 1))
    point_step, row_step = r.numbers('II', 4)
    return PointCloud2(header, height, width, fields, is_bigendian, point_step, row_step,
                       r.array('u1'), bool(r.number('B', 1)))


def _dimension(r: _Reader) -> MultiArrayDimension:
    return MultiArrayDimension(r.string(), *r.numbers('II', 4))


def _int16(r: _Reader) -> Int16MultiArray:
    return Int16MultiArray(MultiArrayLayout(r.records(_dimension), r.number('I', 4)), r.array('i2'))


READERS: Mapping[str, Callable[[_Reader], Any]] = types.MappingProxyType({
    'sensor_msgs/msg/Image': _image,
    'sensor_msgs/msg/CompressedImage': _compressed_image,
    'sensor_msgs/msg/Imu': _imu,
    'sensor_msgs/msg/LaserScan': _scan,
    'sensor_msgs/msg/PointCloud2': _cloud,
    'std_msgs/msg/Int16MultiArray': _int16,
})
"""What can be read, by interface type."""


def is_plain(data: bytes) -> bool:
    """Whether ``data`` is in the one encoding that is read here, plain CDR of either byte order."""
    return data[:2] in _ORDERS


def read_message(interface: str, data: bytes) -> Any:
    """A serialised message as a record with the fields of the message.

    Args:
        interface: One of ``READERS``.
        data: As it arrived, ``is_plain``.

    Raises:
        InvalidSample: It is cut off, or a length in it is more than it holds.
    """
    try:
        return READERS[interface](_Reader(data))
    except (struct.error, ValueError, KeyError) as error:
        raise InvalidSample(f'serialised {interface}: {" ".join(str(error).split())}') from None
