"""FAULTS rows 7 and 16 over real DDS: who else commands, who publishes what."""

from __future__ import annotations

from typing import Any

from dds_harness import arm, arm_when_ready, DiagnosticsEar, FakeRobot, ros_node, wait_for
from geometry_msgs.msg import Twist
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

pytestmark = [pytest.mark.dds, pytest.mark.slow]


def test_a_second_publisher_on_the_command_topic_keeps_it_unarmed(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    second = node.create_publisher(Twist, 'cmd_vel', 10)
    start_policy()
    wait_for(lambda: 'also published by /test_robot' in getattr(
        ear.status.get('policy: command'), 'message', ''), 'an ERROR')
    wait_for(lambda: 'cmd_vel' in arm(node).message, 'the refusal')
    assert '/test_robot' in arm(node).message
    assert not robot.commands

    node.destroy_publisher(second)
    arm_when_ready(node)
    wait_for(lambda: robot.commands, 'commands')


def test_a_second_publisher_may_be_allowed(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    node.create_publisher(Twist, 'cmd_vel', 10)
    start_policy(safety__allow_other_publishers=True)
    arm_when_ready(node)


def test_a_wrong_type_that_comes_later_is_an_error_naming_all(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    process = start_policy()
    arm_when_ready(node)
    # In a participant of its own: Fast DDS allows one type a topic in each.
    with ros_node('stranger') as stranger:
        stranger.create_publisher(String, 'scan', 10)
        # The topic may be known before the name of the node that publishes on it.
        text = wait_for(lambda: (s := ear.status.get('policy: lidar')) and s.level == b'\x02'
                        and '/stranger' in s.message and s.message, 'an ERROR on the lidar')
    for part in ('/scan', 'std_msgs/msg/String', 'sensor_msgs/msg/LaserScan'):
        assert part in text
    assert process.running


def test_no_samples_no_arming(node: Any, start_policy: Any) -> None:
    start_policy()
    assert 'no sample' in wait_for(lambda: (m := arm(node).message) and 'inactive' not in m and m,
                                   'a refusal')


def test_best_effort_and_reliable_publishers_are_both_heard(
        node: Any, start_policy: Any) -> None:
    """Sensor QoS in: no publisher's reliability is incompatible with a best effort reader."""
    ear = DiagnosticsEar(node)
    from sensor_msgs.msg import LaserScan
    node.create_publisher(LaserScan, 'scan', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    node.create_publisher(LaserScan, 'scan', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.RELIABLE))
    start_policy()
    wait_for(lambda: ear.value('policy: lidar', 'publishers') == '2', 'two publishers')
