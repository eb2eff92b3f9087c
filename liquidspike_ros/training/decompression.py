"""Decompression that never takes more memory than was agreed before it began.

A few bytes of zstd, LZ4 or bzip2 can ask for gigabytes: every compressed part of a recording is
expanded here, piece by piece, and given up as soon as it exceeds its size.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable
from pathlib import Path
import shutil
import sys
from typing import Any, BinaryIO

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
LARGEST_BLOCK = 256 * 2**20  # bytes of one message or chunk: a 4K depth frame is 33 MB
LARGEST_RATIO = 1000  # of a compressed file; pictures without noise reach a few hundred
SPARE_DISK = 512 * 2**20  # bytes left free beside what is expanded
_PIECE = 4 * 2**20

_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    'zstd': zstd.ZstdDecompressor, 'lz4': LZ4FrameDecompressor, 'bz2': bz2.BZ2Decompressor,
}


class DecompressionError(ValueError):
    """Compressed data are broken, or larger than they may be."""


def decompress(data: bytes, compression: str, limit: int = LARGEST_BLOCK) -> bytes:
    """Expand one block, of one frame or several.

    Args:
        data: The compressed bytes; returned as they are if ``compression`` is empty or ``none``.
        compression: ``zstd``, ``lz4``, ``bz2`` or nothing.
        limit: Most bytes it may expand to.

    Raises:
        DecompressionError: Unknown compression, broken data, or more than ``limit`` bytes.
    """
    if compression in ('', 'none'):
        return data
    if compression not in _DECOMPRESSORS:
        raise DecompressionError(f'compression: got {compression[:40]!r}, '
                                 f'expected one of {", ".join(_DECOMPRESSORS)}')
    limit = min(limit, LARGEST_BLOCK)
    pieces, size = [], 0
    try:
        while data:
            one = _DECOMPRESSORS[compression]()
            while not one.eof:
                piece = one.decompress(data, min(_PIECE, limit + 1 - size))
                data = b''
                size += len(piece)
                if size > limit:
                    raise DecompressionError(
                        f'{compression} data expand beyond the {limit} bytes they may have')
                if not piece and one.needs_input and not one.eof:
                    raise DecompressionError(f'{compression} data are cut off')
                pieces.append(piece)
            data = one.unused_data or b''
    except DecompressionError:
        raise
    except Exception as error:  # each decompressor has its own error class
        raise DecompressionError(f'{compression} data are broken ({error})') from None
    return b''.join(pieces)


def expand_file(source: Path, target: Path) -> None:
    """Expand a zstd file into another file, a piece at a time.

    Raises:
        DecompressionError: The data are broken, expand beyond ``LARGEST_RATIO`` times their size,
            or would fill the disk.
    """
    size = source.stat().st_size
    free = shutil.disk_usage(target.parent).free - SPARE_DISK
    limit = min(max(LARGEST_BLOCK, size * LARGEST_RATIO), max(free, 0))
    with source.open('rb') as raw, target.open('wb') as out:
        try:
            _copy(raw, out, limit, source.name)
        except zstd.ZstdError as error:
            raise DecompressionError(f'{source.name}: zstd data are broken ({error})') from None
        except EOFError:
            raise DecompressionError(f'{source.name}: zstd data are cut off') from None


def _copy(raw: BinaryIO, out: BinaryIO, limit: int, name: str) -> None:
    total = 0
    with zstd.open(raw, 'rb') as pieces:
        while piece := pieces.read(_PIECE):
            total += len(piece)
            if total > limit:
                raise DecompressionError(f'{name}: expands beyond {limit} bytes, more than the '
                                         'free disk or any recording allows')
            out.write(piece)
