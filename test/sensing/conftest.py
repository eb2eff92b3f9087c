"""Messages as drivers send them, as plain objects; every field can be set or spoilt."""

from __future__ import annotations

import math
from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest

from liquidspike_ros.robot import RobotSpec

NS = 1_000_000_000
POINT = {'f4': 7, 'f8': 8, 'i2': 3, 'u1': 2}


class Messages:
    """Builders; ``t`` is the stamp in ns."""

    def header(self, t: int) -> Message:
        return Message(stamp=Message(sec=t // NS, nanosec=t % NS), frame_id='sensor')

    def image(self, pixels: np.ndarray, encoding: str = 'rgb8', t: int = NS, *, padding: int = 0,
              big: bool = False, **fields: Any) -> Message:
        """``pixels`` [H, W(, C)] in their native dtype, written with row padding."""
        height, width = pixels.shape[:2]
        order = pixels.astype(pixels.dtype.newbyteorder('>' if big else '<'))
        rows = order.reshape(height, -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
        values = {'header': self.header(t), 'height': height, 'width': width, 'encoding': encoding,
                  'is_bigendian': int(big), 'step': rows.shape[1], 'data': rows.tobytes()}
        return Message(**(values | fields))

    def compressed(self, data: bytes, t: int = NS, format: str = 'rgb8; jpeg') -> Message:
        return Message(header=self.header(t), format=format, data=data)

    def imu(self, angular: Any = (0.1, 0.2, 0.3), linear: Any = (0.0, 0.0, 9.81), t: int = NS,
            **fields: Any) -> Message:
        values = {'header': self.header(t),
                  'angular_velocity': Message(**dict(zip('xyz', angular, strict=True))),
                  'linear_acceleration': Message(**dict(zip('xyz', linear, strict=True))),
                  'angular_velocity_covariance': [0.0] * 9,
                  'linear_acceleration_covariance': [0.0] * 9}
        return Message(**(values | fields))

    def scan(self, ranges: Any, /, start: float | None = None, increment: float | None = None,
             t: int = NS, **fields: Any) -> Message:
        """By default as many beams as ranges, all around, first beam centred as the spec has it."""
        ranges = np.asarray(ranges, np.float32)
        step = 2 * math.pi / len(ranges) if increment is None else increment
        first = -math.pi + step / 2 if start is None else start
        values = {'header': self.header(t), 'angle_min': first, 'angle_increment': step,
                  'angle_max': first + step * (len(ranges) - 1), 'range_min': 0.05,
                  'range_max': 8.0, 'ranges': ranges}
        return Message(**(values | fields))

    def points(self, points: Any, formats: dict[str, str] | None = None, *, big: bool = False,
               rows: int = 1, row_padding: int = 0, point_padding: int = 0, t: int = NS,
               **fields: Any) -> Message:
        """``points`` [N, 3]; ``formats`` gives the order and datatype of the fields."""
        points = np.asarray(points, np.float64).reshape(-1, 3)
        formats = formats or {'x': 'f4', 'y': 'f4', 'z': 'f4'}
        order = '>' if big else '<'
        dtype = np.dtype([(n, order + f) for n, f in formats.items()]
                         + [('pad', 'u1', (point_padding,))])
        cloud = np.zeros(len(points), dtype)
        for axis, column in zip('xyz', points.T, strict=True):
            if axis in formats:
                cloud[axis] = column
        step = dtype.itemsize
        width = len(points) // rows
        lines = cloud.view(np.uint8).reshape(rows, width * step)
        lines = np.pad(lines, ((0, 0), (0, row_padding)), constant_values=255)
        described = [Message(name=n, offset=dtype.fields[n][1], datatype=POINT[f], count=1)
                     for n, f in formats.items()]
        values = {'header': self.header(t), 'height': rows, 'width': width, 'fields': described,
                  'is_bigendian': big, 'point_step': step, 'row_step': lines.shape[1],
                  'data': lines.tobytes(), 'is_dense': True}
        return Message(**(values | fields))

    def audio(self, pcm: Any, dims: Any = ()) -> Message:
        """Int16MultiArray; ``dims`` as (label, size) pairs."""
        layout = Message(dim=[Message(label=n, size=s, stride=0) for n, s in dims], data_offset=0)
        return Message(layout=layout, data=np.asarray(pcm, np.int16).reshape(-1))


@pytest.fixture(scope='session')
def msgs() -> Messages:
    return Messages()


@pytest.fixture(scope='session')
def robot() -> RobotSpec:
    """Small sensors, so that every number of a test can be checked by hand."""
    return RobotSpec.from_dict({
        'name': 'toy', 'rate': 10.0, 'trigger': 'camera',
        'sensors': {
            'camera': {'width': 8, 'height': 8, 'rate': 10.0, 'max_age': 0.2},
            'imu': {'rate': 100.0, 'window': 5, 'max_age': 0.1},
            'lidar': {'beams': 8, 'rate': 10.0, 'max_age': 0.2},
            'audio': {'sample_rate': 1000, 'channels': 2, 'window': 128, 'max_age': 0.1},
        },
    })
