"""A recording that a reader could not be trusted with is refused before it is read."""

from __future__ import annotations

from pathlib import Path
import sqlite3

import pytest

from liquidspike_ros.training.recording_checks import check_recording
from liquidspike_ros.untrusted.files import FileRefusal


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_recorders_write_passes(make_bag, storage):
    bag = make_bag(storage=storage, seconds=0.2)
    check_recording(bag)
    for file in bag.iterdir():
        if file.suffix in ('.mcap', '.db3'):
            check_recording(file)


def test_what_is_not_there_is_for_the_reader_to_say(tmp_path):
    check_recording(tmp_path / 'nothing')
    with pytest.raises(FileRefusal, match='a link to'):
        (tmp_path / 'link.mcap').symlink_to('gone')
        check_recording(tmp_path / 'link.mcap')


def test_damage_is_for_the_reader_to_say(make_bag):
    for storage in ('mcap', 'sqlite3'):
        bag = make_bag(storage, storage=storage, seconds=0.2)
        for file in bag.iterdir():
            if file.suffix in ('.mcap', '.db3'):
                file.write_bytes(file.read_bytes()[:300])
        check_recording(bag)


@pytest.mark.parametrize('name', ['it.mcap', 'it.db3', 'metadata.yaml', 'it.mcap.zstd'])
def test_what_is_no_file_is_refused_without_waiting(tmp_path, not_a_file, name):
    bag = tmp_path / 'bag'
    bag.mkdir()
    path = not_a_file.rename(bag / name)
    if path.is_dir() and name != 'metadata.yaml':
        check_recording(bag)  # a folder of that name is no storage file, and not taken for one
        return
    with pytest.raises(FileRefusal):
        check_recording(bag)


def laughs() -> str:
    lines = ['a0: &a0 [lol]']
    lines += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 9)]
    return '\n'.join(lines)


@pytest.mark.parametrize(('text', 'said'), [
    (laughs(), 'more than 400,000 values'),
    ('a: 1\na: 2', 'is there twice'),
    ('a: [', 'not YAML'),
    ('rosbag2_bagfile_information: {relative_file_paths: [/etc/passwd]}', "got '/etc/passwd'"),
    ('rosbag2_bagfile_information: {relative_file_paths: [../../x.mcap]}', 'files inside'),
    ('rosbag2_bagfile_information: {relative_file_paths: [{a: 1}]}', 'files inside'),
    ('rosbag2_bagfile_information: {relative_file_paths: 7}', 'files inside'),
])
def test_metadata_that_cannot_be_trusted_is_one_line(tmp_path, text, said):
    (tmp_path / 'metadata.yaml').write_text(text)
    with pytest.raises(FileRefusal, match=said) as caught:
        check_recording(tmp_path)
    assert str(tmp_path / 'metadata.yaml') in str(caught.value)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize('text', ['', '[]', 'rosbag2_bagfile_information: 1',
                                  'rosbag2_bagfile_information: {relative_file_paths: [a/b.db3]}'])
def test_odd_metadata_is_for_the_reader_to_judge(tmp_path, text):
    (tmp_path / 'metadata.yaml').write_text(text)
    check_recording(tmp_path)


TOPICS = 'CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)'


@pytest.mark.parametrize('trick', [
    'CREATE VIEW messages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) '
    'SELECT i AS id, 1 AS topic_id, i AS timestamp, zeroblob(1000000) AS data FROM n',
    'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, '
    'data BLOB GENERATED ALWAYS AS (zeroblob(1000000000)))',
    'CREATE VIEW "Messages" AS SELECT 1',
])
def test_tables_that_are_none_are_refused(tmp_path: Path, trick):
    path = tmp_path / 'a ?#%.db3'
    connection = sqlite3.connect(path)
    connection.execute(TOPICS)
    connection.execute(trick)
    connection.commit()
    connection.close()
    with pytest.raises(FileRefusal, match=r'essages: got CREATE .*, expected a plain'):
        check_recording(path)
