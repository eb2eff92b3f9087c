"""``sensor_msgs/Image`` and ``CompressedImage`` -> uint8 RGB ``[height, width, 3]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..robot import CameraSpec
from .encodings import Array, DEPTH, Encoding, ENCODINGS, find_encoding, first, grey, swap
from .fields import byte_array, converter, integer, stamp_of
from .image_layout import planes, stride
from .jpeg_png import decode
from .observation import InvalidSample, Sample

MAX_SIDE = 16384
MAX_PIXELS = 64_000_000


def resize(image: Array, spec: CameraSpec) -> Array:
    """Area-averaged to the size of ``spec``; the same array where it already has it."""
    if image.shape[:2] == (spec.height, spec.width):
        return image
    import cv2

    return np.asarray(cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_AREA))


def _size(msg: Any) -> tuple[int, int]:
    width, height = integer(msg, 'width', 1, MAX_SIDE), integer(msg, 'height', 1, MAX_SIDE)
    if width * height > MAX_PIXELS:
        raise InvalidSample(f'width × height: got {width} × {height}, expected at most '
                            f'{MAX_PIXELS} pixels')
    return width, height


def _planes(msg: Any, encoding: Encoding) -> list[Array]:
    """The values of the raw image as uint8 views: ``[H, W, values]``, or its planes ``[rows, …]``.

    16-bit values are reduced to their high byte.
    """
    width, height = _size(msg)
    if encoding.pair and width % 2:
        raise InvalidSample(f'width: got {width}, expected an even number for {msg.encoding}')
    if any(rows > 1 for rows, _ in encoding.planes) and height % 2:
        raise InvalidSample(f'height: got {height}, expected an even number for {msg.encoding}')
    data = np.ascontiguousarray(byte_array(msg.data))
    step = stride(encoding, width, height, integer(msg, 'step', 0, 2**32 - 1), data.size)
    found = planes(encoding, data, width, height, step)
    if encoding.planes:
        return found
    rows = found[0]
    if encoding.size == 2:
        rows = rows[:, (0 if int(msg.is_bigendian) else 1)::2]
    return [rows.reshape(height, width, encoding.values)]


def _outside_the_table(msg: Any, name: str) -> Array:
    """By cv_bridge, where it is installed and knows the encoding."""
    from .ros_decoders import image_to_rgb

    _size(msg)
    image = image_to_rgb(msg)
    if image is None:
        raise InvalidSample(f'encoding: got {name[:40]!r}, expected one of {", ".join(ENCODINGS)}')
    return image


@converter
def convert_image(msg: Any, spec: CameraSpec) -> Sample:
    """``sensor_msgs/msg/Image`` -> uint8 RGB ``[spec.height, spec.width, 3]``.

    rgb8 of the right size without padding is a view of the message; nothing is copied. Where
    ``step`` contradicts the data, the data count if they leave no doubt (``image_layout.stride``).

    Raises:
        InvalidSample: Sizes that contradict each other, unknown or depth encodings.
    """
    stamp = stamp_of(msg)
    name = str(msg.encoding)
    encoding = find_encoding(name)
    if encoding is None:
        image = resize(_outside_the_table(msg, name), spec)
    elif encoding.to_rgb in (first, swap, grey):
        # Resizing commutes with these, and few pixels are cheap.
        image = resize(first(_planes(msg, encoding)[0]), spec)
        image = encoding.to_rgb(image.reshape(*image.shape[:2], -1))
    else:
        image = resize(encoding.to_rgb(*_planes(msg, encoding)), spec)
    return Sample(stamp, np.ascontiguousarray(image))


def _source_encoding(text: str) -> str:
    """What was compressed, from ``format`` as image_transport writes it: ``rgb8; jpeg …``.

    Raises:
        InvalidSample: A depth image, by its encoding or by its transport.
    """
    for name in ('compressedDepth', 'rvl'):
        if name.lower() in text.lower():
            raise InvalidSample(f'format: got {name} ({text[:60]!r}), expected a colour image')
    for word in text.replace(';', ' ').split():
        if word.upper() in DEPTH:
            raise InvalidSample(f'format: got depth image {word} ({text[:60]!r}), expected a '
                                'colour image')
    return text.partition(';')[0].strip().lower()


@converter
def convert_compressed_image(msg: Any, spec: CameraSpec) -> Sample:
    """``sensor_msgs/msg/CompressedImage`` (jpeg, png) -> uint8 RGB ``[height, width, 3]``.

    The content decides how it is decoded, not ``format``, whose text differs between drivers; what
    ``format`` says of the source counts where the content cannot tell: depth is refused.

    Raises:
        InvalidSample: Neither JPEG nor PNG, truncated, absurdly large, undecodable, or depth.
    """
    stamp = stamp_of(msg)
    source = _source_encoding(' '.join(str(msg.format).split()))
    image = decode(byte_array(msg.data), source, (spec.width, spec.height))
    return Sample(stamp, swap(resize(image, spec)))
