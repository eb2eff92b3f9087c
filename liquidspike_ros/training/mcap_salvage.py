"""Reads an MCAP file, whole or damaged: cut off, without its index, or with broken chunks.

Record layout: https://mcap.dev/spec. A robot that loses power leaves a file without footer and
index; all its complete chunks are still good. So the index is never used: the records themselves
say where they end, and chunks when they begin.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from io import BytesIO
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple
from zlib import crc32

from .bag_metadata import parse_qos, RecordedQos
from .decompression import decompress
from .printable import one_line, printable
from .ros1_types import Ros1Types, ros2_name

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F
WINDOW = 32 * 2**20  # bytes within which messages outside of chunks are put in order


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
        self.name = printable(path.name, 100)
        self.channels: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, str]] = {}
        self.qos: dict[str, tuple[RecordedQos, ...]] = {}
        self.problems: list[str] = []
        self._schemas: dict[int, str] = {}
        self._by_id: dict[int, _Channel] = {}
        self._ros1 = Ros1Types()
        self._pending: list[tuple[int, int, RawMessage]] = []
        self._held = 0  # bytes pending
        self._count = 0

    def span(self) -> tuple[int, int] | None:
        """First and last log time, ns, of the chunks or messages; None if there are none."""
        first, last = 2**64, -1
        with self.path.open('rb') as file:
            for opcode, _, start in self._layout(file, 22):
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
        with self.path.open('rb') as file:
            chunks: list[tuple[int, int]] = []
            for opcode, position, start in self._layout(file, 8):
                if opcode == CHUNK:
                    chunks.append((struct.unpack('<Q', start)[0] if len(start) == 8 else 0,
                                   position))
                elif opcode in (SCHEMA, CHANNEL, MESSAGE):
                    self._try_take(opcode, _body(file, position))
                    while self._held > WINDOW:
                        yield self._pop()
            ordered = sorted(chunks)
            if ordered != chunks:  # a chunk may use channels that one before it in the file names
                for _, position in chunks:
                    self._open_chunk(_body(file, position), position, (SCHEMA, CHANNEL))
            for start_time, position in ordered:
                while self._pending and self._pending[0][0] < start_time:
                    yield self._pop()  # nothing that is still to come is earlier
                self._open_chunk(_body(file, position), position, (SCHEMA, CHANNEL, MESSAGE))
        while self._pending:
            yield self._pop()

    def _layout(self, file: BinaryIO, peek: int) -> Iterator[tuple[int, int, bytes]]:
        """Opcode, position and first bytes of each record of the data section.

        A chunk that is cut off is given too: without compression its first part is readable.
        """
        end = file.seek(0, 2)
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            self._note('does not start like an MCAP file')
            return
        position = len(MAGIC)
        while position + 9 <= end:
            file.seek(position)
            opcode, length = struct.unpack('<BQ', file.read(9))
            if opcode == DATA_END:
                return
            whole = position + 9 + length <= end
            if whole or opcode == CHUNK:
                yield opcode, position, file.read(min(peek, length, end - position - 9))
            if not whole:
                break
            position += 9 + length
        self._note(f'is cut off at byte {min(position, end)}')

    def _open_chunk(self, body: bytes, position: int, opcodes: tuple[int, ...]) -> None:
        where = f'chunk ending at byte {position + 9 + len(body)}'
        try:
            size, crc, name_length = struct.unpack_from('<QII', body, 16)
            compression = body[32:32 + name_length].decode()
            data = body[32 + name_length + 8:]
            stored = struct.unpack_from('<Q', body, 32 + name_length)[0]
            cut = len(data) < stored
            if not (cut and not compression):
                data = _expanded(data[:stored], compression, size, crc)
            for opcode, record in _split(BytesIO(data)):
                if opcode in opcodes:
                    self._take(opcode, record)
        except _Cut:
            self._note(f'{where} is cut off')
        except (ValueError, struct.error, UnicodeDecodeError, OverflowError) as error:
            self._note(f'{where} is corrupt ({one_line(error)})')

    def _try_take(self, opcode: int, body: bytes) -> None:
        try:
            self._take(opcode, body)
        except (ValueError, struct.error, UnicodeDecodeError, IndexError) as error:
            self._note(f'a record is corrupt ({one_line(error)})')

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == SCHEMA:
            (key,) = struct.unpack_from('<H', body)
            name, encoding, text = _strings(body, 2, 3)
            self._schemas[key] = name
            self.definitions.setdefault(name, (encoding, text))
        elif opcode == CHANNEL:
            self._take_channel(body)
        elif opcode == MESSAGE:
            key, _, time = struct.unpack_from('<HIQ', body)
            channel = self._by_id.get(key)
            if channel is None:
                return
            data = body[22:]
            if channel.encoding == 'ros1':
                data = self._ros1.to_cdr(data, channel.type,
                                         self.definitions.get(channel.type, ('', ''))[1])
            self._count += 1  # ties keep file order
            self._held += len(data)
            message = RawMessage(time, channel.topic, ros2_name(channel.type), data)
            heapq.heappush(self._pending, (time, self._count, message))

    def _take_channel(self, body: bytes) -> None:
        key, schema = struct.unpack_from('<HH', body)
        if key in self._by_id:
            return
        topic, encoding = _strings(body, 4, 2)
        kind = self._schemas.get(schema, '')
        if encoding not in ('cdr', 'ros1', ''):
            self._note(f'{printable(topic, 100)} is encoded as {printable(encoding, 40)}, '
                       'expected cdr: left out')
            return
        self._by_id[key] = _Channel(topic, kind, encoding)
        self.channels[topic] = ros2_name(kind)
        offset = 12 + len(topic.encode()) + len(encoding.encode())
        end = offset + 4 + struct.unpack_from('<I', body, offset)[0]
        offset += 4
        while offset < min(end, len(body)):
            name, value = _strings(body, offset, 2)
            offset += 8 + len(name.encode()) + len(value.encode())
            if name == 'offered_qos_profiles':
                self.qos[topic] = (*self.qos.get(topic, ()), *parse_qos(value))

    def _pop(self) -> RawMessage:
        message = heapq.heappop(self._pending)[2]
        self._held -= len(message.data)
        return message

    def _note(self, problem: str) -> None:
        line = f'{self.name}: {problem}'
        if line not in self.problems:
            self.problems.append(line)


def _expanded(data: bytes, compression: str, size: int, crc: int) -> bytes:
    """The records of a chunk, checked against the size and checksum it states."""
    raw = decompress(data, compression, size)
    if len(raw) != size:
        raise ValueError(f'got {len(raw)} bytes, expected {size}')
    if crc and crc32(raw) != crc:
        raise ValueError('checksum mismatch')
    return raw


def _body(file: BinaryIO, position: int) -> bytes:
    file.seek(position + 1)
    (length,) = struct.unpack('<Q', file.read(8))
    start = file.tell()
    end = file.seek(0, 2)
    file.seek(start)
    return file.read(min(length, end - start))  # a broken length may be huge


def _split(data: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Split into whole records ``(opcode, body)``; ``_Cut`` where one is not."""
    start = data.tell()
    end = data.seek(0, 2)
    data.seek(start)
    while header := data.read(9):
        if len(header) < 9:
            raise _Cut
        length = struct.unpack_from('<Q', header, 1)[0]
        body = data.read(min(length, end - data.tell()))
        if len(body) < length:
            raise _Cut
        yield header[0], body


def _strings(body: bytes, offset: int, count: int) -> list[str]:
    values = []
    for _ in range(count):
        (length,) = struct.unpack_from('<I', body, offset)
        values.append(body[offset + 4:offset + 4 + length].decode())
        offset += 4 + length
    return values
