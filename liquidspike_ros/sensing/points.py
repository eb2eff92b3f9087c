"""Reading ``sensor_msgs/PointCloud2`` by field name, into the axes of the robot."""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..robot import LidarSpec
from .fields import byte_array, integer, is_optical, one_line
from .observation import InvalidSample
from .rotations import rotation_matrix

# PointField.msg: INT8 … FLOAT64.
_DATATYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_UINT32 = 2**32 - 1

Points = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]  # x, y, z [N] in m


def _datatype(field: Any, name: str) -> np.dtype[Any]:
    number = operator.index(field.datatype)
    if number in _DATATYPES:
        return np.dtype(_DATATYPES[number])
    from .ros_decoders import point_datatype

    known = point_datatype(field)
    if known is None or known.kind not in 'iuf':
        raise InvalidSample(f'fields.{name}.datatype: got {number}, expected 1 to 8')
    return known


def _layout(msg: Any, point_step: int) -> np.dtype:
    order: Literal['>', '<'] = '>' if int(msg.is_bigendian) else '<'
    fields = {str(field.name): field for field in msg.fields}
    formats, offsets = [], []
    for name in ('x', 'y', 'z'):
        if name not in fields:
            got = one_line(', '.join(sorted(fields)), 80)
            raise InvalidSample(f'fields: got {got or "none"}, expected x, y and z')
        offset = integer(fields[name], 'offset', 0, _UINT32)
        kind = _datatype(fields[name], name)
        formats.append(kind.newbyteorder(order))
        offsets.append(offset)
        end = offset + kind.itemsize
        if end > point_step:
            raise InvalidSample(f'fields.{name}: ends at byte {end}, expected within point_step '
                                f'{point_step}')
    return np.dtype({'names': ['x', 'y', 'z'], 'formats': formats, 'offsets': offsets,
                     'itemsize': point_step})


def _row_step(msg: Any, height: int, width: int, point_step: int, size: int) -> int:
    """Bytes from row to row: by ``row_step`` where the data agree, else by the data.

    Drivers put zero, the number of points or the size of all data into ``row_step``; rows without
    padding that fill the data exactly leave no doubt.
    """
    row_step, row = integer(msg, 'row_step', 0, _UINT32), width * point_step
    if row_step >= row and size in (row_step * height, row_step * (height - 1) + row):
        return row_step
    if size == row * height:
        return row
    raise InvalidSample(
        f'data: got {size} bytes and row_step {row_step}, expected row_step × height = '
        f'{row_step * height}, or width × height × point_step = {width} × {height} × {point_step} '
        f'= {row * height}')


def read_points(msg: Any) -> Points:
    """x, y and z of all points as float32 ``[height · width]`` each, m, NaN points included.

    Any numeric datatype, order and offset of fields, either endianness, padding in points and rows.

    Raises:
        InvalidSample: A field is missing or lies outside a point, sizes contradict each other.
    """
    height, width = integer(msg, 'height', 0, _UINT32), integer(msg, 'width', 0, _UINT32)
    data = byte_array(msg.data)
    if height * width == 0:
        if data.size:
            raise InvalidSample(f'data: got {data.size} bytes, expected none for width × height = '
                                f'{width} × {height} points')
        empty = np.zeros(0, np.float32)
        return empty, empty, empty
    point_step = integer(msg, 'point_step', 1, 65536)
    row_step = _row_step(msg, height, width, point_step, data.size)
    points: NDArray[Any] = np.ndarray((height, width), _layout(msg, point_step),
                                      np.ascontiguousarray(data), 0, (row_step, point_step))
    with np.errstate(over='ignore', invalid='ignore'):
        x, y, z = (points[axis].astype(np.float32).reshape(-1) for axis in 'xyz')
    return x, y, z


def measured(points: Points) -> Points:
    """The points that were measured: neither NaN or infinite nor exactly 0, 0, 0.

    Raises:
        InvalidSample: There are points, and none was measured.
    """
    x, y, z = points
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(z)
    keep = finite & ((x != 0) | (y != 0) | (z != 0))
    if x.size and not keep.any():
        zeros = int(finite.sum())
        raise InvalidSample(f'data: none of {x.size} points was measured ({x.size - zeros} NaN or '
                            f'Inf, {zeros} at 0, 0, 0): sensor lost')
    return x[keep], y[keep], z[keep]


def in_robot_axes(points: Points, msg: Any, spec: LidarSpec) -> Points:
    """Points with x ahead, y left and z up (REP 103).

    ``spec.transform`` where it is given. Else frames called optical are a camera's, z ahead,
    x right and y down, and are turned; others are taken to be right already.
    """
    x, y, z = points
    if any(spec.transform):
        turn = rotation_matrix(*spec.transform[3:]).astype(np.float32)
        with np.errstate(over='ignore', invalid='ignore'):
            moved = turn @ np.stack((x, y, z)) + np.array(spec.transform[:3], np.float32)[:, None]
        return moved[0], moved[1], moved[2]
    if is_optical(msg):
        return z, -x, -y
    return x, y, z
