"""Reads what is left of a damaged MCAP file: cut off, without its index, or with broken chunks.

Record layout: https://mcap.dev/spec. A robot that loses power leaves a file without footer and
index; all its complete chunks are still good.

What a file makes this process keep is bounded by the size of the file, whatever it says: chunks
are decompressed up to a believable size, and messages wait for older ones, names and definitions
are kept, only up to the limits below.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from io import BytesIO
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple
import zlib

from ..untrusted.files import FileRefusal, open_regular
from ..untrusted.text import one_line, reason
from .decompression import bound_rosbags, decompress, RATIO

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
LARGEST_RECORD = 1 << 30
"""Of schemas, channels, messages and chunks, bytes; others are passed over."""
LARGEST_PENDING = 256 << 20
"""Of the messages that wait for older ones of later chunks, bytes."""
AROUND = 200
"""Of the objects around one message, bytes."""
LARGEST_NAMES = 16 << 20
"""Of all schemas and channels, bytes."""
MOST_PROBLEMS = 20
ALWAYS_BYTES, ALWAYS_RECORDS = 1 << 30, 2_000_000
"""What the chunks of any file may become; more only of larger files."""

bound_rosbags()  # whole recordings are read by rosbags, which is as trusting as their writers


class RawMessage(NamedTuple):
    """One undecoded message: log time (ns), topic, interface type and CDR bytes."""

    time: int
    topic: str
    type: str
    data: bytes


class _Cut(Exception):
    """A record reaches beyond the end of its data."""


class _Enough(Exception):
    """The file makes us keep more than a limit; the text says what."""


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
        self._seen: dict[tuple[int, int], bytes] = {}  # the last schema and channel of each id
        self._named = 0
        self._pending: list[tuple[int, int, RawMessage]] = []
        self._waiting = 0
        self._count = 0
        self._unsaid = 0
        self._bytes_left = self._records_left = 0  # what may still come out of the file

    def messages(self) -> Iterator[RawMessage]:
        """Yield every message that can still be read, in log-time order."""
        try:
            with open_regular(self.path) as file:
                size = file.seek(0, 2)
                file.seek(0)
                self._bytes_left = ALWAYS_BYTES + RATIO * size
                self._records_left = ALWAYS_RECORDS + size  # a byte each, however compressed
                yield from self._all(file)
        except FileRefusal as error:
            self._say(reason(error))
        if self._unsaid:
            self.problems.append(f'and {self._unsaid} more')

    def _all(self, file: BinaryIO) -> Iterator[RawMessage]:
        if file.read(len(MAGIC)) != MAGIC:
            self._say(f'{self.path.name} does not start like an MCAP file')
            return
        try:
            yield from self._records(file)
        except _Cut:
            self._say(f'{self.path.name} is cut off at byte {file.tell()}')
        except _Enough as limit:
            self._say(f'{self.path.name}: {limit}; read up to byte {file.tell()}')
        while self._pending:
            yield self._pop()

    def _say(self, text: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(one_line(text))
        else:
            self._unsaid += 1

    def _records(self, file: BinaryIO) -> Iterator[RawMessage]:
        for opcode, body in _split(file):
            if opcode == DATA_END:
                return
            if opcode != CHUNK:
                self._tried(opcode, body, f'record ending at byte {file.tell()}')
                continue
            if len(body) >= 8:  # nothing before this chunk's first message can still come
                yield from self._before(struct.unpack_from('<Q', body)[0])
            self._open_chunk(body, file.tell())

    def _before(self, time: int) -> Iterator[RawMessage]:
        while self._pending and self._pending[0][0] < time:
            yield self._pop()

    def _pop(self) -> RawMessage:
        message = heapq.heappop(self._pending)[2]
        self._waiting -= len(message.data) + AROUND
        return message

    def _open_chunk(self, body: bytes, end: int) -> None:
        place = f'chunk ending at byte {end}'
        try:
            size, crc, name_length = struct.unpack_from('<QII', body, 16)
            compression = one_line(body[32:32 + name_length].decode(errors='replace'), 20)
            data = body[32 + name_length + 8:]
            cut = len(data) < struct.unpack_from('<Q', body, 32 + name_length)[0]
            raw = data if cut and not compression else decompress(data, compression, size)
            if crc and not cut and zlib.crc32(raw) != crc:
                raise ValueError('checksum mismatch')
        except (struct.error, ValueError, MemoryError) as error:
            self._say(f'{self.path.name}: {place} is corrupt ({reason(error, 200)})')
            return
        self._bytes_left -= len(raw)
        if self._bytes_left < 0:
            raise _Enough('the chunks become more than its size makes believable')
        try:
            for opcode, record in _split(BytesIO(raw)):
                if opcode not in (SCHEMA, CHANNEL, MESSAGE):
                    self._say(f'{self.path.name}: {place} is corrupt (record {opcode:#04x})')
                    return
                self._tried(opcode, record, place)
        except _Cut:
            self._say(f'{self.path.name}: {place} is cut off')

    def _tried(self, opcode: int, body: bytes, place: str) -> None:
        try:
            self._take(opcode, body)
        except struct.error as error:  # shorter than its fields
            self._say(f'{self.path.name}: {place} is corrupt ({error})')

    def _take(self, opcode: int, body: bytes) -> None:
        self._records_left -= 1
        if self._records_left < 0:
            raise _Enough('more records than its size makes believable')
        if opcode == MESSAGE:
            self._take_message(body)
            return
        if opcode not in (SCHEMA, CHANNEL):
            return
        (key,) = struct.unpack_from('<H', body)
        if self._seen.get((opcode, key)) == body:
            return  # some writers begin every chunk with all of them
        self._named += len(body)
        if self._named > LARGEST_NAMES:
            raise _Enough(f'more than {LARGEST_NAMES:,} bytes of schemas and channels')
        self._seen[opcode, key] = body
        if opcode == SCHEMA:
            name, encoding, text = _strings(body, 2, 3)
            self._schemas[key] = name
            if encoding == 'ros2msg':
                self.definitions[name] = text
        else:
            (schema,) = struct.unpack_from('<H', body, 2)
            (topic,) = _strings(body, 4, 1)
            self._by_id[key] = (topic, self._schemas.get(schema, ''))
            self.channels[topic] = self._schemas.get(schema, '')

    def _take_message(self, body: bytes) -> None:
        key, _, time = struct.unpack_from('<HIQ', body)
        if key not in self._by_id:
            return
        self._count += 1  # ties keep file order
        message = RawMessage(time, *self._by_id[key], body[22:])
        heapq.heappush(self._pending, (time, self._count, message))
        self._waiting += len(message.data) + AROUND
        if self._waiting > LARGEST_PENDING:
            raise _Enough(f'more than {LARGEST_PENDING:,} bytes of messages wait for older ones')


def _split(data: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Split into records ``(opcode, body)``; a chunk cut short is yielded, then ``_Cut`` raised."""
    start = data.tell()
    end = data.seek(0, 2)
    data.seek(start)
    while header := data.read(9):
        if len(header) < 9:
            raise _Cut
        opcode, length = header[0], struct.unpack_from('<Q', header, 1)[0]
        left = end - data.tell()
        if opcode not in (SCHEMA, CHANNEL, MESSAGE, CHUNK):
            if length > left:
                raise _Cut
            data.seek(length, 1)
            yield opcode, b''
            continue
        if min(length, left) > LARGEST_RECORD:
            raise _Enough(f'a record of {length:,} bytes, expected at most {LARGEST_RECORD:,}')
        body = data.read(min(length, left))  # a broken length may be huge
        if len(body) == length:
            yield opcode, body
            continue
        if opcode == CHUNK:
            yield CHUNK, body
        raise _Cut


def _strings(body: bytes, offset: int, count: int) -> list[str]:
    values = []
    for _ in range(count):
        (length,) = struct.unpack_from('<I', body, offset)
        values.append(body[offset + 4:offset + 4 + length].decode(errors='replace'))
        offset += 4 + length
    return values
