"""Decompressing what recordings hold, never more of it than their size makes believable.

A zstd frame of 30 kB can hold a thousand million zeros. What comes out is therefore counted while
it comes, whatever the recording says of its size, and ends at ``believable(compressed size)``:
a picture of one colour and a chunk of such pictures pass at any ratio, and anything real at any
size.
"""

from __future__ import annotations

import bz2
from pathlib import Path
import shutil
import sys
from typing import Any, BinaryIO

import lz4.frame

from ..untrusted.files import open_regular
from ..untrusted.text import Refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
SPARE_DISK = 512 << 20
"""Left free beside what is expanded on disk, bytes."""
_PIECE = 4 << 20
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
        compression: ``'zstd'``, ``'lz4'``, ``'bz2'``, or ``''`` for data as it is.
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
    except (zstd.ZstdError, RuntimeError, OSError) as error:
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
    if compression == 'bz2':  # of ROS 1
        return bz2.BZ2Decompressor()
    raise DecompressionError(f'compression: got {compression}, expected zstd, lz4 or bz2')


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


def expand_file(source: Path, target: Path) -> None:
    """Expand a zstd file into another file, a piece at a time.

    Raises:
        DecompressionError: As ``BoundedZstdFile.read``, or it would fill the disk.
    """
    free = shutil.disk_usage(target.parent).free - SPARE_DISK
    with open_regular(source) as raw, target.open('wb') as out, BoundedZstdFile(raw) as pieces:
        while piece := pieces.read(_PIECE):
            free -= len(piece)
            if free < 0:
                raise DecompressionError(f'{source.name}: the disk has no room for what it holds')
            out.write(piece)
