"""The encodings of ``sensor_msgs/Image``: where their values lie and how they become RGB.

Names follow ``sensor_msgs/image_encodings.hpp``, and V4L2 for the planar ones that drivers send
under their own names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .observation import InvalidSample

Array = NDArray[Any]
# (image rows per row of the plane, bytes per pixel and row), in the order they lie in the data.
Plane = tuple[int, float]


def swap(image: Array) -> Array:
    """BGR (and more) ``[H, W, 3 or 4]`` -> RGB."""
    # Three strided copies: numpy copies image[..., ::-1] several times slower.
    swapped = np.empty((*image.shape[:2], 3), np.uint8)
    for channel in range(3):
        swapped[..., channel] = image[..., 2 - channel]
    return swapped


def grey(image: Array) -> Array:
    """One value a pixel ``[H, W, 1]`` -> RGB of that grey."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def first(image: Array) -> Array:
    """RGB (and more) ``[H, W, 3 or 4]`` -> RGB."""
    return image[..., :3]


def _cv2(code: str) -> Callable[[Array], Array]:
    def convert(image: Array) -> Array:
        import cv2

        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), getattr(cv2, code)))

    return convert


def _subsampled(code: str) -> Callable[..., Array]:
    """4:2:0: OpenCV wants the planes below each other in rows as long as the luma's."""
    to_rgb = _cv2(code)

    def convert(luma: Array, *chroma: Array) -> Array:
        width = luma.shape[1]
        flat = [np.ascontiguousarray(plane).reshape(-1, width) for plane in (
            (luma, *chroma) if len(chroma) == 1 else (luma, np.concatenate(chroma, axis=None)))]
        return to_rgb(np.concatenate(flat))

    return convert


def _full_height(first_is_u: bool) -> Callable[..., Array]:
    """4:2:2 and 4:4:4 with interleaved chroma, by ITU-R BT.601 in studio range as OpenCV has it."""
    red, green, blue = (1.164, 0.0, 1.596), (1.164, -0.391, -0.813), (1.164, 2.018, 0.0)

    def convert(luma: Array, chroma: Array) -> Array:
        import cv2

        height, width = luma.shape
        pairs = chroma.reshape(height, -1, 2)
        if pairs.shape[1] != width:
            pairs = np.repeat(pairs, 2, axis=1)
        u, v = (0, 1) if first_is_u else (1, 0)
        yuv = np.dstack((luma, pairs[..., u], pairs[..., v]))
        matrix = np.array([(*row, -16 * row[0] - 128 * (row[1] + row[2]))
                           for row in (red, green, blue)])
        return np.asarray(cv2.transform(np.ascontiguousarray(yuv), matrix))

    return convert


@dataclass(frozen=True)
class Encoding:
    """One encoding.

    Attributes:
        values: Values per pixel of a packed encoding.
        to_rgb: uint8 ``[H, W, values]`` to RGB ``[H, W, 3]``; planar ones take their planes.
        size: Bytes of one value; 16-bit values are reduced to their high byte first.
        pair: Whether two pixels share values, so that the width is even.
        planes: Of a planar encoding; empty for packed ones.
    """

    values: int
    to_rgb: Callable[..., Array]
    size: int = 1
    pair: bool = False
    planes: tuple[Plane, ...] = ()

    def row_bytes(self, width: int) -> int:
        """Bytes of one row (of luma, where planar) without padding."""
        return width * self.size * self.values

    def total(self, step: int, height: int) -> float:
        """Bytes of the whole image with rows of ``step`` bytes."""
        if not self.planes:
            return step * height
        return sum(step * share * height / rows for rows, share in self.planes)


def _planar(to_rgb: Callable[..., Array], *planes: Plane) -> Encoding:
    return Encoding(1, to_rgb, pair=True, planes=((1, 1.0), *planes))


_UYVY, _YUYV = _cv2('COLOR_YUV2RGB_UYVY'), _cv2('COLOR_YUV2RGB_YUY2')
_I420 = _planar(_subsampled('COLOR_YUV2RGB_I420'), (2, 0.5), (2, 0.5))
_YV12 = _planar(_subsampled('COLOR_YUV2RGB_YV12'), (2, 0.5), (2, 0.5))
ENCODINGS: dict[str, Encoding] = {
    'rgb8': Encoding(3, first), 'rgba8': Encoding(4, first), 'rgb16': Encoding(3, first, 2),
    'rgba16': Encoding(4, first, 2), 'bgr8': Encoding(3, swap), 'bgra8': Encoding(4, swap),
    'bgr16': Encoding(3, swap, 2), 'bgra16': Encoding(4, swap, 2), '8UC3': Encoding(3, swap),
    '8UC4': Encoding(4, swap), 'mono8': Encoding(1, grey), '8UC1': Encoding(1, grey),
    'mono16': Encoding(1, grey, 2),
    'yuv422': Encoding(2, _UYVY, pair=True), 'uyvy': Encoding(2, _UYVY, pair=True),
    'yuv422_yuy2': Encoding(2, _YUYV, pair=True), 'yuyv': Encoding(2, _YUYV, pair=True),
    'yvyu': Encoding(2, _cv2('COLOR_YUV2RGB_YVYU'), pair=True),
    'nv12': _planar(_subsampled('COLOR_YUV2RGB_NV12'), (2, 1.0)),
    'nv21': _planar(_subsampled('COLOR_YUV2RGB_NV21'), (2, 1.0)),
    'i420': _I420, 'yu12': _I420, 'yuv420': _I420, 'yuv420p': _I420, 'yv12': _YV12,
    'nv16': _planar(_full_height(True), (1, 1.0)), 'nv61': _planar(_full_height(False), (1, 1.0)),
    'nv24': _planar(_full_height(True), (1, 2.0)), 'nv42': _planar(_full_height(False), (1, 2.0)),
    # OpenCV's aliases that name the Bayer pattern as ROS does (its older ones are shifted by one).
    **{
        f'bayer_{pattern}{8 * width}': Encoding(
            1, _cv2(f'COLOR_Bayer{pattern.upper()}2RGB'), width)
        for pattern in ('rggb', 'bggr', 'gbrg', 'grbg') for width in (1, 2)
    },
}
_BY_LOWER = {name.lower(): name for name in ENCODINGS}
DEPTH = ('16UC1', '32FC1', '64FC1', '16SC1', '32SC1')


def find_encoding(name: str) -> Encoding | None:
    """The encoding of that name, in any case (``NV12``, ``RGB8``); None if it is not in the table.

    Raises:
        InvalidSample: It is a depth image.
    """
    if name.upper() in DEPTH:
        raise InvalidSample(f'encoding: got depth image {name}, expected a colour or mono image')
    return ENCODINGS.get(_BY_LOWER.get(name.lower(), ''))
