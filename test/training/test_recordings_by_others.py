"""Recordings as other people make them, and what becomes of each.

Every row is a situation from public bug reports of rosbag2, drivers and simulators: how the
recording differs from a clean one, and what a training run says of it and makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import re
import shutil
import sqlite3
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
import yaml

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.bags import find_bags
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.dataset import convert, Dataset

SECOND = 10**9
TICKS = 30  # of two seconds


class Field:
    """What a recording is made with: rows, messages, and where to write."""

    def __init__(self, folder: Path, rows: list[Any], messages: Any, write: Any) -> None:
        self.folder, self.rows, self.messages, self.write = folder, rows, messages, write

    def bag(self, rows: list[Any] | None = None, name: str = 'bag', **options: Any) -> Path:
        """Write a recording; ``options`` as the fixture ``write_bag`` takes them."""
        return self.write(self.folder / name, self.rows if rows is None else rows, **options)

    def mapped(self, change: Callable[[int, str, Any], Any]) -> list[Any]:
        """The rows with each replaced by what ``change`` gives; sorted by log time."""
        changed = (change(*row) for row in self.rows)
        return sorted((row for row in changed if row), key=lambda row: row[0])


def baseline(it: Field) -> Path:
    return it.bag()


def compressed(storage: str, mode: str) -> Callable[[Field], Path]:
    return lambda it: it.bag(storage=storage, compressed=mode)


def lost_metadata_of_compressed_messages(it: Field) -> Path:
    bag = it.bag(storage='sqlite3', compressed='message')
    (bag / 'metadata.yaml').unlink()
    return bag


def killed_in_write_ahead_mode(it: Field) -> Path:
    """The rows are in ``bag.db3-wal``, as a recorder leaves them that was killed."""
    bag = it.bag(storage='sqlite3')
    (bag / 'metadata.yaml').unlink()
    connection = sqlite3.connect(bag / 'bag.db3')
    rows = connection.execute('SELECT topic_id, timestamp, data FROM messages').fetchall()
    connection.execute('DELETE FROM messages')
    connection.commit()
    connection.execute('PRAGMA journal_mode=WAL')
    connection.execute('PRAGMA wal_autocheckpoint=0')
    connection.executemany('INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)', rows)
    connection.commit()
    killed = it.folder / 'killed'
    shutil.copytree(bag, killed)
    connection.close()
    shutil.rmtree(bag)
    (killed / 'bag.db3-shm').unlink(missing_ok=True)
    return killed


def audio_without_definitions(it: Field) -> Path:
    name = 'audio_common_msgs/msg/AudioData'
    types = get_typestore(Stores.ROS2_HUMBLE)
    types.register(get_types_from_msg('uint8[] data', name))
    bag = it.bag([(t, topic, types.types[name](data=m.data.view(np.uint8)) if topic == '/audio'
                   else m) for t, topic, m in it.rows], storage='sqlite3', types=types, version=8)
    with sqlite3.connect(bag / 'bag.db3') as connection:
        connection.execute('DROP TABLE message_definitions')
        connection.execute('DROP TABLE schema')
    return bag


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Field], Path]:
    def make(it: Field) -> Path:
        bag = it.bag(qos={topic: [profile()] for topic in ('/scan', '/imu', '/camera/image_raw')})
        path = bag / 'metadata.yaml'
        document = yaml.safe_load(path.read_text())
        change(document['rosbag2_bagfile_information'])
        path.write_text(yaml.safe_dump(document))
        return bag
    return make


def profile(durability: QosDurability = QosDurability.VOLATILE) -> Qos:
    never = QosTime(2147483647, 4294967295)
    return Qos(QosHistory.KEEP_LAST, 5, QosReliability.BEST_EFFORT, durability, never, never,
               QosLiveliness.AUTOMATIC, never, False)


def other_depth(body: dict[str, Any]) -> None:
    for topic in body['topics_with_message_count']:
        for offered in topic['topic_metadata']['offered_qos_profiles']:
            offered['depth'] = 77


def no_profiles(body: dict[str, Any]) -> None:
    for topic in body['topics_with_message_count']:
        topic['topic_metadata']['offered_qos_profiles'] = ''


def no_identifier(body: dict[str, Any]) -> None:
    body['storage_identifier'] = ''


def topics_forgotten(body: dict[str, Any]) -> None:
    body['topics_with_message_count'] = body['topics_with_message_count'][:1]


def outside(body: dict[str, Any]) -> None:
    body['relative_file_paths'] = ['../../etc/passwd', 'bag.mcap']


def renamed(it: Field) -> Path:
    bag = it.bag()
    (bag / 'bag.mcap').rename(bag / 'my_drive.mcap')
    return bag


def hand_made_profiles(text: str) -> Callable[[Field], Path]:
    def make(it: Field) -> Path:
        bag = it.bag(storage='sqlite3')
        with sqlite3.connect(bag / 'bag.db3') as connection:
            connection.execute('UPDATE topics SET offered_qos_profiles = ?', (text,))
        return bag
    return make


def simulated(speed: float, clock: bool = True) -> Callable[[Field], Path]:
    """Wall time in the log, simulated time in the stamps, at a share of real time."""
    def make(it: Field) -> Path:
        def stamp(t: int) -> int:
            return 12 * SECOND + int((t - it.messages.start) * speed)
        rows = [(t, topic, it.messages.moved(m, stamp(t) - t)) for t, topic, m in it.rows]
        if clock:
            rows += [(t, '/clock', it.messages.clock(stamp(t)))
                     for t in range(it.messages.start, it.messages.start + 2 * SECOND, 10**7)]
        return it.bag(sorted(rows, key=lambda row: row[0]))
    return make


def one_topic_stamped(topic: str, offset: int) -> Callable[[Field], Path]:
    return lambda it: it.bag(it.mapped(lambda t, name, m: (
        t, name, it.messages.moved(m, offset) if name == topic else m)))


def first_at_time_zero(it: Field) -> Path:
    return it.bag([(0, topic, m) for _, topic, m in it.rows[:20]] + it.rows[20:])


def both_twists(it: Field) -> Path:
    middle = it.messages.start + SECOND
    return it.bag(it.mapped(lambda t, topic, m: (
        t, topic, it.messages.twist_stamped(t, m) if topic == '/cmd_vel' and t > middle else m)))


def command_per_key(it: Field) -> Path:
    rows = [row for row in it.rows if row[1] != '/cmd_vel']
    return it.bag([(it.messages.start - 1, '/cmd_vel', it.messages.twist(0.3, 0.0)), *rows])


def namespaced(it: Field) -> Path:
    return it.bag(it.mapped(lambda t, topic, m: (t, f'/tb1{topic}', m)))


def only_compressed_images(it: Field) -> Path:
    def change(t: int, topic: str, m: Any) -> Any:
        if topic != '/camera/image_raw':
            return t, topic, m
        return t, f'{topic}/compressed', it.messages.jpeg(t, m.data.reshape(12, 16, 3))
    return it.bag(it.mapped(change))


def no_command_but_odometry(it: Field) -> Path:
    return it.bag(it.mapped(lambda t, topic, m: (
        (t, '/odom', it.messages.odometry(t, m)) if topic == '/cmd_vel' else (t, topic, m))))


def ros1(it: Field) -> Path:
    types = get_typestore(Stores.ROS1_NOETIC)

    def old(value: Any) -> Any:
        if isinstance(value, list):
            return [old(item) for item in value]
        if not hasattr(value, '__msgtype__'):
            return value
        fields = {name: old(item) for name, item in vars(value).items() if name != '__msgtype__'}
        if value.__msgtype__ == 'std_msgs/msg/Header':
            fields['seq'] = 3
        return types.types[value.__msgtype__](**fields)

    path = it.folder / 'old.bag'
    writer = Ros1Writer(path)
    writer.set_compression(Ros1Writer.CompressionFormat.BZ2)
    with writer:
        connections: dict[str, Any] = {}
        for t, topic, m in it.rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, m.__msgtype__, typestore=types)
            writer.write(connections[topic], t, types.serialize_ros1(old(m), m.__msgtype__))
    return path


def split(lost: bool = False, order: tuple[int, ...] = (0, 1, 2)) -> Callable[[Field], Path]:
    """Three files whose times overlap; ``order``: which part gets which number."""
    def make(it: Field) -> Path:
        third = len(it.rows) // 3
        parts = [it.rows[:third + 9], it.rows[third + 9:2 * third], it.rows[2 * third:]]
        parts[1] += [parts[0].pop() for _ in range(5)]
        folder = it.folder / 'drive'
        folder.mkdir()
        for part, number in zip(parts, order, strict=True):
            rows = sorted(part, key=lambda row: row[0])
            bag = it.bag(rows, f'part_{number}')
            (bag / f'part_{number}.mcap').rename(folder / f'drive_{number}.mcap')
        text = (it.folder / 'part_0' / 'metadata.yaml').read_text()
        names = '\n'.join(f'  - drive_{i}.mcap' for i in range(3))
        (folder / 'metadata.yaml').write_text(re.sub(r'  - part_0\.mcap', names, text))
        if lost:
            (folder / 'drive_1.mcap').unlink()
        return folder
    return make


def beyond_the_limits(it: Field) -> Path:
    return it.bag(it.mapped(lambda t, topic, m: (
        t, topic, it.messages.twist(2.0, 0.1) if topic == '/cmd_vel' else m)))


def imu_scaled(accel: float, gyro: float = 1.0) -> Callable[[Field], Path]:
    def make(it: Field) -> Path:
        def change(t: int, topic: str, m: Any) -> Any:
            if topic == '/imu':
                a, w = m.linear_acceleration, m.angular_velocity
                m = it.messages.imu(t, np.array([w.x, w.y, w.z]) * gyro,
                                    np.array([a.x, a.y, a.z]) * accel)
            return t, topic, m
        return it.bag(it.mapped(change))
    return make


def at_rest_without_noise(it: Field) -> Path:
    first = {topic: m for _, topic, m in reversed(it.rows)}
    still = it.messages.start + int(1.5 * SECOND)

    def change(t: int, topic: str, m: Any) -> Any:
        if t < still and topic not in ('/cmd_vel', '/audio'):
            m = it.messages.moved(first[topic], t - stamp_of(first[topic]))
        return t, topic, m
    return it.bag(it.mapped(change))


def camera_frozen_while_it_drives(it: Field) -> Path:
    first = next(m for _, topic, m in it.rows if topic == '/camera/image_raw')
    return it.bag(it.mapped(lambda t, topic, m: (
        t, topic, it.messages.moved(first, t - stamp_of(first))
        if topic == '/camera/image_raw' else m)))


def stamp_of(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec * SECOND + stamp.nanosec)


def every_other(it: Field) -> Path:
    """Half of the camera's and a quarter of the IMU's messages: another robot's rates."""
    counts: dict[str, int] = {}

    def change(t: int, topic: str, m: Any) -> Any:
        counts[topic] = counts.get(topic, 0) + 1
        keep = {'/camera/image_raw': 2, '/imu': 4}.get(topic, 1)
        return (t, topic, m) if counts[topic] % keep == 0 else None
    return it.bag(it.mapped(change))


