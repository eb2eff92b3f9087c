"""Reading the structure of a PNG without decoding it: its size, and only what a decoder needs."""

from __future__ import annotations

from dataclasses import dataclass

from .observation import InvalidSample

SIGNATURE = b'\x89PNG\r\n\x1a\n'
MAX_CHUNKS = 65536
_NEEDED = (b'IHDR', b'PLTE', b'IDAT', b'IEND')
_ANIMATION = (b'acTL', b'fcTL', b'fdAT')
# Colour type -> (values per pixel, allowed bits of a value).
_COLOURS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)),
            6: (4, (8, 16))}
_DEFLATE = 1032  # the most that a compressed byte can stand for


@dataclass(frozen=True)
class Png:
    """What a PNG holds.

    Attributes:
        width, height: px.
        bits: Bits of one value.
        grey: Whether it has one channel (beside alpha).
        data: The file without ancillary chunks (profiles and texts that unpack to any size) and
            without what follows its end.
    """

    width: int
    height: int
    bits: int
    grey: bool
    data: bytes | memoryview

    @property
    def memory(self) -> int:
        """Bytes OpenCV takes to make 8-bit colour of it: the picture twice."""
        return self.width * self.height * 6


def _header(data: memoryview) -> tuple[int, int, int, int]:
    if bytes(data[8:16]) != b'\0\0\0\x0dIHDR' or len(data) < 33:
        raise InvalidSample('data: PNG without a header')
    width, height = (int.from_bytes(data[at:at + 4], 'big') for at in (16, 20))
    bits, colour = data[24], data[25]
    if colour not in _COLOURS or bits not in _COLOURS[colour][1]:
        raise InvalidSample(f'data: PNG of colour type {colour} with {bits} bits, which there is '
                            'not')
    return width, height, bits, colour


def measure(data: memoryview) -> Png:
    """Size and needed chunks of a PNG.

    Raises:
        InvalidSample: Cut off, without its header, animated, or more pixels than its compressed
            data can hold.
    """
    width, height, bits, colour = _header(data)
    pieces: list[memoryview] = []
    at, compressed, dropped, size = len(SIGNATURE), 0, False, len(data)
    for _ in range(MAX_CHUNKS):
        length, kind = int.from_bytes(data[at:at + 4], 'big'), bytes(data[at + 4:at + 8])
        end = at + 12 + length
        if end > size:
            raise InvalidSample(f'data: truncated PNG ({size} bytes, no IEND)')
        if kind in _ANIMATION:
            raise InvalidSample('data: animated PNG, expected one picture')
        if kind in _NEEDED:
            pieces.append(data[at:end])
            compressed += length if kind == b'IDAT' else 0
        else:
            dropped = True
        at = end
        if kind == b'IEND':
            break
    else:
        raise InvalidSample(f'data: PNG of more than {MAX_CHUNKS} chunks')
    needed = height * (width * _COLOURS[colour][0] * bits // 8)
    if needed > (compressed + 1) * _DEFLATE:
        raise InvalidSample(f'data: PNG of {width} × {height} px in {compressed} compressed bytes, '
                            f'expected at least {needed // _DEFLATE}')
    whole = b''.join((SIGNATURE, *pieces)) if dropped else data[:at]
    return Png(width, height, bits, colour in (0, 4), whole)
