"""Whatever stands in the place of a file is refused at once, in one line with its path."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from liquidspike_ros.untrusted.files import (
    FileRefusal,
    open_regular,
    read_bytes,
    read_text,
    require_regular_file,
)

READERS = (read_text, require_regular_file, lambda path: read_bytes(path, 100))


@pytest.mark.parametrize('read', READERS, ids=['text', 'look', 'bytes'])
def test_what_is_no_file_is_refused_without_waiting(not_a_file: Path, read):
    with pytest.raises(FileRefusal) as caught:
        read(not_a_file)
    assert str(caught.value).startswith(f'{not_a_file}: ')
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(('make', 'said'), [
    (lambda path: os.mkfifo(path), 'got a FIFO, expected a file'),
    (lambda path: path.mkdir(), 'got a folder, expected a file'),
    (lambda path: path.symlink_to('/dev/zero'), 'got a character device, expected a file'),
    (lambda path: path.symlink_to('gone'), 'a link to gone, where nothing is'),
    (lambda path: None, 'No such file or directory'),
])
def test_it_is_said_what_was_found(tmp_path, make, said):
    path = tmp_path / 'it'
    make(path)
    with pytest.raises(FileRefusal, match=said) as caught:
        read_text(path)
    assert caught.value.missing == (not path.exists())


def test_what_replaces_the_file_while_it_is_opened_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / 'it'
    path.write_text('a file')
    looked = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, 'stat', lambda *_: looked)
    with pytest.raises(FileRefusal, match='got a FIFO'):
        read_text(path)


def test_names_that_no_file_can_have_are_refused():
    for name in ('nul\0byte', 'x' * 5000, '\x1b[2J'):
        with pytest.raises(FileRefusal) as caught:
            read_text(name)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) <= 500


def test_a_file_of_exactly_the_limit_is_read_and_one_more_byte_is_not(tmp_path):
    path = tmp_path / 'it'
    path.write_bytes(b'x' * 100)
    assert read_bytes(path, 100) == b'x' * 100
    with pytest.raises(FileRefusal, match='too large, expected at most 99 bytes'):
        read_bytes(path, 99)


def test_a_sparse_file_is_refused_by_its_size(tmp_path):
    path = tmp_path / 'it'
    with path.open('wb') as file:
        file.truncate(1 << 40)
    with pytest.raises(FileRefusal, match='too large'):
        read_text(path)


def test_a_file_that_says_it_is_empty_is_still_bounded():
    assert os.stat('/proc/self/status').st_size == 0
    with pytest.raises(FileRefusal, match='too large'):
        read_bytes('/proc/self/status', 10)


@pytest.mark.parametrize(('content', 'said'), [
    ('größe: 1'.encode('latin-1'), r'byte 2 \(0xf6\) is not UTF-8'),
    ('a: 1'.encode('utf-16'), 'got UTF-16 text, expected UTF-8'),
    ('a: 1'.encode('utf-32'), 'got UTF-32 text, expected UTF-8'),
    (codecs.BOM_UTF16_BE + 'a: 1'.encode('utf-16-be'), 'got UTF-16 text'),
    (b'a: \0', 'byte 3 is NUL'),
    (b'\xed\xa0\x80', 'is not UTF-8'),
])
def test_other_encodings_are_named(tmp_path, content, said):
    path = tmp_path / 'it'
    path.write_bytes(content)
    with pytest.raises(FileRefusal, match=said):
        read_text(path)


def test_utf_8_is_read_with_and_without_its_mark(tmp_path):
    path = tmp_path / 'it'
    for mark in (b'', codecs.BOM_UTF8):
        path.write_bytes(mark + 'größe: 1'.encode())
        assert read_text(path) == 'größe: 1'


def test_an_opened_file_is_closed_again(tmp_path):
    path = tmp_path / 'it'
    path.write_bytes(b'abc')
    with open_regular(path) as file:
        assert file.read() == b'abc'
    assert file.closed
