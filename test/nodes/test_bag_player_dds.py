from __future__ import annotations

from pathlib import Path
from typing import Any

from dds_harness import Process, wait_for
from geometry_msgs.msg import Twist
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Int16MultiArray, String

pytestmark = [pytest.mark.dds, pytest.mark.slow]

KIND = 'std_msgs/msg/Int16MultiArray'
COUNT = 40


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Forty numbered chunks, 25 ms apart, from second 100 on."""
    types = get_typestore(Stores.ROS2_KILTED)
    chunk, layout = types.types[KIND], types.types['std_msgs/msg/MultiArrayLayout']
    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/audio', KIND, typestore=types)
        for k in range(COUNT):
            message = chunk(layout=layout(dim=[], data_offset=0), data=np.array([k], np.int16))
            writer.write(connection, 100 * 10**9 + k * 25_000_000,
                         types.serialize_cdr(message, KIND))
    return path


def test_every_message_comes_in_order_with_the_clock_and_it_ends_by_itself(
        node: Any, start: Any, bag: Path) -> None:
    heard: list[int] = []
    times: list[float] = []
    node.create_subscription(Int16MultiArray, '/ear', lambda m: heard.append(m.data[0]), 100)
    node.create_subscription(
        Clock, '/clock', lambda m: times.append(m.clock.sec + m.clock.nanosec * 1e-9), 1000)
    process: Process = start('bag_player', str(bag), '--rate', '2.0', '--delay', '4.0',
                             '--ros-args', '-r', '/audio:=/ear')
    assert process.wait() == 0
    wait_for(lambda: len(heard) == COUNT, 'all messages', timeout=5)
    assert heard == list(range(COUNT))
    assert times == sorted(times)
    assert times[0] == 100.0
    assert times[-1] == pytest.approx(100.975, abs=0.011)


def test_looping_it_starts_again_until_a_signal(node: Any, start: Any, bag: Path) -> None:
    heard: list[int] = []
    node.create_subscription(Int16MultiArray, '/audio', lambda m: heard.append(m.data[0]), 100)
    process: Process = start('bag_player', str(bag), '--rate', '10', '--loop')
    wait_for(lambda: heard.count(1) >= 3, 'three turns')
    assert process.signal() == 0


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A latched text, a gap of a year, then commands."""
    types = get_typestore(Stores.ROS2_KILTED)
    never = QosTime(2147483647, 4294967295)
    latched = Qos(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
                  never, never, QosLiveliness.AUTOMATIC, never, False)
    vector = types.types['geometry_msgs/msg/Vector3']
    path = tmp_path / 'drive'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        text, twist = 'std_msgs/msg/String', 'geometry_msgs/msg/Twist'
        description = writer.add_connection('/description', text, typestore=types,
                                            offered_qos_profiles=[latched])
        commands = writer.add_connection('/cmd_vel', twist, typestore=types)
        writer.write(description, 10**9, types.serialize_cdr(types.types[text](data='robot'), text))
        for k in range(10):
            message = types.types[twist](linear=vector(x=0.5, y=0, z=0),
                                         angular=vector(x=0, y=0, z=0))
            writer.write(commands, 3 * 10**16 + k * 10**8, types.serialize_cdr(message, twist))
    return path


@pytest.mark.parametrize('allowed', [False, True])
def test_commands_are_held_back_latched_topics_latched_and_gaps_skipped(
        node: Any, start: Any, drive: Path, allowed: bool) -> None:
    commands: list[Twist] = []
    texts: list[str] = []
    node.create_subscription(Twist, '/cmd_vel', commands.append, 10)
    process: Process = start('bag_player', str(drive), '--delay', '4.0', '--loop',
                             *(['--commands'] if allowed else []))
    wait_for(lambda: 'skipping' in process.output, 'the gap', timeout=30)
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    node.create_subscription(String, '/description', lambda m: texts.append(m.data), late)
    wait_for(lambda: 'robot' in texts, 'the latched text', timeout=20)
    wait_for(lambda: 'played' in process.output, 'a turn', timeout=20)
    assert bool(commands) == allowed
    assert ('commands are not replayed (--commands sends them)' in process.output) != allowed
    assert process.signal() == 0


@pytest.mark.parametrize('make', ['missing', 'empty', 'text'])
def test_a_bad_bag_is_one_line(start: Any, tmp_path: Path, make: str) -> None:
    path = tmp_path / 'thing'
    if make == 'empty':
        path.mkdir()
    elif make == 'text':
        path = tmp_path / 'thing.mcap'
        path.write_text('no bag at all')
    process: Process = start('bag_player', str(path))
    assert process.wait() == 1
    (line,) = [line for line in process.lines if 'error' in line]
    assert str(path) in line
    assert 'expected' in line
    assert 'Traceback' not in process.output
