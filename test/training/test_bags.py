"""FAULTS.md row 17: every way a recording can be broken, and what is still made of it."""

from __future__ import annotations

from pathlib import Path
import shutil

import numpy as np
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.stream import MOTION
from liquidspike_ros.training.bags import (
    BagError,
    BagReader,
    find_bags,
    read_events,
    require_usable,
    scan_bag,
)
from liquidspike_ros.training.configuration import DataConfig


def storage_of(bag: Path) -> Path:
    return next(file for file in bag.iterdir() if file.suffix in ('.mcap', '.db3'))


def sensed(events):
    return [event for event in events if event.sensor != MOTION]


def cut(bag: Path, share: float) -> Path:
    file = storage_of(bag)
    data = file.read_bytes()
    file.write_bytes(data[:int(len(data) * share)])
    return bag


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_whole_recording_is_read_in_time_order(make_bag, robot, storage):
    bag = make_bag(storage=storage)
    report = scan_bag(bag, robot)
    assert report.usable
    assert not report.damaged
    assert report.problems == ()
    assert report.topics['/camera/image_raw'].count == 60
    assert report.duration == pytest.approx(4.0, abs=0.1)
    reader = BagReader(bag, robot)
    events = sensed(reader.events())
    assert [event.now for event in events] == sorted(event.now for event in events)
    assert {event.sensor for event in events} == {'camera', 'imu', 'lidar', 'audio'}
    assert len(reader.commands) == 60
    assert len(events) == 60 + 240 + 40 + 200


def test_bare_file_gives_the_same_events_as_its_folder(make_bag, robot):
    bag = make_bag()
    folder = [event[:3] for event in read_events(bag, robot)]
    assert [event[:3] for event in read_events(storage_of(bag), robot)] == folder


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_no_metadata_is_reported_and_everything_is_still_read(make_bag, robot, storage):
    bag = make_bag(storage=storage)
    (bag / 'metadata.yaml').unlink()
    report = scan_bag(bag, robot)
    assert report.usable
    assert 'metadata' in report.line
    assert report.topics['/cmd_vel'].count == 60
    assert len(sensed(read_events(bag, robot))) == 540


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('share', [0.9, 0.5])
def test_truncated_recording_gives_its_first_part(make_bag, robot, storage, share):
    whole = list(read_events(make_bag('whole', storage=storage, seconds=20), robot))
    bag = cut(make_bag('cut', storage=storage, seconds=20), share)
    report = scan_bag(bag, robot)
    assert report.damaged
    assert report.usable
    assert 'damaged' in report.line
    assert '\n' not in report.line
    events = list(BagReader(bag, robot, report).events())
    assert len(whole) * (share - 0.35) < len(events) < len(whole)
    assert [e[:3] for e in events] == [e[:3] for e in whole[:len(events)]]


@pytest.mark.parametrize('compressed', [False, True])
def test_corrupt_chunk_loses_only_that_chunk(make_bag, robot, compressed):
    bag = make_bag(seconds=90, compressed=compressed)
    file = storage_of(bag)
    with Reader(file) as reader:
        chunk = reader.storage.chunks[1]
        assert len(reader.storage.chunks) > 2
    data = bytearray(file.read_bytes())
    middle = chunk.chunk_start_offset + chunk.chunk_length // 2
    data[middle:middle + 4000] = b'\xff' * 4000
    file.write_bytes(data)
    report = scan_bag(bag, robot)
    assert report.usable
    assert 'chunk ending at byte' in report.line
    assert 'corrupt' in report.line or 'cut off' in report.line
    images = [e.now for e in BagReader(bag, robot, report).events() if e.sensor == 'camera']
    assert 90 * 15 * 0.4 < len(images) < 90 * 15
    assert images[-1] - images[0] > 85e9  # it goes on after the hole


def test_missing_sensor_makes_it_useless_unless_allowed_by_name(make_bag, robot, toy_drive):
    bag = make_bag(rows=[row for row in toy_drive() if row[1] != '/scan'])
    refused = scan_bag(bag, robot)
    assert not refused.usable
    assert 'lidar: no topic /scan, expected sensor_msgs/msg/LaserScan' in refused.line
    assert '--allow-missing lidar' in refused.line
    allowed = scan_bag(bag, robot, DataConfig(allow_missing=('lidar',)))
    assert allowed.usable
    assert 'lidar: no topic /scan' in allowed.line


def no_commands(rows):
    return [row for row in rows if row[1] != '/cmd_vel']


def commands_only(rows):
    return [row for row in rows if row[1] == '/cmd_vel']


