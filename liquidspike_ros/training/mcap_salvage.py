"""Reads an MCAP file, whole or damaged: cut off, without its index, or with broken chunks.

Record layout: https://mcap.dev/spec. A robot that loses power leaves a file without footer and
index; all its complete chunks are still good. So the index is never used: the records themselves
say where they end, and chunks when they begin.

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
from .bag_metadata import parse_qos, RecordedQos
from .decompression import decompress, RATIO
from .ros1_types import Ros1Types, ros2_name

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
CUT = 0  # no opcode of the format
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
WINDOW = 32 << 20
"""Within which messages outside of chunks are put in order, bytes."""


class RawMessage(NamedTuple):
    """One undecoded message: log time (ns), topic, interface type and CDR bytes."""

    time: int
    topic: str
    type: str
    data: bytes


class _Channel(NamedTuple):
    topic: str
    type: str
    encoding: str


class _Cut(Exception):
    """A record reaches beyond the end of its data."""


class _Enough(Exception):
    """The file makes us keep more than a limit; the text says what."""


class McapSalvage:
    """An MCAP file, read without its index.

    Attributes:
        channels: Interface type by topic, as far as read.
        definitions: ``(encoding, text)`` by interface type.
        qos: Offered profiles by topic.
        problems: What had to be given up, one line each; complete after ``messages`` ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channels: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, str]] = {}
        self.qos: dict[str, tuple[RecordedQos, ...]] = {}
        self.problems: list[str] = []
        self._schemas: dict[int, str] = {}
        self._by_id: dict[int, _Channel] = {}
        self._ros1 = Ros1Types()
        self._seen: dict[tuple[int, int], bytes] = {}  # the last schema and channel of each id
        self._named = 0
        self._pending: list[tuple[int, int, RawMessage]] = []
        self._waiting = 0
        self._count = 0
        self._unsaid = 0
        self._bytes_left = self._records_left = 0  # what may still come out of the file

    def span(self) -> tuple[int, int] | None:
        """First and last log time, ns, of the chunks or messages; None if there are none."""
        first, last = 2**64, -1
        with open_regular(self.path) as file:
            for opcode, _, start in _layout(file, 22):
                if opcode == CHUNK and len(start) >= 16:
                    times = struct.unpack_from('<QQ', start)
                elif opcode == MESSAGE and len(start) >= 14:
                    times = struct.unpack_from('<Q', start, 6) * 2
                else:
                    continue
                first, last = min(first, times[0]), max(last, times[1])
        return (first, last) if last >= 0 else None

    def messages(self) -> Iterator[RawMessage]:
        """Yield every message that can be read, in log-time order."""
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
        chunks: list[tuple[int, int]] = []
        cut = None
        for opcode, position, start in _layout(file, 8):
            if opcode == CUT:
                cut = position
            elif opcode == CHUNK:
                chunks.append((struct.unpack('<Q', start)[0] if len(start) == 8 else 0, position))
            else:
                body = _body(file, position)
                self._tried(opcode, body, f'record ending at byte {file.tell()}')
                while self._waiting > WINDOW:
                    yield self._pop()
        ordered = sorted(chunks)
        if ordered != chunks:  # a chunk may use channels that one before it in the file names
            for _, position in chunks:
                self._open_chunk(_body(file, position), file.tell(), (SCHEMA, CHANNEL))
        for begin, position in ordered:
            while self._pending and self._pending[0][0] < begin:
                yield self._pop()  # nothing that is still to come is earlier
            self._open_chunk(_body(file, position), file.tell(), (SCHEMA, CHANNEL, MESSAGE))
        if cut is not None:
            file.seek(cut)
            raise _Cut

    def _pop(self) -> RawMessage:
        message = heapq.heappop(self._pending)[2]
        self._waiting -= len(message.data) + AROUND
        return message

    def _open_chunk(self, body: bytes, end: int, wanted: tuple[int, ...]) -> None:
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
                if opcode in wanted:
                    self._tried(opcode, record, place)
        except _Cut:
            self._say(f'{self.path.name}: {place} is cut off')

    def _tried(self, opcode: int, body: bytes, place: str) -> None:
        try:
            self._take(opcode, body)
        except (struct.error, ValueError) as error:  # shorter than its fields, no ROS 1 message
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
            self.definitions.setdefault(ros2_name(name), (encoding.replace('ros1', 'ros2'), text))
        else:
            self._take_channel(key, body)

    def _take_channel(self, key: int, body: bytes) -> None:
        (schema,) = struct.unpack_from('<H', body, 2)
        topic, encoding = _strings(body, 4, 2)
        kind = ros2_name(self._schemas.get(schema, ''))
        if encoding not in ('cdr', 'ros1', ''):
            self._say(f'{self.path.name}: {one_line(topic, 100)} is encoded as '
                      f'{one_line(encoding, 40)}, expected cdr: left out')
            return
        self._by_id[key] = _Channel(topic, kind, encoding)
        self.channels[topic] = kind
        offset = 4
        for _ in range(2):
            offset += 4 + struct.unpack_from('<I', body, offset)[0]
        end = min(offset + 4 + struct.unpack_from('<I', body, offset)[0], len(body))
        offset += 4
        while offset < end:
            name, value = _strings(body, offset, 2)
            for _ in range(2):
                offset += 4 + struct.unpack_from('<I', body, offset)[0]
            if name == 'offered_qos_profiles':
                self.qos[topic] = (*self.qos.get(topic, ()), *parse_qos(value))

    def _take_message(self, body: bytes) -> None:
        key, _, time = struct.unpack_from('<HIQ', body)
        channel = self._by_id.get(key)
        if channel is None:
            return
        data = body[22:]
        if channel.encoding == 'ros1':
            data = self._ros1.to_cdr(data, channel.type,
                                     self.definitions.get(channel.type, ('', ''))[1])
        self._count += 1  # ties keep file order
        message = RawMessage(time, channel.topic, channel.type, data)
        heapq.heappush(self._pending, (time, self._count, message))
        self._waiting += len(message.data) + AROUND
        if self._waiting > LARGEST_PENDING:
            raise _Enough(f'more than {LARGEST_PENDING:,} bytes of messages wait for older ones')


