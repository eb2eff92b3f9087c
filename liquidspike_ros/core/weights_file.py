"""The header of a safetensors file, checked before a tensor is read.

Layout (https://github.com/huggingface/safetensors#format): eight bytes with the length ``n`` of
the header, ``n`` bytes of JSON that give each tensor's type, shape and place, then the tensors
without gaps. Everything the header promises is compared with the size of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
from typing import Any, BinaryIO

import torch

from ..untrusted.json_text import JsonRefusal, parse_json
from ..untrusted.text import brief, one_line, Refusal

HEADER_LIMIT = 16 << 20
"""Longest header, bytes."""
DIMENSIONS = 8
DTYPES: Mapping[str, torch.dtype] = {
    'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16,
    'I64': torch.int64, 'I32': torch.int32, 'I16': torch.int16, 'I8': torch.int8,
    'U8': torch.uint8, 'BOOL': torch.bool,
}


class WeightsRefusal(Refusal):
    """A file is no safetensors file that could be read; the message says why."""


@dataclass(frozen=True)
class TensorEntry:
    """Type and shape of one tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.numel * self.dtype.itemsize

    def __str__(self) -> str:
        return f'{self.dtype} of shape {one_line(self.shape, 80)}'


@dataclass(frozen=True)
class WeightsHeader:
    """What a safetensors file says that it holds.

    Attributes:
        tensors: By name.
        metadata: Free text by name.
        size: Bytes the whole file should have.
    """

    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str]
    size: int


def read_header(file: BinaryIO, size: int) -> WeightsHeader | None:
    """Read and check the header.

    Args:
        file: At its beginning.
        size: Of the file, bytes.

    Returns:
        The header; None if the file is cut off before the end that the header promises.

    Raises:
        WeightsRefusal: It is none, promises less than is there, or contradicts itself.
    """
    start = file.read(8)
    if len(start) < 8:
        return None
    length = int.from_bytes(start, 'little')
    if length > HEADER_LIMIT:
        if start[:1] == b'\x80' or start[:2] == b'PK':
            raise WeightsRefusal('a pickle, expected safetensors; pickles are never loaded, they '
                                 'can run code')
        raise WeightsRefusal(f'not safetensors (a header of {length:,} bytes, expected at most '
                             f'{HEADER_LIMIT:,})')
    if 8 + length > size:
        return None
    try:
        document = parse_json(file.read(length))
    except JsonRefusal as error:
        raise WeightsRefusal(f'not safetensors (header: {error})') from None
    if not isinstance(document, dict):
        raise WeightsRefusal(f'not safetensors (header: got {type(document).__name__}, expected '
                             f'an object)')
    metadata = document.pop('__metadata__', {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsRefusal('not safetensors (__metadata__: expected text by name)')
    places = [_entry(name, value) for name, value in document.items()]
    end = 8 + length + _end(sorted(places, key=lambda place: place[1:3]))
    if end < size:
        raise WeightsRefusal(f'not safetensors (got {size:,} bytes, expected {end:,} by its '
                             f'header)')
    tensors = {name: entry for name, _, _, entry in places}
    return None if end > size else WeightsHeader(tensors, metadata, end)


Place = tuple[str, int, int, TensorEntry]


def _entry(name: str, value: Any) -> Place:
    fields: dict[str, Any] = value if isinstance(value, dict) else {}
    dtype: Any = fields.get('dtype')
    shape: Any = fields.get('shape')
    place: Any = fields.get('data_offsets')
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _wrong(name, 'dtype', dtype, f'one of {", ".join(DTYPES)}')
    if not _sizes(shape) or len(shape) > DIMENSIONS:
        raise _wrong(name, 'shape', shape, f'at most {DIMENSIONS} whole numbers')
    if not _sizes(place) or len(place) != 2:
        raise _wrong(name, 'data_offsets', place, 'two whole numbers')
    entry = TensorEntry(DTYPES[dtype], tuple(shape))
    if place[1] - place[0] != entry.size:
        raise _wrong(name, 'data_offsets', place, f'{entry.size} bytes for {entry}')
    return name, place[0], place[1], entry


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 1 << 62 for v in value)


def _end(places: list[Place]) -> int:
    """Where the last tensor ends; each begins where the one before it ends."""
    at = 0
    for name, begin, end, _ in places:
        if begin != at:
            raise _wrong(name, 'data_offsets', [begin, end], f'a begin at {at}, without gap or '
                         f'overlap')
        at = end
    return at


def _wrong(name: str, key: str, got: object, expected: str) -> WeightsRefusal:
    return WeightsRefusal(f'not safetensors ({one_line(name, 80)}: {key}: got {brief(got)}, '
                          f'expected {expected})')