def audio_at_another_rate(it: Field) -> Path:
    return it.bag(it.mapped(lambda t, topic, m: (
        t, topic, it.messages.audio(np.repeat(m.data.reshape(-1, 2), 2, axis=0))
        if topic == '/audio' else m)))


def sensor_that_dies(it: Field) -> Path:
    early = it.messages.start + SECOND // 2
    return it.bag(it.mapped(lambda t, topic, m: (
        None if topic == '/scan' and t > early else (t, topic, m))))


@dataclass(frozen=True)
class Case:
    """One situation and its right behaviour.

    Attributes:
        make: Writes the recording.
        used: Whether training uses it.
        says: Each must be found in the one line about it (regular expressions).
        silent: The line must not say anything beyond the count of ticks.
        ticks, labelled: Expected in the line, with what a cut costs taken off by the row.
        settings: Of ``DataConfig``.
    """

    make: Callable[[Field], Path]
    used: bool = True
    says: tuple[str, ...] = ()
    silent: bool = False
    ticks: int | None = None
    labelled: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


CASES = {
    'clean': Case(baseline, silent=True, ticks=TICKS, labelled=TICKS),
    'zstd by file, mcap': Case(compressed('mcap', 'file'), silent=True, ticks=TICKS),
    'zstd by file, db3': Case(compressed('sqlite3', 'file'), silent=True, ticks=TICKS),
    'zstd by message, mcap': Case(compressed('mcap', 'message'), silent=True, ticks=TICKS),
    'zstd by message, db3': Case(compressed('sqlite3', 'message'), silent=True, ticks=TICKS),
    'zstd by message, metadata lost': Case(
        lost_metadata_of_compressed_messages, says=('metadata.yaml is missing',), ticks=TICKS),
    'rows in a write-ahead log': Case(
        killed_in_write_ahead_mode, silent=True, ticks=TICKS),
    'audio without definitions': Case(
        audio_without_definitions, says=('AudioData',), ticks=TICKS),
    'QoS edited in the metadata': Case(edited(other_depth), silent=True, ticks=TICKS),
    'QoS taken out of the metadata': Case(edited(no_profiles), silent=True, ticks=TICKS),
    'storage identifier empty': Case(edited(no_identifier), silent=True, ticks=TICKS),
    'topics missing in the metadata': Case(edited(topics_forgotten), silent=True, ticks=TICKS),
    'paths that lead out of the folder': Case(
        edited(outside), says=('etc/passwd.*outside of the recording',), ticks=TICKS),
    'storage file renamed': Case(
        renamed, says=('bag.mcap is missing, my_drive.mcap is read in its place',), ticks=TICKS),
    'QoS in words': Case(hand_made_profiles(
        '- reliability: reliable\n  durability: volatile\n  depth: 100\n'),
        silent=True, ticks=TICKS),
    'QoS not in a list': Case(hand_made_profiles('history: keep_last\ndepth: 10\n'),
                              silent=True, ticks=TICKS),
    'QoS that is no YAML': Case(hand_made_profiles('{[: *x'), silent=True, ticks=TICKS),
    'simulated stamps, wall-clock log': Case(
        simulated(1.0), says=(r'stamps of camera, imu, lidar lie 988\.000 s behind', 'taken out'),
        ticks=TICKS, labelled=TICKS),
    'simulated stamps without /clock': Case(
        simulated(1.0, clock=False), says=('988.000 s behind',), ticks=TICKS),
    'simulator at 0.6 of real time': Case(
        simulated(0.6), says=('behind the log time and run at 0.60 of its speed',)),
    'simulator at twice real time': Case(
        simulated(2.0), says=('run at 2.00 of its speed',)),
    'LiDAR stamped since its start': Case(
        one_topic_stamped('/scan', -900 * SECOND), used=False,
        says=('lidar: fresh at 0%', r'stamps 900\.000 s behind the log time', '20 of 20 refused',
              '--allow-missing lidar')),
    'camera 300 ms late': Case(
        one_topic_stamped('/camera/image_raw', -300_000_000), used=False,
        says=(r'camera: fresh at 0%', r'0\.300 s behind', '30 of 30 refused', 'max_age')),
    'camera 10 s late': Case(
        one_topic_stamped('/camera/image_raw', -10 * SECOND), used=False,
        says=(r'10\.000 s behind', '30 of 30 refused')),
    'camera stamped ahead': Case(
        one_topic_stamped('/camera/image_raw', 150_000_000), used=False,
        says=(r'0\.150 s ahead of', 'in the future')),
    'late camera, used by name': Case(
        one_topic_stamped('/camera/image_raw', -300_000_000), ticks=TICKS - 1,
        settings={'allow_missing': ('camera',)},
        says=(r'camera: stamps 0\.300 s behind', '30 of 30 refused')),
    'first messages logged at time 0': Case(
        first_at_time_zero, says=('20 messages logged at time 0',), ticks=TICKS - 3),
    'Twist and TwistStamped on one topic': Case(
        both_twists, says=('Twist and .*TwistStamped: both are learnt',), labelled=TICKS),
    'a command only per key press': Case(
        command_per_key, says=('of 30 ticks have a command', 'data.label_max_age')),
    'a command only per key press, held': Case(
        command_per_key, silent=True, labelled=TICKS, settings={'label_max_age': 3.0}),
    'topics below a namespace': Case(
        namespaced, used=False, says=('camera, imu, lidar, audio, command', '--namespace tb1')),
    'topics below a namespace that is given': Case(
        namespaced, silent=True, ticks=TICKS, settings={'namespace': 'tb1'}),
    'only compressed images recorded': Case(
        only_compressed_images, says=('/camera/image_raw/compressed.* is read in place of',),
        ticks=TICKS),
    'odometry in place of commands': Case(
        no_command_but_odometry, used=False,
        says=('no topic /cmd_vel', '--set data.label_from=odometry')),
    'odometry as asked for': Case(
        no_command_but_odometry, says=('labels are what /odom says',), labelled=TICKS,
        settings={'label_from': 'odometry'}),
    'ROS 1 bag': Case(ros1, silent=True, ticks=TICKS, labelled=TICKS),
    'splits with overlapping times': Case(split(), silent=True, ticks=TICKS),
    'splits in another order': Case(split(order=(2, 0, 1)), silent=True, ticks=TICKS),
    'a split lost': Case(split(lost=True), says=('drive_1.mcap is missing',)),
    'commands beyond the limits': Case(
        beyond_the_limits, labelled=TICKS,
        says=('labels: 100% beyond the limits', 'linear.x 2 to 2, limits -0.2 to 0.6')),
    'IMU in g': Case(imu_scaled(1 / 9.81), says=(r'imu: acceleration averages [01]\.\d*, .*in g',)),
    'IMU upside down': Case(imu_scaled(-1.0), says=('imu: z averages -9.*upside down',)),
    'IMU in degrees': Case(imu_scaled(1.0, 57.3), says=('imu: turns at .*°/s',)),
    'noise-free simulator at rest': Case(at_rest_without_noise, silent=True, ticks=TICKS),
    'camera frozen while it drives': Case(
        camera_frozen_while_it_drives, used=False, says=('camera: fresh at',)),
    'other rates': Case(every_other, silent=True),
    'audio at twice the rate': Case(
        audio_at_another_rate, says=('audio: 4... samples a second', 'source_rate')),
    'a sensor that dies': Case(
        sensor_that_dies, used=False, says=('lidar: fresh at [34].%', '--allow-missing lidar')),
}