def _layout(file: BinaryIO, peek: int) -> Iterator[tuple[int, int, bytes]]:
    """Opcode, position and first bytes of each record that counts; ``CUT`` where one is not whole.

    A chunk that is cut off is given too: without compression its first part is readable.
    """
    end = file.seek(0, 2)
    position = len(MAGIC)
    while position + 9 <= end:
        file.seek(position)
        opcode, length = struct.unpack('<BQ', file.read(9))
        if opcode == DATA_END:
            return
        whole = position + 9 + length <= end
        if opcode == CHUNK or (whole and opcode in (SCHEMA, CHANNEL, MESSAGE)):
            yield opcode, position, file.read(min(peek, length, end - position - 9))
        if not whole:
            break
        position += 9 + length
    yield CUT, end, b''


def _body(file: BinaryIO, position: int) -> bytes:
    """The body of the record at a position; leaves the file at its end."""
    file.seek(position + 1)
    (length,) = struct.unpack('<Q', file.read(8))
    start = file.tell()
    left = file.seek(0, 2) - start
    file.seek(start)
    if min(length, left) > LARGEST_RECORD:
        raise _Enough(f'a record of {length:,} bytes, expected at most {LARGEST_RECORD:,}')
    return file.read(min(length, left))  # a broken length may be huge


def _split(data: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Split a chunk into records ``(opcode, body)``; ``_Cut`` where one is not whole."""
    start = data.tell()
    end = data.seek(0, 2)
    data.seek(start)
    while header := data.read(9):
        if len(header) < 9:
            raise _Cut
        opcode, length = header[0], struct.unpack_from('<Q', header, 1)[0]
        if length > end - data.tell():
            raise _Cut
        yield opcode, data.read(length)


def _strings(body: bytes, offset: int, count: int) -> list[str]:
    values = []
    for _ in range(count):
        (length,) = struct.unpack_from('<I', body, offset)
        values.append(body[offset + 4:offset + 4 + length].decode(errors='replace'))
        offset += 4 + length
    return values
