"""The intake as callbacks and the inference thread use it; messages are handed in directly."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import os
import time
from types import SimpleNamespace
from typing import Any

from dds_harness import FakeRobot, ROBOT_FILE
import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Imu

from liquidspike_ros.control.sensor_watch import LATE_PERIODS, LATE_SECONDS, SHORTEST_PERIOD
from liquidspike_ros.nodes.intake import POLL_PERIOD, SensorIntake
from liquidspike_ros.nodes.offered_qos import qos_text
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

    yield SimpleNamespace(intake=intake, clock=clock, give=give, maker=maker, node=node)
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
    bench.give('camera', data=b'')
    bench.intake.accept(object(), 'imu')
    health = bench.intake.health()
    assert health['camera'].dropped == 1
    assert 'data' in health['camera'].last_reason
    assert health['imu'].dropped == 1
    assert 'malformed' in health['imu'].last_reason


def test_only_accepted_samples_are_a_sign_of_life(bench: Any) -> None:
    heard: list[tuple[str, float, bool]] = []
    bench.intake.listeners.append(lambda *sample: heard.append(sample))
    bench.give('camera', data=b'')
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


def test_serialised_messages_give_the_same_as_messages(bench: Any) -> None:
    maker = bench.maker
    for name in ('imu', 'lidar', 'audio', 'camera'):
        message = getattr(maker, f'_{name}')(bench.clock.now)
        bench.intake.accept(message, name)
        seen = bench.intake.wait(0.0)
        bench.intake.reset()
        bench.intake.accept(serialize_message(message), name)
        again = bench.intake.wait(0.0)
        bench.intake.reset()
        assert (seen is None) == (again is None)
        if seen:
            assert seen.equals(again)
    assert all(health.accepted == 2 for health in bench.intake.health().values())


@pytest.mark.parametrize('name', ['camera', 'imu', 'lidar', 'audio'])
def test_serialised_messages_that_are_cut_off_are_counted_with_their_reason(
        bench: Any, name: str) -> None:
    message = getattr(bench.maker, f'_{name}')(bench.clock.now)
    bench.intake.accept(serialize_message(message)[:-20], name)
    health = bench.intake.health()[name]
    assert health.dropped == 1
    assert 'serialised' in health.last_reason


def test_what_is_no_message_at_all_is_counted(bench: Any) -> None:
    bench.intake.accept(b'', 'imu')
    assert bench.intake.health()['imu'].dropped == 1


def test_the_chosen_qos_can_be_asked_for(bench: Any) -> None:
    assert qos_text(bench.intake.qos('camera')) == 'best_effort'
    assert bench.intake.requested('imu').depth == 40


@pytest.fixture
def fast(bench: Any) -> Iterator[Any]:
    """An intake whose IMU is polled: ``queue`` is what waits in its subscription."""
    robot = load_robot(ROBOT_FILE)
    robot = dataclasses.replace(robot, imu=dataclasses.replace(robot.imu, rate=1000.0))
    intake = SensorIntake(bench.node, robot, SyncOptions(), lambda: bench.clock.now)
    imu, queue = intake._subscribers['imu'], []

    def drain() -> None:
        while queue:
            imu.signalMessage(queue.pop(0))

    imu.drain = drain
    heard: list[tuple[str, float]] = []
    intake.listeners.append(lambda name, age, frozen: heard.append((name, age)))
    yield SimpleNamespace(intake=intake, imu=imu, queue=queue, heard=heard, clock=bench.clock,
                          maker=bench.maker)
    intake.close()


def test_a_fast_sensor_is_read_before_the_frame_that_makes_the_tick(fast: Any) -> None:
    fast.intake.accept(fast.maker._lidar(fast.clock.now), 'lidar')
    fast.clock.now += 60 * MS
    fast.queue.append(fast.maker._imu(fast.clock.now))
    fast.intake.accept(fast.maker._camera(fast.clock.now), 'camera')
    assert fast.intake.wait(0.0).present['imu']
    assert [name for name, _ in fast.heard] == ['lidar', 'imu', 'camera']


def test_what_a_replaced_subscription_held_goes_before_what_came_later(fast: Any) -> None:
    now = fast.clock.now
    fast.imu.signalMessage(fast.maker._imu(now - 20 * MS))  # as adapt does when it leaves
    fast.queue.append(fast.maker._imu(now - 10 * MS))
    fast.intake.accept(fast.maker._lidar(now), 'lidar')
    assert fast.intake.health()['imu'].accepted == 2
    assert fast.heard[0] == ('imu', pytest.approx(0.01))


def test_a_fast_sensor_on_its_own_is_read_by_the_timer() -> None:
    robot = load_robot(ROBOT_FILE)
    robot = dataclasses.replace(robot, imu=dataclasses.replace(robot.imu, rate=1000.0))
    context = Context()
    rclpy.init(args=[], context=context, domain_id=1 + os.getpid() % 100)
    node = Node('intake', context=context, enable_rosout=False)
    intake = SensorIntake(node, robot, SyncOptions(), lambda: 10**12)
    out = node.create_publisher(Imu, robot.imu.topic, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        end = time.monotonic() + 30
        while intake.health()['imu'].accepted < 5:
            assert time.monotonic() < end, 'waited in vain for what was sent'
            if out.get_subscription_count():
                out.publish(Imu())
            executor.spin_once(timeout_sec=0.01)
    finally:
        intake.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def test_a_poll_comes_before_a_sample_counts_as_late() -> None:
    assert POLL_PERIOD <= (LATE_PERIODS * SHORTEST_PERIOD + LATE_SECONDS) / 2


@pytest.mark.parametrize(('rate', 'trigger', 'polled'), [
    (1000.0, 'camera', True), (100.0, 'camera', False), (1000.0, 'timer', False),
    (1000.0, 'imu', False)])
def test_only_fast_sensors_that_no_tick_waits_for_are_polled(
        bench: Any, rate: float, trigger: str, polled: bool) -> None:
    robot = load_robot(ROBOT_FILE)
    robot = dataclasses.replace(robot, trigger=trigger,
                                imu=dataclasses.replace(robot.imu, rate=rate))
    intake = SensorIntake(bench.node, robot, SyncOptions(), lambda: bench.clock.now)
    assert intake._subscribers['imu'].polled == polled
    intake.close()
