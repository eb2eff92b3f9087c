"""FAULTS.md rows 17, 32, 35: nothing in a storage file takes more than its share, or is obeyed."""

from __future__ import annotations

import os
from pathlib import Path
import sqlite3
import struct
from typing import Any
import zlib

import pytest

from liquidspike_ros.training import decompression
from liquidspike_ros.training.bags import find_bags, scan_bag
from liquidspike_ros.training.decompression import zstd
from liquidspike_ros.training.storage import Storage, storage_files


def read(path: Path) -> tuple[list[Any], Storage]:
    with Storage(path) as storage:
        return list(storage.messages()), storage


def record(opcode: int, body: bytes) -> bytes:
    return struct.pack('<BQ', opcode, len(body)) + body


def text(value: str) -> bytes:
    return struct.pack('<I', len(value)) + value.encode()


def channel(topic: str = '/x', encoding: str = 'cdr', key: int = 1) -> bytes:
    schema = struct.pack('<H', key) + text('std_msgs/msg/String') + text('ros2msg') + text('')
    return record(3, schema) + record(4, struct.pack('<HH', key, key) + text(topic)
                                      + text(encoding) + struct.pack('<I', 0))


def message(time: int, data: bytes = b'\0\1\0\0', key: int = 1) -> bytes:
    return record(5, struct.pack('<HIQQ', key, 0, time, time) + data)


def chunk(records: bytes, start: int, compression: str = '', size: int | None = None) -> bytes:
    data = zstd.compress(records) if compression == 'zstd' else records
    return record(6, struct.pack('<QQQI', start, start, len(records) if size is None else size, 0)
                  + text(compression) + struct.pack('<Q', len(data)) + data)


def mcap(path: Path, *records: bytes, end: bool = True) -> Path:
    magic = b'\x89MCAP0\r\n'
    path.write_bytes(magic + record(1, text('ros2') + text('')) + b''.join(records)
                     + (record(15, struct.pack('<I', 0)) + magic if end else b''))
    return path


def test_chunks_are_read_in_time_order_whatever_their_order_in_the_file(tmp_path):
    path = mcap(tmp_path / 'a.mcap',
                chunk(channel() + message(30) + message(50), 30),
                chunk(message(10) + message(40), 10), chunk(message(20), 20, 'zstd'))
    messages, storage = read(path)
    assert [m.time for m in messages] == [10, 20, 30, 40, 50]
    assert storage.damage == []


def test_messages_outside_of_chunks_are_put_in_order(tmp_path):
    path = mcap(tmp_path / 'a.mcap', channel(), *(message(t) for t in (3, 1, 2, 5, 4)))
    assert [m.time for m in read(path)[0]] == [1, 2, 3, 4, 5]


def test_a_file_that_just_ends_is_cut_off(tmp_path):
    messages, storage = read(mcap(tmp_path / 'a.mcap', channel(), message(1), end=False))
    assert len(messages) == 1
    assert 'cut off' in storage.damage[0]


def test_other_encodings_are_left_out_by_name(tmp_path):
    path = mcap(tmp_path / 'a.mcap', channel('/json', 'json', 1), channel('/good', 'cdr', 2),
                message(1, key=1), message(2, key=2))
    messages, storage = read(path)
    assert [m.topic for m in messages] == ['/good']
    assert '/json is encoded as json, expected cdr' in storage.damage[0]


@pytest.mark.parametrize('size', [None, 100, 2**62])
def test_a_chunk_that_expands_without_end_is_given_up(tmp_path, monkeypatch, size):
    monkeypatch.setattr(decompression, 'ALWAYS', 1 << 20)
    monkeypatch.setattr(decompression, 'RATIO', 2)
    path = mcap(tmp_path / 'a.mcap', channel(), chunk(bytes(50_000_000), 1, 'zstd', size),
                chunk(message(5), 5))
    messages, storage = read(path)
    assert [m.time for m in messages] == [5]
    assert 'is corrupt' in storage.damage[0]


def test_a_message_that_expands_without_end_is_given_up(make_bag, monkeypatch):
    bag = make_bag(storage='sqlite3', seconds=1)
    monkeypatch.setattr(decompression, 'ALWAYS', 1 << 20)
    monkeypatch.setattr(decompression, 'RATIO', 2)
    with sqlite3.connect(bag / 'bag.db3') as connection:
        connection.execute('UPDATE messages SET data = ? WHERE id = 5',
                           (zstd.compress(bytes(50_000_000)),))
    messages, storage = read(bag)
    assert len(messages) == 149
    assert 'a message on /' in storage.damage[0]


def test_a_file_that_expands_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(decompression, 'ALWAYS', 1 << 20)
    monkeypatch.setattr(decompression, 'RATIO', 2)
    path = tmp_path / 'a.mcap.zstd'
    path.write_bytes(zstd.compress(bytes(50_000_000)))
    messages, storage = read(path)
    assert messages == []
    assert 'more than its size makes believable' in storage.damage[0]


ENDLESS = ('CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 '
           'FROM n) SELECT id, 1 AS topic_id, id AS timestamp, zeroblob(1000000) AS data FROM n')
