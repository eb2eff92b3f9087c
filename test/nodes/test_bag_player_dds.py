from __future__ import annotations

from pathlib import Path
from typing import Any

from dds_harness import Process, wait_for
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Int16MultiArray

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
