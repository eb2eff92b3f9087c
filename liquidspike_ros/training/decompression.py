"""Decompressing what recordings hold, never more of it than their size makes believable.

A zstd frame of 30 kB can hold a thousand million zeros. What comes out is therefore counted while
it comes, whatever the recording says of its size, and ends at ``believable(compressed size)``:
a picture of one colour and a chunk of such pictures pass at any ratio, and anything real at any
size.

rosbags decompresses without a bound; ``bound_rosbags`` puts these functions in the places where it
does so.
"""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

import lz4.frame
from rosbags.rosbag2 import reader, storage_mcap

from ..untrusted.text import Refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ALWAYS = 32 << 20
"""What any compressed piece may become, bytes."""
RATIO = 200
"""How many times its size a larger piece may become; lz4 reaches 255, recordings 2 to 20."""
LARGEST = 1 << 30
"""What one piece in memory may become, bytes."""


class DecompressionError(Refusal):
    """Compressed data is damaged, cut off, or becomes more than its size makes believable."""


def believable(compressed: int, largest: int = LARGEST) -> int:
    """What ``compressed`` bytes may become at most, bytes."""
    return min(max(ALWAYS, RATIO * compressed), largest)


def decompress(data: bytes, compression: str, size: int | None = None) -> bytes:
    """All that a piece of a recording decompresses to.

    Args:
        data: One or several whole frames.
        compression: ``'zstd'``, ``'lz4'``, or ``''`` for data as it is.
        size: What it should become, bytes; unknown if None.

    Raises:
        DecompressionError: It is damaged or cut off, becomes another size, or more than is
            believable.
    """
    if not compression:
        return _of_size(data, size)
    most = believable(len(data))
    if size is not None and size > most:
        raise DecompressionError(f'{len(data):,} bytes said to become {size:,}, expected at most '
                                 f'{most:,}')
    most = most if size is None else size
    pieces: list[bytes] = []
    rest = bytes(data)
    try:
        while rest:
            decompressor = _decompressor(compression, most)
            most = _unpack(decompressor, rest, most, pieces)
            rest = decompressor.unused_data or b''
    except (zstd.ZstdError, RuntimeError) as error:
        raise DecompressionError(f'not {compression} ({error})') from None
    return _of_size(b''.join(pieces), size)


def _unpack(decompressor: Any, data: bytes, most: int, pieces: list[bytes]) -> int:
    """Add one frame to ``pieces``; returns how much may still come."""
    while True:
        piece = decompressor.decompress(data, max_length=most + 1)
        pieces.append(piece)
        most -= len(piece)
        if most < 0:
            raise DecompressionError('compressed data becomes more than its size makes believable')
        if decompressor.eof:
            return most
        if decompressor.needs_input or not (piece or data):
            raise DecompressionError('compressed data is cut off')
        data = b''


def _of_size(data: bytes, size: int | None) -> bytes:
    if size is not None and len(data) != size:
        raise DecompressionError(f'got {len(data):,} bytes, expected {size:,}')
    return data


def _decompressor(compression: str, most: int) -> Any:
    if compression == 'zstd':
        # The window a frame asks for is memory as well, taken before anything comes out.
        window = min(max(most - 1, ALWAYS - 1).bit_length(), 27)
        return zstd.ZstdDecompressor(options={
            zstd.DecompressionParameter.window_log_max: window})
    if compression == 'lz4':
        return lz4.frame.LZ4FrameDecompressor()
    raise DecompressionError(f'compression: got {compression}, expected zstd or lz4')


class BoundedZstdFile:
    """A zstd file read from the front, up to what its size makes believable.

    Args:
        file: The compressed file, open.

    Raises:
        DecompressionError: From ``read``, when more comes out.
    """

    def __init__(self, file: BinaryIO) -> None:
        place = file.tell()
        self.left = believable(file.seek(0, 2) - place, largest=1 << 62)
        file.seek(place)
        self._file = zstd.open(file, 'rb')

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes more."""
        asked = self.left + 1 if size < 0 else min(size, self.left + 1)
        try:
            data: bytes = self._file.read(asked)
        except (zstd.ZstdError, EOFError) as error:
            raise DecompressionError(f'not zstd ({error})') from None
        self.left -= len(data)
        if self.left < 0:
            raise DecompressionError('a compressed file becomes more than its size makes '
                                     'believable')
        return data

    def __enter__(self) -> BoundedZstdFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class _BoundedZstd:
    """What rosbags takes from the module ``zstd`` to read recordings."""

    @staticmethod
    def decompress(data: bytes) -> bytes:
        """One message."""
        return decompress(data, 'zstd')

    @staticmethod
    def open(file: BinaryIO, mode: str = 'rb') -> BoundedZstdFile:
        """One storage file."""
        return BoundedZstdFile(file)


def bound_rosbags() -> None:
    """Make rosbags decompress chunks, messages and files with the functions of this module."""
    table: dict[str, Any] = storage_mcap.DECOMPRESSORS
    for name in ('zstd', 'lz4'):
        table[name] = lambda data, size, name=name: decompress(data, name, size)
    reader.zstd = _BoundedZstd  # type: ignore[assignment]
