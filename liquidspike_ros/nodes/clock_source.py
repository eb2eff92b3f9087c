"""/clock messages from nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock


def time_message(nanoseconds: int) -> Time:
    """``builtin_interfaces/Time`` of a ROS time in ns."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return Time(sec=seconds, nanosec=rest)


def clock_message(nanoseconds: int) -> Clock:
    """``rosgraph_msgs/Clock`` of a ROS time in ns."""
    return Clock(clock=time_message(nanoseconds))
