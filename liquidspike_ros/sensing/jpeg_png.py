"""Decoding JPEG and PNG from an untrusted topic: measured before it is unpacked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import jpeg, png
from .observation import InvalidSample

MAX_SIDE = 16384
MAX_MEMORY = 50_000_000  # bytes the decoder may take: 3840 × 2160 px as PNG
# JPEG pictures above this many pixels are decoded at a fraction, as far as the model's size allows.
FULL_PIXELS = 4_000_000
_KNOWN = {  # first bytes, from which byte on -> what it is
    (b'WEBP', 8): 'WebP', (b'ftyp', 4): 'AVIF, HEIC or MP4', (b'GIF8', 0): 'GIF',
    (b'BM', 0): 'BMP', (b'II*\0', 0): 'TIFF', (b'MM\0*', 0): 'TIFF',
    (b'\0\0\0\x0cjP', 0): 'JPEG 2000', (b'\xff\x4f\xff\x51', 0): 'JPEG 2000',
    (b'\xff\x0a', 0): 'JPEG XL', (b'\0\0\0\x0cJXL', 0): 'JPEG XL',
    (b'\0\0\0\x01', 0): 'an H.264 or H.265 stream', (b'\0\0\x01', 0): 'an H.264 or H.265 stream',
    (png.SIGNATURE, 12): 'compressedDepth', (b'\x28\xb5\x2f\xfd', 0): 'Zstandard',
    (b'\x1f\x8b', 0): 'gzip',
}


def _what(data: memoryview) -> str:
    for (start, at), name in _KNOWN.items():
        if bytes(data[at:at + len(start)]) == start:
            return name
    return f'{bytes(data[:4]).hex() or "nothing"} at its start'


def _check_size(width: int, height: int, memory: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidSample(f'data: picture of {width} × {height} px, expected 1 to {MAX_SIDE} a '
                            'side')
    if memory > MAX_MEMORY:
        raise InvalidSample(f'data: picture of {width} × {height} px takes {memory // 10**6} MB '
                            f'to decode, expected at most {MAX_MEMORY // 10**6}: lower the '
                            "camera's resolution")


def _jpeg(data: memoryview, source: str, size: tuple[int, int]) -> tuple[memoryview, int]:
    """What to decode of a JPEG, and at which fraction of its size."""
    found = jpeg.measure(data)
    scale = 1
    if found.width * found.height > FULL_PIXELS:
        while scale < 8 and (found.width >= 2 * scale * size[0]
                             and found.height >= 2 * scale * size[1]):
            scale *= 2
    _check_size(found.width, found.height, found.memory(scale))
    if found.end < found.least_bytes:
        raise InvalidSample(f'data: JPEG of {found.width} × {found.height} px in {found.end} '
                            f'bytes, expected at least {found.least_bytes}')
    _refuse_mosaic(source, found.components == 1)
    return data[:found.end], scale


def _png(data: memoryview, source: str) -> bytes | memoryview:
    found = png.measure(data)
    _check_size(found.width, found.height, found.memory)
    if found.grey and found.bits == 16 and source != 'mono16':
        raise InvalidSample("data: PNG of one 16-bit channel whose format does not say 'mono16': "
                            'a depth image? expected a colour image')
    _refuse_mosaic(source, found.grey)
    return found.data


def _refuse_mosaic(source: str, is_grey: bool) -> None:
    if is_grey and source.startswith('bayer'):
        raise InvalidSample(f'format: a grey picture of {source[:20]}, expected its colours: '
                            'compress after debayering')


def decode(data: NDArray[np.uint8], source: str, size: tuple[int, int]) -> NDArray[Any]:
    """A JPEG or PNG file as uint8 BGR ``[H, W, 3]``.

    Args:
        data: The file; what follows its end is left out.
        source: Encoding of what was compressed, as far as it is known.
        size: Width and height that the picture is for, px; very large JPEGs come at 1/2, 1/4 or
            1/8 of their size, still at least this large.

    Raises:
        InvalidSample: Not such a file, truncated, larger than allowed, corrupt, or depth.
    """
    view, scale = np.ascontiguousarray(data).data, 1
    file: bytes | memoryview
    if bytes(view[:2]) == jpeg.SIGNATURE:
        file, scale = _jpeg(view, source, size)
    elif bytes(view[:8]) == png.SIGNATURE:
        file = _png(view, source)
    else:
        raise InvalidSample(f'data: got {_what(view)}, expected JPEG or PNG')
    import cv2

    # The pixels as they are: a rotation stored by a photo camera means nothing on a robot.
    flags = cv2.IMREAD_IGNORE_ORIENTATION | {
        1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8}[scale]
    try:
        image = cv2.imdecode(np.frombuffer(file, np.uint8), flags)
    except cv2.error as error:
        raise InvalidSample(f'data: {" ".join(str(error).split())[:120]}') from None
    if image is None:
        raise InvalidSample(f'data: corrupt image ({len(file)} bytes)')
    return np.asarray(image)
