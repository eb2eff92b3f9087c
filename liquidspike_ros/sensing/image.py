"""``sensor_msgs/Image`` and ``CompressedImage`` -> uint8 RGB ``[height, width, 3]``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import CameraSpec
from .fields import byte_array, converter, integer, stamp_of
from .jpeg_png import decode
from .observation import InvalidSample, Sample

MAX_SIDE = 16384
MAX_PIXELS = 64_000_000

Array = NDArray[Any]


def _swap(image: Array) -> Array:
    # Three strided copies: numpy copies image[..., ::-1] several times slower.
    swapped = np.empty((*image.shape[:2], 3), np.uint8)
    for channel in range(3):
        swapped[..., channel] = image[..., 2 - channel]
    return swapped


def _grey(image: Array) -> Array:
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _first(image: Array) -> Array:
    return image[..., :3]


def _cv2(code: str) -> Callable[[Array], Array]:
    def convert(image: Array) -> Array:
        import cv2

        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), getattr(cv2, code)))

    return convert


# encoding -> (bytes of one value, values per pixel, conversion to RGB). 16-bit values are reduced
# to their high byte first. Names: sensor_msgs/image_encodings.hpp. The Bayer codes are OpenCV's
# aliases that name the pattern as ROS does (its older names are shifted by one pixel).
_ENCODINGS: dict[str, tuple[int, int, Callable[[Array], Array]]] = {
    'rgb8': (1, 3, _first), 'rgba8': (1, 4, _first), 'rgb16': (2, 3, _first),
    'rgba16': (2, 4, _first), 'bgr8': (1, 3, _swap), 'bgra8': (1, 4, _swap),
    'bgr16': (2, 3, _swap), 'bgra16': (2, 4, _swap), '8UC3': (1, 3, _swap),
    '8UC4': (1, 4, _swap), 'mono8': (1, 1, _grey), '8UC1': (1, 1, _grey), 'mono16': (2, 1, _grey),
    'yuv422': (1, 2, _cv2('COLOR_YUV2RGB_UYVY')), 'uyvy': (1, 2, _cv2('COLOR_YUV2RGB_UYVY')),
    'yuv422_yuy2': (1, 2, _cv2('COLOR_YUV2RGB_YUY2')),
    'yuyv': (1, 2, _cv2('COLOR_YUV2RGB_YUY2')),
    **{
        f'bayer_{pattern}{8 * width}': (width, 1, _cv2(f'COLOR_Bayer{pattern.upper()}2RGB'))
        for pattern in ('rggb', 'bggr', 'gbrg', 'grbg') for width in (1, 2)
    },
}
_DEPTH = ('16UC1', '32FC1', '64FC1', '16SC1', '32SC1')
_PAIRED = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')


def _encoding(msg: Any) -> tuple[str, tuple[int, int, Callable[[Array], Array]]]:
    name = str(msg.encoding)
    if name in _DEPTH:
        raise InvalidSample(f'encoding: got depth image {name}, expected a colour or mono image')
    try:
        return name, _ENCODINGS[name]
    except KeyError:
        raise InvalidSample(f'encoding: got {name[:40]!r}, expected one of '
                            f'{", ".join(_ENCODINGS)}') from None


def resize(image: Array, spec: CameraSpec) -> Array:
    """Area-averaged to the size of ``spec``; the same array where it already has it."""
    if image.shape[:2] == (spec.height, spec.width):
        return image
    import cv2

    return np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_AREA))


def _pixels(msg: Any) -> tuple[Array, Callable[[Array], Array]]:
    """The raw pixels ``[H, W, values]`` as a uint8 view, and what makes RGB of them."""
    width, height = integer(msg, 'width', 1, MAX_SIDE), integer(msg, 'height', 1, MAX_SIDE)
    if width * height > MAX_PIXELS:
        raise InvalidSample(f'width × height: got {width} × {height}, expected at most '
                            f'{MAX_PIXELS} pixels')
    encoding, (size, values, to_rgb) = _encoding(msg)
    if encoding in _PAIRED and width % 2:
        raise InvalidSample(f'width: got {width}, expected an even number for {encoding}')
    step = integer(msg, 'step', 0, 2**32 - 1)
    row = width * size * values
    if step < row:
        raise InvalidSample(f'step: got {step}, expected at least {row} for {width} px {encoding}')
    data = byte_array(msg.data)
    if data.size != step * height:
        raise InvalidSample(f'data: got {data.size} bytes, expected step × height = '
                            f'{step * height}')
    rows = data.reshape(height, step)[:, :row]  # the rest of each row is padding
    if size == 2:
        high = 0 if int(msg.is_bigendian) else 1
        rows = rows[:, high::2]
    return rows.reshape(height, width, values), to_rgb


@converter
def convert_image(msg: Any, spec: CameraSpec) -> Sample:
    """``sensor_msgs/msg/Image`` -> uint8 RGB ``[spec.height, spec.width, 3]``.

    rgb8 of the right size without padding is a view of the message; nothing is copied.

    Raises:
        InvalidSample: Sizes that contradict each other, unknown or depth encodings.
    """
    stamp = stamp_of(msg)
    pixels, to_rgb = _pixels(msg)
    if to_rgb in (_first, _swap, _grey):  # resizing commutes with these, and few pixels are cheap
        image = resize(_first(pixels), spec)
        image = to_rgb(image.reshape(*image.shape[:2], -1))
    else:
        image = resize(to_rgb(pixels), spec)
    return Sample(stamp, np.ascontiguousarray(image))


@converter
def convert_compressed_image(msg: Any, spec: CameraSpec) -> Sample:
    """``sensor_msgs/msg/CompressedImage`` (jpeg, png) -> uint8 RGB ``[height, width, 3]``.

    The content decides, not ``format``, whose text differs between drivers; compressedDepth is
    refused.

    Raises:
        InvalidSample: Neither JPEG nor PNG, truncated, absurdly large or undecodable.
    """
    stamp = stamp_of(msg)
    if 'compressedDepth' in str(msg.format):
        raise InvalidSample('format: got compressedDepth, expected a colour image')
    image = decode(byte_array(msg.data), MAX_SIDE, MAX_PIXELS)
    return Sample(stamp, np.ascontiguousarray(resize(image, spec)))