@pytest.fixture
def it(tmp_path: Path, toy_drive: Any, messages: Any, write_bag: Any) -> Field:
    return Field(tmp_path, toy_drive(2.0), messages, write_bag)


@pytest.mark.parametrize('name', CASES)
def test_what_becomes_of_a_recording(name: str, it: Field, robot: RobotSpec) -> None:
    case = CASES[name]
    (bag,) = find_bags([case.make(it)])
    before = {path: path.read_bytes() for path in it.folder.rglob('*') if path.is_file()}
    result = convert(bag, robot, DataConfig(**case.settings), it.folder)
    line = result.line.removeprefix(f'{bag}: ')
    assert (result.folder is not None) == case.used, line
    for words in case.says:
        assert re.search(words, line), line
    if case.silent:
        assert re.fullmatch(r'used, \d+ ticks, \d+ with a command', line), line
    if case.ticks is not None:
        assert f'used, {case.ticks} ticks' in line
    if case.labelled is not None:
        assert f'{case.labelled} with a command' in line
    assert '\n' not in line
    assert {path: path.read_bytes() for path in before} == before, 'a recording was changed'


@pytest.mark.parametrize('offset', [1.0, 0.6, 2.0])
def test_moved_stamps_give_what_the_robot_would_have_lived(
        it: Field, robot: RobotSpec, offset: float) -> None:
    """On simulated time from the start, the very same sequence comes out."""
    moved = convert(simulated(offset)(it), robot, DataConfig(), it.folder)
    direct = it.bag([(12 * SECOND + int((t - it.messages.start) * offset), topic,
                      it.messages.moved(m, 12 * SECOND + int((t - it.messages.start) * offset) - t))
                     for t, topic, m in it.rows], 'direct')
    expected = convert(direct, robot, DataConfig(), it.folder)
    assert moved.folder is not None
    assert expected.folder is not None
    for name in ('labels', 'weight', 'value_camera', 'value_lidar'):
        np.testing.assert_array_equal(np.load(moved.folder / f'{name}.npy'),
                                      np.load(expected.folder / f'{name}.npy'))


def test_recordings_that_disagree_are_told(it: Field, robot: RobotSpec) -> None:
    bags = [it.bag(name='up'), imu_scaled(-1.0)(Field(it.folder / 'b', it.rows, it.messages,
                                                      it.write))]
    told: list[str] = []
    dataset = Dataset(bags, robot, DataConfig(workers=1), lambda *row: told.append(row[2]))
    assert any(re.search('gravity points the other way in 1 of 2', line) for line in told)
    assert dataset.findings[-1] == told[-1]
    dataset.close()


def test_clipped_labels_are_what_the_robot_could_do(it: Field, robot: RobotSpec) -> None:
    result = convert(beyond_the_limits(it), robot, DataConfig(), it.folder)
    assert result.folder is not None
    labels = np.load(result.folder / 'labels.npy')
    assert labels[:, 0].max() == pytest.approx(1.0)
