"""Reads what is left of a damaged MCAP file: cut off, without its index, or with broken chunks.

Record layout: https://mcap.dev/spec. A robot that loses power leaves a file without footer and
index; all its complete chunks are still good.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from io import BytesIO
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple

from rosbags.rosbag2.storage_mcap import decompress

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


class RawMessage(NamedTuple):
    """One undecoded message: log time (ns), topic, interface type and CDR bytes."""

    time: int
    topic: str
    type: str
    data: bytes


class _Cut(Exception):
    """A record reaches beyond the end of its data."""


class McapSalvage:
    """A damaged MCAP file, read from the front without its index.

    Attributes:
        channels: Interface type by topic, as far as read.
        definitions: Message definition text (format ``ros2msg``) by interface type.
        problems: What had to be given up, one line each; complete after ``messages`` ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channels: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self.problems: list[str] = []
        self._schemas: dict[int, str] = {}
        self._by_id: dict[int, tuple[str, str]] = {}
        self._pending: list[tuple[int, int, RawMessage]] = []
        self._count = 0

    def messages(self) -> Iterator[RawMessage]:
        """Yield every message that can still be read, in log-time order."""
        with self.path.open('rb') as file:
            if file.read(len(MAGIC)) != MAGIC:
                self.problems.append(f'{self.path.name} does not start like an MCAP file')
                return
            try:
                yield from self._records(file)
            except _Cut:
                self.problems.append(f'{self.path.name} is cut off at byte {file.tell()}')
        while self._pending:
            yield heapq.heappop(self._pending)[2]

    def _records(self, file: BinaryIO) -> Iterator[RawMessage]:
        for opcode, body in _split(file):
            if opcode == DATA_END:
                return
            if opcode != CHUNK:
                self._take(opcode, body)
                continue
            if len(body) >= 8:  # nothing before this chunk's first message can still come
                yield from self._before(struct.unpack_from('<Q', body)[0])
            self._open_chunk(body, file.tell())

    def _before(self, time: int) -> Iterator[RawMessage]:
        while self._pending and self._pending[0][0] < time:
            yield heapq.heappop(self._pending)[2]

    def _open_chunk(self, body: bytes, end: int) -> None:
        try:
            size, crc, name_length = struct.unpack_from('<QII', body, 16)
            compression = body[32:32 + name_length].decode()
            data = body[32 + name_length + 8:]
            cut = len(data) < struct.unpack_from('<Q', body, 32 + name_length)[0]
            raw = data if cut and not compression else decompress(data, compression, size, crc)
            for opcode, record in _split(BytesIO(raw)):
                self._take(opcode, record)
        except _Cut:
            self.problems.append(f'{self.path.name}: chunk ending at byte {end} is cut off')
        except Exception as error:  # each decompressor has its own error class
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.problems.append(
                f'{self.path.name}: chunk ending at byte {end} is corrupt ({reason})')

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == SCHEMA:
            (key,) = struct.unpack_from('<H', body)
            name, encoding, text = _strings(body, 2, 3)
            self._schemas[key] = name
            if encoding == 'ros2msg':
                self.definitions[name] = text
        elif opcode == CHANNEL:
            key, schema = struct.unpack_from('<HH', body)
            (topic,) = _strings(body, 4, 1)
            self._by_id[key] = (topic, self._schemas.get(schema, ''))
            self.channels[topic] = self._schemas.get(schema, '')
        elif opcode == MESSAGE:
            key, _, time = struct.unpack_from('<HIQ', body)
            if key in self._by_id:
                self._count += 1  # ties keep file order
                message = RawMessage(time, *self._by_id[key], body[22:])
                heapq.heappush(self._pending, (time, self._count, message))


def _split(data: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Split into records ``(opcode, body)``; a chunk cut short is yielded, then ``_Cut`` raised."""
    start = data.tell()
    end = data.seek(0, 2)
    data.seek(start)
    while header := data.read(9):
        if len(header) < 9:
            raise _Cut
        length = struct.unpack_from('<Q', header, 1)[0]
        body = data.read(min(length, end - data.tell()))  # a broken length may be huge
        if len(body) == length:
            yield header[0], body
            continue
        if header[0] == CHUNK:
            yield CHUNK, body
        raise _Cut


def _strings(body: bytes, offset: int, count: int) -> list[str]:
    values = []
    for _ in range(count):
        (length,) = struct.unpack_from('<I', body, offset)
        values.append(body[offset + 4:offset + 4 + length].decode())
        offset += 4 + length
    return values
