"""What of a recording is replayed, how it is offered, and when: everything but ROS itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ..robot import COMMAND_INTERFACES
from ..training.bag_metadata import RecordedQos
from ..training.bags import TopicReport

# Interface types that make something move; a topic that ends in cmd_vel does, whatever its type.
_MOVING = (
    *COMMAND_INTERFACES.values(), 'ackermann_msgs/msg/AckermannDrive',
    'ackermann_msgs/msg/AckermannDriveStamped', 'trajectory_msgs/msg/JointTrajectory',
)
_COMMAND_NAMES = ('cmd_vel', 'cmd_vel_stamped', 'cmd_vel_unstamped', 'command', 'commands')
CLOCK = '/clock'  # ours follows the rate, and loops


def is_command(topic: str, report: TopicReport, named: Iterable[str] = ()) -> bool:
    """Whether replaying a topic could move a robot that listens.

    Args:
        topic: Absolute name.
        report: Its types.
        named: Absolute names of topics that are commands whatever they hold.
    """
    return (topic in set(named) or topic.rpartition('/')[2] in _COMMAND_NAMES
            or any(kind in _MOVING for kind in report.types))


def selected(topics: Mapping[str, TopicReport], only: Sequence[str],
             exclude: Sequence[str]) -> dict[str, TopicReport]:
    """The topics that match a pattern of ``only`` (all if there is none) and none of ``exclude``.

    Patterns are names, with or without the leading slash, in which ``*`` stands for anything.
    """
    def matches(topic: str, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(topic, '/' + pattern.lstrip('/')) for pattern in patterns)

    return {topic: report for topic, report in topics.items()
            if topic != CLOCK and report.count and (not only or matches(topic, only))
            and not matches(topic, exclude)}


def recorded_profile(profiles: Sequence[RecordedQos]) -> QoSProfile:
    """How to offer a topic so that whoever heard it when it was recorded hears it again.

    As rosbag2 does: reliable and transient local if any publisher was; reliable where unknown.
    """
    words = [profile.reliability for profile in profiles]
    latched = any(profile.durability == 'transient_local' for profile in profiles)
    lossy = bool(words) and all(word == 'best_effort' for word in words)
    return QoSProfile(
        depth=max([10, *(profile.depth for profile in profiles)]),
        reliability=ReliabilityPolicy.BEST_EFFORT if lossy else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)


class Pacing:
    """When each message is due, with long gaps skipped.

    Args:
        rate: Speed, 1 as recorded.
        longest: Gap that is still waited for, s of recorded time.
    """

    def __init__(self, rate: float, longest: float) -> None:
        self._rate, self._longest = rate, longest * 1e9
        self._begin: int | None = None
        self._last = 0

    def gap(self, time: int) -> float:
        """Take the next message's log time, ns; the length of the gap skipped before it, s.

        Times that go back are played at once.
        """
        if self._begin is None:
            self._begin = self._last = time
            return 0.0
        step = time - self._last
        self._last = max(time, self._last)
        if step <= self._longest:
            return 0.0
        self._begin += step
        return step / 1e9

    def due(self, time: int) -> float:
        """Seconds after the start at which a time of the recording, ns, is due."""
        return (time - (self._begin or 0)) / 1e9 / self._rate
