from __future__ import annotations

import pytest
from rclpy.clock import Clock
from rclpy.clock_type import ClockType

from liquidspike_ros.nodes.clock_source import clock_message, now_ns


@pytest.mark.parametrize('kind', [ClockType.SYSTEM_TIME, ClockType.STEADY_TIME, ClockType.ROS_TIME])
def test_the_short_way_to_the_time_gives_what_the_long_one_does(kind: ClockType) -> None:
    clock = Clock(clock_type=kind)
    before = clock.now().nanoseconds
    assert before <= now_ns(clock) <= clock.now().nanoseconds


def test_a_clock_message_splits_seconds_from_the_rest() -> None:
    message = clock_message(3_000_000_007)
    assert (message.clock.sec, message.clock.nanosec) == (3, 7)
