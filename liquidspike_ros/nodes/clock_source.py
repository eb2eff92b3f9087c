"""ROS time in nanoseconds, and /clock messages from it."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.clock import Clock as NodeClock
from rosgraph_msgs.msg import Clock


def now_ns(clock: NodeClock) -> int:
    """ROS time, ns: ``clock.now()`` without its checked objects, which take 5 µs a sample."""
    with clock.handle:
        nanoseconds: int = clock.handle.get_now().nanoseconds
    return nanoseconds


def time_message(nanoseconds: int) -> Time:
    """``builtin_interfaces/Time`` of a ROS time in ns."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return Time(sec=seconds, nanosec=rest)


def clock_message(nanoseconds: int) -> Clock:
    """``rosgraph_msgs/Clock`` of a ROS time in ns."""
    return Clock(clock=time_message(nanoseconds))
