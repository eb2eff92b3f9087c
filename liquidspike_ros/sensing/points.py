"""Reading ``sensor_msgs/PointCloud2`` by field name."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fields import byte_array, integer
from .observation import InvalidSample

# PointField.msg: INT8 … FLOAT64.
_DATATYPES = {1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 8: 'f8'}
_UINT32 = 2**32 - 1


def _layout(msg: Any, point_step: int) -> np.dtype:
    order = '>' if int(msg.is_bigendian) else '<'
    fields = {str(field.name): field for field in msg.fields}
    formats, offsets = [], []
    for name in ('x', 'y', 'z'):
        if name not in fields:
            got = ' '.join(', '.join(sorted(fields)).split())[:80]  # a reason is one line
            raise InvalidSample(f'fields: got {got or "none"}, expected x, y and z')
        datatype, offset = operator.index(fields[name].datatype), integer(
            fields[name], 'offset', 0, _UINT32)
        if datatype not in _DATATYPES:
            raise InvalidSample(f'fields.{name}.datatype: got {datatype}, expected 1 to 8')
        formats.append(order + _DATATYPES[datatype])
        offsets.append(offset)
        end = offset + np.dtype(formats[-1]).itemsize
        if end > point_step:
            raise InvalidSample(f'fields.{name}: ends at byte {end}, expected within point_step '
                                f'{point_step}')
    return np.dtype({'names': ['x', 'y', 'z'], 'formats': formats, 'offsets': offsets,
                     'itemsize': point_step})


def read_points(msg: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """x, y and z of all points as float32 ``[height · width]`` each, m, NaN points included.

    Any numeric datatype, order and offset of fields, either endianness, padding in points and rows.

    Raises:
        InvalidSample: A field is missing or lies outside a point, sizes contradict each other.
    """
    height, width = integer(msg, 'height', 0, _UINT32), integer(msg, 'width', 0, _UINT32)
    if height * width == 0:
        empty = np.zeros(0, np.float32)
        return empty, empty, empty
    point_step = integer(msg, 'point_step', 1, 65536)
    row_step = integer(msg, 'row_step', 0, _UINT32)
    if row_step < width * point_step:
        raise InvalidSample(f'row_step: got {row_step}, expected at least width × point_step = '
                            f'{width * point_step}')
    data = byte_array(msg.data)
    if data.size != row_step * height:
        raise InvalidSample(f'data: got {data.size} bytes, expected row_step × height = '
                            f'{row_step * height}')
    points: NDArray[Any] = np.ndarray((height, width), _layout(msg, point_step),
                                      np.ascontiguousarray(data), 0, (row_step, point_step))
    with np.errstate(over='ignore', invalid='ignore'):
        x, y, z = (points[axis].astype(np.float32).reshape(-1) for axis in 'xyz')
    return x, y, z
