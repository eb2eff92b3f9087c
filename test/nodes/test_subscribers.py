"""A sensor stays one stream, whatever its publishers offer and however that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Imu

from liquidspike_ros.nodes.executors import make_executor
from liquidspike_ros.nodes.offered_qos import qos_text, requested_qos
from liquidspike_ros.nodes.subscribers import Subscriber
from liquidspike_ros.robot import ImuSpec

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
KEPT, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


def offer(reliability: ReliabilityPolicy, durability: DurabilityPolicy = VOLATILE) -> QoSProfile:
    return QoSProfile(depth=100, reliability=reliability, durability=durability)


@pytest.mark.parametrize(('offers', 'text'), [
    ([], 'best_effort'),
    ([offer(RELIABLE)], 'reliable'),
    ([offer(BEST_EFFORT)], 'best_effort'),
    ([offer(RELIABLE), offer(RELIABLE)], 'reliable'),
    ([offer(RELIABLE), offer(BEST_EFFORT)], 'best_effort'),
    ([offer(RELIABLE, KEPT)], 'reliable, transient_local'),
    ([offer(BEST_EFFORT, KEPT)], 'best_effort, transient_local'),
    ([offer(RELIABLE, KEPT), offer(RELIABLE)], 'reliable'),
])
def test_as_much_is_asked_for_as_everybody_offers(offers: list[QoSProfile], text: str) -> None:
    assert qos_text(requested_qos(ImuSpec(), offers)) == text


@pytest.mark.parametrize('fixed', ['reliable', 'best_effort'])
@pytest.mark.parametrize('offered', [RELIABLE, BEST_EFFORT])
def test_the_robot_file_goes_before_the_offer(fixed: str, offered: ReliabilityPolicy) -> None:
    assert qos_text(requested_qos(ImuSpec(reliability=fixed), [offer(offered)])) == fixed


def test_the_queue_holds_a_hiccup_of_the_executor() -> None:
    assert requested_qos(ImuSpec(rate=1000.0), []).depth == 200
    assert requested_qos(ImuSpec(rate=1.0), []).depth == 2


@pytest.fixture(params=['single', 'auto'])
def stage(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A node that listens, another that publishes, and ``turn`` to let things happen."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    context = Context()
    rclpy.init(args=[], context=context, domain_id=1 + os.getpid() % 100)
    listener, talker = Node('listener', context=context), Node('talker', context=context)
    executor = make_executor(request.param, context)
    executor.add_node(listener)
    topic = f'imu_{time.monotonic_ns()}'

    def turn(until: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + 30
        while not until():
            assert time.monotonic() < end, f'waited in vain for {what}'
            executor.spin_once(timeout_sec=0.01)

    def publisher(*qos: Any) -> Any:
        return talker.create_publisher(Imu, topic, offer(*qos))

    def subscriber(reliability: str = 'auto', *, raw: bool = False, polled: bool = False) -> Any:
        spec = ImuSpec(topic=topic, rate=1000.0, reliability=reliability)
        made = Subscriber(listener, Imu, spec, raw=raw, polled=polled)
        listener.create_timer(0.05, made.adapt)
        seen: list[int] = []
        made.registerCallback(
            lambda message: seen.append(message if raw else message.header.stamp.sec))
        return SimpleNamespace(made=made, seen=seen)

    yield SimpleNamespace(turn=turn, publisher=publisher, subscriber=subscriber, executor=executor,
                          talker=talker)
    executor.shutdown()
    listener.destroy_node()
    talker.destroy_node()
    rclpy.try_shutdown(context=context)


def numbered(number: int) -> Imu:
    message = Imu()
    message.header.stamp.sec = number
    return message


def reliability(stream: Any) -> str:
    return qos_text(stream.made.qos)


pytestmark = pytest.mark.dds


def test_it_is_reliable_once_a_reliable_publisher_is_there(stage: Any) -> None:
    stream = stage.subscriber()
    assert reliability(stream) == 'best_effort'
    stage.publisher(RELIABLE)
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription')


def test_it_is_reliable_from_the_start_where_publishers_are_known(stage: Any) -> None:
    publisher = stage.publisher(RELIABLE)
    stage.turn(lambda: stage.talker.count_publishers(publisher.topic_name), 'the publisher')
    time.sleep(0.2)
    stream = stage.subscriber()
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription')
    publisher.publish(numbered(1))
    stage.turn(lambda: stream.seen == [1], 'its message')


def test_a_best_effort_publisher_that_comes_later_is_heard_and_one_that_goes_forgotten(
        stage: Any) -> None:
    stream = stage.subscriber()
    stage.publisher(RELIABLE)
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription')
    late = stage.publisher(BEST_EFFORT)
    stage.turn(lambda: reliability(stream) == 'best_effort', 'a best effort subscription')
    number = iter(range(1, 10**6))
    stage.turn(lambda: (late.publish(numbered(next(number))), stream.seen)[1], 'its messages')
    stage.talker.destroy_publisher(late)
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription again')


@pytest.mark.parametrize('durability', [VOLATILE, KEPT], ids=['volatile', 'transient_local'])
def test_no_message_comes_twice_or_late_while_it_switches(stage: Any, durability: Any) -> None:
    first = stage.publisher(RELIABLE, durability)
    stream = stage.subscriber()
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        first.publish(numbered(sent))

    stage.turn(lambda: (send(), stream.seen)[1], 'the first message')
    def more() -> None:
        enough = len(stream.seen) + 5
        stage.turn(lambda: (send(), len(stream.seen) > enough)[1], 'a few messages')

    for _ in range(3):
        late = stage.publisher(BEST_EFFORT)
        stage.turn(lambda: (send(), reliability(stream) == 'best_effort')[1], 'best effort')
        more()
        stage.talker.destroy_publisher(late)
        stage.turn(lambda: (send(), reliability(stream) != 'best_effort')[1], 'reliable')
        more()
    stage.turn(lambda: stream.seen[-1] == sent, 'the last message')
    assert stream.seen == sorted(set(stream.seen))
    assert len(stream.seen) > 30


def test_what_waits_goes_before_the_switch(stage: Any) -> None:
    first = stage.publisher(RELIABLE)
    stream = stage.subscriber()
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription')
    stage.turn(lambda: (first.publish(numbered(0)), stream.seen)[1], 'a message')
    stream.seen.clear()
    for number in range(1, 11):  # nobody turns the executor: they wait
        first.publish(numbered(number))
    stage.publisher(BEST_EFFORT)
    deadline = time.monotonic() + 30
    while reliability(stream) != 'best_effort' and time.monotonic() < deadline:
        time.sleep(0.01)
        stream.made.adapt()
    assert [number for number in stream.seen if number] == list(range(1, 11))


def test_a_fixed_reliability_stays(stage: Any) -> None:
    stream = stage.subscriber('reliable')
    deaf = stage.publisher(BEST_EFFORT)
    heard = stage.publisher(RELIABLE)
    number = iter(range(10**6))
    stage.turn(lambda: (deaf.publish(numbered(-1)), heard.publish(numbered(next(number))),
                        len(stream.seen) > 20)[-1], 'messages of the reliable one')
    assert reliability(stream) == 'reliable'
    assert -1 not in stream.seen


def test_serialised_messages_come_as_bytes(stage: Any) -> None:
    stream = stage.subscriber(raw=True)
    publisher = stage.publisher(RELIABLE)
    stage.turn(lambda: (publisher.publish(numbered(5)), stream.seen)[1], 'a message')
    assert isinstance(stream.seen[0], bytes)


def test_polled_messages_wake_no_executor_and_come_in_order(stage: Any) -> None:
    out = stage.publisher(RELIABLE)
    stream = stage.subscriber(polled=True)
    stage.turn(out.get_subscription_count, 'a subscription')
    for number in range(1, 6):
        out.publish(numbered(number))
    for _ in range(20):
        stage.executor.spin_once(timeout_sec=0.01)
    assert stream.seen == []
    stage.turn(lambda: (stream.made.drain(), len(stream.seen) == 5)[1], 'five messages')
    assert stream.seen == [1, 2, 3, 4, 5]


def test_a_polled_subscription_follows_what_is_offered_and_closes(stage: Any) -> None:
    stream = stage.subscriber(polled=True)
    out = stage.publisher(RELIABLE)
    stage.turn(lambda: reliability(stream) == 'reliable', 'a reliable subscription')
    stage.turn(out.get_subscription_count, 'a subscription')
    out.publish(numbered(1))
    stage.turn(lambda: (stream.made.drain(), stream.seen)[1], 'a message')
    stream.made.close()
    stage.turn(lambda: not out.get_subscription_count(), 'no subscription')
    stream.made.drain()


def test_nothing_comes_after_closing(stage: Any) -> None:
    stream = stage.subscriber()
    publisher = stage.publisher(RELIABLE)
    stage.turn(lambda: (publisher.publish(numbered(5)), stream.seen)[1], 'a message')
    stream.made.close()
    count = len(stream.seen)
    publisher.publish(numbered(6))
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        stage.executor.spin_once(timeout_sec=0.01)
    assert len(stream.seen) == count


def test_a_message_that_cannot_be_read_ends_nothing(stage: Any) -> None:
    stream = stage.subscriber()
    stream.made._pass(b'no message at all')
    assert stream.seen == []


def test_what_was_kept_for_a_late_listener_is_heard(stage: Any) -> None:
    publisher = stage.publisher(RELIABLE, KEPT)
    publisher.publish(numbered(5))
    stream = stage.subscriber()
    stage.turn(lambda: stream.seen, 'the message sent before')
    assert stream.seen == [5]
    assert reliability(stream) == 'reliable, transient_local'
