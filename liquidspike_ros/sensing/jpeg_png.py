"""Decoding JPEG and PNG from an untrusted topic: measured before it is unpacked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .observation import InvalidSample

_PNG = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'
_JPEG, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
# Start-of-frame markers C0–CF hold the size; C4, C8 and CC are tables, not frames (ITU-T T.81).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return (int.from_bytes(data[at + 7:at + 9], 'big'),
                    int.from_bytes(data[at + 5:at + 7], 'big'))
        if marker == 0xFF:  # fill byte
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2:at + 4], 'big')
    raise InvalidSample('data: JPEG without a frame header')


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height from the header, px.

    Raises:
        InvalidSample: Neither JPEG nor PNG, or cut off.
    """
    if data.startswith(_JPEG):
        if _JPEG_END not in data[-64:]:  # some cameras pad a few bytes after the end marker
            raise InvalidSample(f'data: truncated JPEG ({len(data)} bytes, no end marker)')
        return _jpeg_size(data)
    if data.startswith(_PNG):
        if not data.endswith(_PNG_END):
            raise InvalidSample(f'data: truncated PNG ({len(data)} bytes, no IEND)')
        return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')
    raise InvalidSample(f'data: starts with {data[:4].hex() or "nothing"}, expected JPEG or PNG')


def decode(data: NDArray[np.uint8], max_side: int, max_pixels: int) -> NDArray[Any]:
    """A JPEG or PNG file as uint8 RGB ``[H, W, 3]``.

    Raises:
        InvalidSample: Not such a file, truncated, larger than allowed or corrupt.
    """
    raw = data.tobytes()
    width, height = image_size(raw)
    if not (0 < width <= max_side and 0 < height <= max_side and width * height <= max_pixels):
        raise InvalidSample(f'data: image of {width} × {height} px, expected at most '
                            f'{max_side} a side and {max_pixels} pixels')
    import cv2

    try:
        # The pixels as they are: a rotation stored by a photo camera means nothing on a robot.
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise InvalidSample(f'data: {" ".join(str(error).split())[:120]}') from None
    if image is None:
        raise InvalidSample(f'data: corrupt image ({len(raw)} bytes)')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
