"""Where the rows of a raw image lie in its data, also where ``step`` says something else."""

from __future__ import annotations

import numpy as np

from .encodings import Array, Encoding
from .observation import InvalidSample

# Buffers that end on a page border carry up to this many bytes after the last row.
MAX_SURPLUS = 65536


def stride(encoding: Encoding, width: int, height: int, step: int, size: int) -> int:
    """Bytes from row to row: ``step`` where the data agree, what the data say without doubt else.

    In order: the data are as ``step`` and ``height`` say (the padding of the last row may be
    missing); rows without padding fill the data exactly; ``step`` counts pixels; some bytes follow
    the last row, too few and too many for any other length of rows.

    Raises:
        InvalidSample: The data fit none of these, or more than one reading.
    """
    row = encoding.row_bytes(width)
    whole = encoding.total(step, height)
    unpadded = whole - (step - row) if not encoding.planes else whole
    if step >= row and size in (whole, unpadded):
        return step
    if size == encoding.total(row, height):
        return row
    pixels = step * encoding.size * encoding.values
    if pixels >= row and size == encoding.total(pixels, height):
        return pixels
    other = size / encoding.total(1, height)  # rows of this length would fill the data as well
    if row <= step and 0 < size - whole < min(whole, MAX_SURPLUS) and other != int(other):
        return step
    raise InvalidSample(
        f'data: got {size} bytes and step {step}, expected step × height = {whole:.0f}, or '
        f'{encoding.total(row, height):.0f} for {width} × {height} px without padding')


def planes(encoding: Encoding, data: Array, width: int, height: int, step: int) -> list[Array]:
    """Views ``[rows, bytes]`` of the planes without their padding; packed encodings have one."""
    found, at = [], 0
    for rows, share in encoding.planes or ((1, 1.0),):
        line, length = round(step * share), round(encoding.row_bytes(width) * share)
        count = height // rows
        found.append(np.ndarray((count, length), np.uint8, data, at, (line, 1)))
        at += line * count
    return found