COMPUTED = ('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, '
            'data BLOB GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL)')


@pytest.mark.parametrize(('sql', 'words'), [(ENDLESS, 'messages is view, expected a table'),
                                            (COMPUTED, 'messages has computed columns')])
def test_rows_that_are_computed_are_refused(make_bag, sql, words):
    bag = make_bag(storage='sqlite3', seconds=0.2)
    with sqlite3.connect(bag / 'bag.db3') as connection:
        connection.execute('DROP TABLE messages')
        connection.execute(sql)
        if 'VIEW' not in sql:
            connection.execute('INSERT INTO messages(topic_id, timestamp) VALUES(1, 1)')
    report = scan_bag(bag)
    assert not report.usable
    assert words in report.line


def test_a_name_cannot_command_a_terminal(tmp_path):
    path = mcap(tmp_path / 'a.mcap', channel('/\x1b[2J\x1b]0;owned\x07', 'json\x1b[1m'),
                message(1))
    report = scan_bag(path)
    assert '\x1b' not in report.line
    assert '\\x1b' in report.line
    assert report.line.isprintable()


@pytest.mark.parametrize('kind', ['fifo', 'folder', 'dangling', 'device'])
@pytest.mark.parametrize('inside', [True, False])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, inside):
    folder = tmp_path / 'bag'
    folder.mkdir()
    path = folder / 'bag_0.mcap'
    if kind == 'fifo':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    else:
        path.symlink_to('/dev/zero' if kind == 'device' else tmp_path / 'nowhere')
    report = scan_bag(folder if inside else path)
    assert not report.usable
    assert 'expected a rosbag2 folder' in report.line


def test_names_that_a_url_would_understand_are_names(make_bag, tmp_path):
    bag = make_bag(storage='sqlite3', seconds=0.2).rename(tmp_path / 'a%20b?mode=rw#x')
    assert len(read(bag)[0]) == len(read(make_bag('plain', seconds=0.2))[0])


def test_expanded_files_stand_for_their_compressed_ones(make_bag):
    bag = make_bag(seconds=0.2, compressed='file')
    packed = bag / 'bag.mcap.zstd'
    expected = len(read(bag)[0])
    (bag / 'bag.mcap').write_bytes(zstd.decompress(packed.read_bytes()))
    assert storage_files(bag) == [bag / 'bag.mcap']
    messages, storage = read(bag)
    assert len(messages) == expected
    assert storage.problems == []


def test_a_file_the_metadata_does_not_name_is_not_read_twice(make_bag):
    bag = make_bag(seconds=0.2)
    (bag / 'copy.mcap').write_bytes((bag / 'bag.mcap').read_bytes())
    messages, storage = read(bag)
    assert len(messages) == len(read(make_bag('other', seconds=0.2))[0])
    assert storage.problems == ['copy.mcap is not named in metadata.yaml: left out']


@pytest.mark.parametrize('content', [
    b'', b'{', b'\xff\xfe\x00', b'[' * 100_000, b'- ' * 100_000, b'rosbag2_bagfile_information: 3',
    b'rosbag2_bagfile_information: {relative_file_paths: {a: 1}, topics_with_message_count: 7}',
    b'rosbag2_bagfile_information: {relative_file_paths: [[1], null], message_count: x}',
    b'a: &a [x, x]\nb: &b [*a, *a]\nrosbag2_bagfile_information: *b'])
def test_metadata_of_any_kind_prevents_nothing(make_bag, content):
    bag = make_bag(seconds=0.2)
    expected = len(read(bag)[0])
    (bag / 'metadata.yaml').write_bytes(content)
    messages, storage = read(bag)
    assert len(messages) == expected
    assert all(len(problem) < 400 for problem in storage.problems)


def test_fewer_messages_than_promised_are_told(make_bag):
    bag = make_bag(storage='sqlite3', seconds=1)
    with sqlite3.connect(bag / 'bag.db3') as connection:
        connection.execute('DELETE FROM messages WHERE id > 100')
    assert 'metadata.yaml promises 150 messages, 100 could be read' in scan_bag(bag).line


def test_folders_find_compressed_and_old_recordings(make_bag, tmp_path):
    folder = tmp_path / 'all'
    folder.mkdir()
    make_bag('all/new', seconds=0.2, compressed='file')
    (folder / 'all_1.bag').write_bytes(b'#ROSBAG V2.0\n')
    (folder / 'all_2.bag').write_bytes(b'#ROSBAG V2.0\n')
    assert find_bags([folder]) == [folder / 'all_1.bag', folder / 'all_2.bag', folder / 'new']
    (folder / 'new' / 'metadata.yaml').unlink()
    assert find_bags([folder / 'new'])[0].name.startswith('new')


def test_checksums_are_kept(tmp_path):
    body = message(5)
    good = chunk(channel() + message(1), 1)
    wrong = bytearray(chunk(body, 5))
    struct.pack_into('<I', wrong, 9 + 24, zlib.crc32(body) ^ 1)
    messages, storage = read(mcap(tmp_path / 'a.mcap', good, bytes(wrong)))
    assert [m.time for m in messages] == [1]
    assert 'checksum' in storage.damage[0]