def images_as_commands(rows):
    return [(t, '/cmd_vel' if topic == '/camera/image_raw' else topic, m)
            for t, topic, m in no_commands(rows)]


@pytest.mark.parametrize(('spoil', 'expected'), [
    (no_commands, 'command: no topic /cmd_vel, expected geometry_msgs/msg/Twist'),
    (commands_only, 'camera: no topic /camera/image_raw, expected sensor_msgs/msg/Image'),
    (images_as_commands, '/cmd_vel is sensor_msgs/msg/Image, expected geometry_msgs/msg/Twist'),
    (lambda rows: [], 'no messages, expected at least one'),
])
def test_useless_recording_says_what_is_missing(make_bag, robot, toy_drive, spoil, expected):
    bag = make_bag(rows=spoil(toy_drive()))
    report = scan_bag(bag, robot)
    assert not report.usable
    assert expected in report.line
    assert str(bag) in report.line
    assert '\n' not in report.line
    with pytest.raises(BagError, match='no usable recording'):
        list(read_events(bag, robot))


def test_wrong_type_masks_one_sensor_only(make_bag, robot, toy_drive):
    rows = [(t, '/scan' if topic == '/imu' else topic, m) for t, topic, m in toy_drive()
            if topic != '/scan']
    report = scan_bag(make_bag(rows=rows), robot, DataConfig(allow_missing=('imu', 'lidar')))
    assert report.usable
    assert '/scan is sensor_msgs/msg/Imu, expected sensor_msgs/msg/LaserScan' in report.line


@pytest.mark.parametrize('content', [b'', b'hello, this is no bag at all', b'\x89MCAP0\r\n',
                                     b'SQLite format 3\x00' + b'\x00' * 200])
@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_rubbish_is_reported_not_raised(tmp_path, robot, content, suffix):
    file = tmp_path / f'rubbish{suffix}'
    file.write_bytes(content)
    report = scan_bag(file, robot)
    assert not report.usable
    assert 'rubbish' in report.line
    assert '\n' not in report.line


def test_paths_that_are_no_recordings(tmp_path, robot):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'notes.txt').write_text('hello')
    reports = [scan_bag(tmp_path / name, robot) for name in ('empty', 'notes.txt', 'nowhere')]
    with pytest.raises(BagError) as caught:
        require_usable(reports)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    for line, name in zip(lines[1:], ('empty', 'notes.txt', 'nowhere'), strict=True):
        assert name in line
        assert 'expected a rosbag2 folder' in line


def test_undecodable_and_non_finite_messages_are_counted(make_bag, robot, toy_drive):
    rows = toy_drive()
    first = next(row for row in rows if row[1] == '/cmd_vel')
    first[2].linear.x = float('nan')
    reader = BagReader(make_bag(rows=rows), robot)
    list(reader.events())
    assert reader.rejected == {'/cmd_vel': 1}
    assert len(reader.commands) == 59


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_types_that_are_not_standard_come_from_the_recording(tmp_path, toy_drive, write_bag,
                                                              storage):
    """Audio as ``audio_common_msgs`` says it, whose definition only the recording holds."""
    name = 'audio_common_msgs/msg/AudioData'
    types = get_typestore(Stores.ROS2_KILTED)
    types.register(get_types_from_msg('uint8[] data', name))
    rows = [(time, topic, types.types[name](data=message.data.view(np.uint8))
             if topic == '/audio' else message) for time, topic, message in toy_drive()]
    robot = RobotSpec.from_dict({
        'sensors': {'camera': {'width': 16, 'height': 12}, 'lidar': {'beams': 8},
                    'audio': {'type': name, 'sample_rate': 2000, 'window': 200}}})
    bag = write_bag(tmp_path / 'bag', rows, storage, types=types)
    given = [e.message.data for e in read_events(bag, robot) if e.sensor == 'audio']
    expected = [message.data for _, topic, message in rows if topic == '/audio']
    assert len(given) == len(expected) == 200
    assert all(map(np.array_equal, given, expected))


def test_folders_of_recordings_are_expanded_in_order(make_bag, tmp_path):
    folder = tmp_path / 'many'
    for name in ('episode_1', 'episode_0'):
        bag = make_bag(name, seconds=0.5)
        shutil.move(bag, folder / name)
    shutil.copy(storage_of(folder / 'episode_0'), folder / 'single.mcap')
    assert find_bags([folder]) == [folder / 'single.mcap', folder / 'episode_0',
                                   folder / 'episode_1']
    assert find_bags([folder / 'episode_0']) == [folder / 'episode_0']
    assert find_bags([tmp_path / 'nowhere']) == [tmp_path / 'nowhere']
