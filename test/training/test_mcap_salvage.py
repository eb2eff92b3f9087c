"""A damaged MCAP file gives what is left of it, whatever it says of itself."""

from __future__ import annotations

from pathlib import Path
import re
import struct
import sys
import zlib

from hypothesis import given, HealthCheck, settings, strategies
import lz4.frame
import pytest

from liquidspike_ros.training import mcap_salvage
from liquidspike_ros.training.bags import scan_bag
from liquidspike_ros.training.mcap_salvage import (
    CHANNEL,
    CHUNK,
    DATA_END,
    MAGIC,
    McapSalvage,
    MESSAGE,
    SCHEMA,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def record(opcode: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack('<BQ', opcode, len(body) if length is None else length) + body


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack('<I', len(data)) + data


def schema(key: int = 1, name: str = 'std_msgs/msg/String') -> bytes:
    body = text(name) + text('ros2msg') + text('string data')
    return record(SCHEMA, struct.pack('<H', key) + body)


def channel(key: int = 1, topic: str | bytes = '/chatter', of: int = 1) -> bytes:
    return record(CHANNEL, struct.pack('<HH', key, of) + text(topic) + text('cdr') + text(''))


def message(time: int, data: bytes = b'hello', key: int = 1) -> bytes:
    return record(MESSAGE, struct.pack('<HIQQ', key, 0, time, time) + data)


def chunk(raw: bytes, compression: str = '', *, begin: int = 0, size: int | None = None,
          packed: bytes | None = None, crc: int = 0) -> bytes:
    compress = {'': bytes, 'zstd': zstd.compress, 'lz4': lz4.frame.compress}.get(compression, bytes)
    data = compress(raw) if packed is None else packed
    head = struct.pack('<QQQI', begin, begin, len(raw) if size is None else size, crc)
    return record(CHUNK, head + text(compression) + struct.pack('<Q', len(data)) + data)


def salvaged(path: Path, *records: bytes) -> tuple[list[tuple[int, str, bytes]], list[str]]:
    path.write_bytes(MAGIC + b''.join(records) + record(DATA_END, bytes(4)))
    salvage = McapSalvage(path)
    found = [(m.time, m.topic, m.data) for m in salvage.messages()]
    assert all(len(line) <= 500 and line.isprintable() for line in salvage.problems)
    return found, salvage.problems


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'it.mcap'


@pytest.mark.parametrize('compression', ['', 'zstd', 'lz4'])
def test_messages_of_chunks_come_in_order(path, compression):
    raw, crc = schema() + channel() + message(30) + message(10), zlib.crc32(message(20))
    found, problems = salvaged(path, chunk(raw, compression, begin=10),
                               chunk(message(20), compression, begin=20, crc=crc))
    assert [time for time, _, _ in found] == [10, 20, 30]
    assert found[0] == (10, '/chatter', b'hello')
    assert problems == []


@pytest.mark.parametrize(('bad', 'said'), [
    (chunk(message(5), crc=7), 'corrupt .checksum mismatch'),
    (chunk(message(5), size=1 << 62), 'expected 4,611,686,018,427,387,904'),
    (chunk(message(5), 'zstd', size=1 << 62), 'said to become 4,611,686,018,427,387,904'),
    (chunk(message(5), 'lz4', size=1 << 40), 'said to become'),
    (chunk(b'', 'zstd', size=1000, packed=zstd.compress(bytes(1 << 28))), 'becomes more than'),
    (chunk(b'', 'zstd', size=1 << 28, packed=zstd.compress(bytes(1 << 28))), 'said to become'),
    (chunk(message(5), 'zstd', packed=b'nonsense'), 'corrupt .not zstd'),
    (chunk(message(5), 'bz2'), 'not bz2'),
    (chunk(message(5), '\x1b[2J'), r'compression: got \\x1b\[2J'),
    (record(CHUNK, b'short'), 'is corrupt'),
    (record(MESSAGE, b'short'), 'record ending at byte .* is corrupt'),
    (record(SCHEMA, b'\x02\x00\xff\xff\xff\xff'), 'is corrupt'),
    (chunk(record(CHANNEL, b'\x01')), 'is corrupt'),
    (chunk(message(5)[:-3]), 'is cut off'),
    (chunk(bytes(10_000_000), 'zstd'), 'corrupt .record 0x00'),
    (chunk(chunk(message(5))), 'corrupt .record 0x06'),
    (chunk(record(MESSAGE, b'', length=1 << 62)), 'is cut off'),
])
def test_one_bad_record_costs_only_itself(path, bad, said):
    good = schema() + channel()
    found, problems = salvaged(path, good, chunk(message(1)), bad, chunk(message(9), begin=9))
    assert {1, 9} <= {time for time, _, _ in found}
    (line,) = problems
    assert re.search(said, line)


def test_a_chunk_in_a_chunk_is_not_opened(path):
    inner = chunk(bytes(1 << 20), 'zstd')
    for _ in range(20):
        inner = chunk(inner, 'zstd')
    found, problems = salvaged(path, schema(), channel(), inner, chunk(message(1)))
    assert [time for time, _, _ in found] == [1]
    assert 'is corrupt (record 0x06)' in problems[0]


def test_many_small_bombs_are_one_large_one(path, monkeypatch):
    monkeypatch.setattr(mcap_salvage, 'ALWAYS_BYTES', 1 << 26)
    bomb = chunk(b'', 'zstd', size=1 << 24, packed=zstd.compress(bytes(1 << 24)))
    _, problems = salvaged(path, *[bomb] * 1000)
    assert 'the chunks become more than its size makes believable' in problems[-1]


def test_endless_records_are_too_many_for_the_size_of_the_file(path, monkeypatch):
    monkeypatch.setattr(mcap_salvage, 'ALWAYS_RECORDS', 1000)
    found, problems = salvaged(path, chunk(schema() + channel() + message(1) * 5000, 'zstd'))
    assert 1000 < len(found) < 2000
    assert 'more records than its size makes believable' in problems[0]


def test_messages_that_wait_are_bounded(path, monkeypatch):
    monkeypatch.setattr(mcap_salvage, 'LARGEST_PENDING', 10_000)
    found, problems = salvaged(path, schema(), channel(),
                               *[chunk(message(1 << 40, bytes(1000))) for _ in range(50)])
    assert 5 <= len(found) <= 10
    assert 'more than 10,000 bytes of messages wait for older ones' in problems[0]


def test_names_are_bounded_and_those_repeated_in_every_chunk_count_once(path, monkeypatch):
    monkeypatch.setattr(mcap_salvage, 'LARGEST_NAMES', 10_000)
    again = [chunk(schema() + channel() + message(i), begin=i) for i in range(500)]
    found, problems = salvaged(path, *again)
    assert len(found) == 500
    assert problems == []
    _, problems = salvaged(path, *[channel(i, f'/topic_{i}' * 10) for i in range(500)])
    assert 'more than 10,000 bytes of schemas and channels' in problems[0]


def test_problems_are_counted_not_piled_up(path):
    _, problems = salvaged(path, *[chunk(message(5), crc=7)] * 100)
    assert len(problems) == mcap_salvage.MOST_PROBLEMS + 1
    assert problems[-1] == 'and 80 more'


def test_names_that_are_no_text_do_not_end_it(path):
    found, _ = salvaged(path, schema(), channel(topic=b'/\xff\xfe\x1b[2J'), message(1))
    assert [time for time, _, _ in found] == [1]


def test_attachments_are_passed_over_unread(path):
    path.write_bytes(MAGIC + schema() + channel() + record(0x09, b'', length=1 << 40))
    with path.open('r+b') as file:
        end = file.seek(0, 2)
        file.truncate(end + (1 << 40))
        file.seek(end + (1 << 40))
        file.write(message(7))
    assert [m.time for m in McapSalvage(path).messages()] == [7]


def test_a_record_larger_than_any_real_one_is_not_read(path):
    path.write_bytes(MAGIC + schema() + channel() + message(1) + record(MESSAGE, b'', 1 << 40))
    with path.open('r+b') as file:
        file.truncate(1 << 41)
    salvage = McapSalvage(path)
    assert [m.time for m in salvage.messages()] == [1]
    assert 'a record of 1,099,511,627,776 bytes' in salvage.problems[0]


def test_what_is_no_file_is_refused_without_waiting(not_a_file):
    salvage = McapSalvage(not_a_file)
    assert list(salvage.messages()) == []
    assert len(salvage.problems) == 1


GOOD = (MAGIC + schema() + channel() + chunk(message(1) + message(2), 'zstd')
        + chunk(message(3), 'lz4', begin=3) + record(0x0F, b'\0' * 4))


@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=strategies.integers(0, len(GOOD)), removed=strategies.integers(0, 20),
       added=strategies.binary(max_size=12))
def test_any_change_of_a_file_is_survived(path, place, removed, added):
    path.write_bytes(GOOD[:place] + added + GOOD[place + removed:])
    salvage = McapSalvage(path)
    assert len(list(salvage.messages())) <= 10
    assert all(len(line) <= 500 and line.isprintable() for line in salvage.problems)


def test_a_bomb_is_one_line_of_the_report(path):
    bomb = chunk(b'', 'zstd', size=1 << 28, packed=zstd.compress(bytes(1 << 28)))
    path.write_bytes(MAGIC + schema() + channel() + chunk(message(1)) + bomb)
    report = scan_bag(path)
    assert report.topics['/chatter'].count == 1
    assert 'said to become 268,435,456' in report.line
