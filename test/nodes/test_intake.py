"""The intake as callbacks and the inference thread use it; messages are handed in directly."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from dds_harness import FakeRobot, ROBOT_FILE
import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Imu

from liquidspike_ros.nodes.intake import SensorIntake
from liquidspike_ros.nodes.options import SyncOptions
from liquidspike_ros.robot import load_robot

MS = 1_000_000


@pytest.fixture
def bench() -> Iterator[Any]:
    """An intake on a clock that is set by hand, and a maker of messages."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = Node('intake', context=context, enable_rosout=False)
    clock = SimpleNamespace(now=10**12)
    intake = SensorIntake(node, load_robot(ROBOT_FILE), SyncOptions(), lambda: clock.now)
    maker = FakeRobot(node)

    def give(name: str, **changes: Any) -> None:
        message = getattr(maker, f'_{name}')(clock.now)
        for key, value in changes.items():
            setattr(message, key, value)
        intake.accept(message, name)

    yield SimpleNamespace(intake=intake, clock=clock, give=give)
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_a_frame_makes_a_tick_that_holds_what_came_before(bench: Any) -> None:
    bench.give('imu')
    bench.give('lidar')
    assert bench.intake.wait(0.0) is None
    bench.clock.now += 60 * MS
    bench.give('camera')
    seen = bench.intake.wait(0.0)
    assert seen.present == {'camera': True, 'imu': True, 'lidar': True, 'audio': False}
    assert bench.intake.wait(0.0) is None


def test_whoever_is_slow_gets_the_newest_tick_only_with_the_true_dt(bench: Any) -> None:
    bench.give('camera')
    first = bench.intake.wait(0.0)
    for _ in range(3):
        bench.clock.now += 66 * MS
        bench.give('camera')
    newest = bench.intake.wait(0.0)
    assert newest.stamp - first.stamp == 3 * 66 * MS
    assert newest.dt == pytest.approx(0.198)
    assert bench.intake.missed == 2
    assert bench.intake.wait(0.0) is None


def test_without_frames_the_clock_makes_the_ticks(bench: Any) -> None:
    bench.give('camera')
    bench.intake.wait(0.0)
    ticks = []
    for _ in range(100):
        bench.clock.now += 5 * MS
        bench.give('imu')
        seen = bench.intake.wait(0.0)
        if seen:
            ticks.append(seen)
    assert 6 <= len(ticks) <= 8
    assert not ticks[-1].present['camera']
    assert ticks[-1].present['imu']


def test_without_any_message_the_clock_still_makes_ticks_for_a_while(bench: Any) -> None:
    bench.give('camera')
    bench.intake.wait(0.0)
    bench.clock.now += 100 * MS
    seen = bench.intake.wait(0.0)
    assert seen is not None
    assert seen.age['camera'] == pytest.approx(0.083, abs=0.001)
    bench.clock.now += 3000 * MS
    while bench.intake.wait(0.0) is not None:
        pass
    bench.clock.now += 3000 * MS
    assert bench.intake.wait(0.0) is None


def test_a_broken_message_is_counted_and_never_raises(bench: Any) -> None:
    bench.give('camera', height=1)
    bench.intake.accept(object(), 'imu')
    health = bench.intake.health()
    assert health['camera'].dropped == 1
    assert 'step' in health['camera'].last_reason
    assert health['imu'].dropped == 1
    assert 'malformed' in health['imu'].last_reason


def test_only_accepted_samples_are_a_sign_of_life(bench: Any) -> None:
    heard: list[tuple[str, float, bool]] = []
    bench.intake.listeners.append(lambda *sample: heard.append(sample))
    bench.give('camera', height=1)
    assert not heard
    bench.give('camera')
    assert heard == [('camera', 0.0, False)]


def test_after_a_jump_back_the_old_tick_is_gone_and_the_next_one_says_so(bench: Any) -> None:
    bench.give('camera')
    bench.intake.clock_jumped()
    assert bench.intake.wait(0.0) is None
    bench.clock.now -= 10**10
    bench.give('camera')
    assert bench.intake.wait(0.0).clock_jumped


def test_imu_stamps_in_the_future_are_dropped(bench: Any) -> None:
    message = Imu()
    message.header.stamp.sec = bench.clock.now // 10**9 + 5
    message.linear_acceleration.z = 9.81
    bench.intake.accept(message, 'imu')
    assert 'future' in bench.intake.health()['imu'].last_reason
