"""Reading untrusted message fields: each one checked once, with a one-line reason on failure.

Messages are duck-typed: rclpy messages (``array.array`` sequences), rosbags messages (numpy) and
plain test objects (bytes, lists) all work, and none of their arrays is copied without need.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import math
import operator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .observation import InvalidSample, Sample

Spec = TypeVar('Spec')
_LONGEST = 400  # letters of a reason: numbers may have as many digits
_MALFORMED = (AttributeError, TypeError, ValueError, OverflowError, LookupError, MemoryError,
              BufferError)


def converter(function: Callable[[Any, Spec], Sample]) -> Callable[[Any, Spec], Sample]:
    """Turn what an object that is no such message raises into ``InvalidSample``, on one line.

    The explicit checks inside a converter name the field; this one is for missing attributes and
    values of absurd types, which only a broken bridge produces.
    """

    @functools.wraps(function)
    def checked(msg: Any, spec: Spec) -> Sample:
        try:
            return function(msg, spec)
        except InvalidSample as error:
            text = str(error)
            if len(text) <= _LONGEST and text.isprintable():
                raise
            raise InvalidSample(one_line(text, _LONGEST)) from None
        except _MALFORMED as error:
            raise InvalidSample(f'malformed message: {type(error).__name__}: '
                                f'{one_line(str(error), 160)}') from None

    return checked


def one_line(text: str, limit: int) -> str:
    """Text of a message as a log may hold it: one line, no control characters, bounded."""
    words = ' '.join(text[:4 * limit].split())[:limit]
    return ''.join(letter if letter.isprintable() else '?' for letter in words)


def stamp_of(msg: Any) -> int:
    """``header.stamp`` in ns of ROS time; 0 if it is zero.

    Raises:
        InvalidSample: Negative seconds, or nanoseconds of a second or more.
    """
    stamp = msg.header.stamp
    seconds, nanoseconds = operator.index(stamp.sec), operator.index(stamp.nanosec)
    if not 0 <= seconds < 2**31 or not 0 <= nanoseconds < 1_000_000_000:
        raise InvalidSample(f'header.stamp: got {seconds}.{nanoseconds}, expected a time >= 0')
    return seconds * 1_000_000_000 + nanoseconds


def is_optical(msg: Any) -> bool:
    """Whether ``header.frame_id`` names a camera's optical frame (REP 103)."""
    return 'optical' in str(getattr(msg.header, 'frame_id', '')).lower()


def integer(msg: Any, name: str, low: int, high: int) -> int:
    """Field ``name`` as an int within ``[low, high]``."""
    value = operator.index(getattr(msg, name))
    if not low <= value <= high:
        raise InvalidSample(f'{name}: got {value}, expected {low} to {high}')
    return value


def real(msg: Any, name: str) -> float:
    """Field ``name`` as a finite float."""
    value = float(getattr(msg, name))
    if not math.isfinite(value):
        raise InvalidSample(f'{name}: got {value}, expected a finite number')
    return value


def byte_array(value: Any) -> NDArray[np.uint8]:
    """``uint8[]`` in any of its representations as a flat array, without a copy where possible."""
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8:
            raise InvalidSample(f'data: got {value.dtype}, expected uint8')
        return value.reshape(-1)
    if isinstance(value, (list, tuple)):
        return np.frombuffer(bytes(value), np.uint8)
    return np.frombuffer(value, np.uint8)


def number_array(value: Any, dtype: DTypeLike, name: str) -> NDArray[Any]:
    """A numeric sequence as a flat array of ``dtype``, without a copy where possible.

    Integers must fit: a list holding 40000 is no int16 sequence.
    """
    if isinstance(value, (str, bytes)):
        raise InvalidSample(f'{name}: got {type(value).__name__}, expected numbers')
    array = np.asarray(value)
    if array.dtype.kind not in 'iuf' and array.size:
        raise InvalidSample(f'{name}: got {array.dtype} values, expected numbers')
    target = np.dtype(dtype)
    if target.kind == 'i' and array.dtype != target and array.size:
        limits = np.iinfo(target)
        if array.dtype.kind == 'f' or array.min() < limits.min or array.max() > limits.max:
            raise InvalidSample(f'{name}: expected values that fit {target}')
    with np.errstate(over='ignore', invalid='ignore'):
        return array.astype(target, copy=False).reshape(-1)
