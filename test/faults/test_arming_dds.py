"""FAULTS rows 7 and 16 over real DDS: who else commands, who publishes what."""

from __future__ import annotations

import time
from typing import Any

from dds_harness import (
    arm,
    arm_when_ready,
    DiagnosticsEar,
    FakeRobot,
    ros_node,
    set_parameter,
    wait_for,
)
from geometry_msgs.msg import Twist, TwistStamped
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
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


def refusal(node: Any, *words: str) -> str:
    """The refusal to arm once it holds ``words``."""
    return wait_for(lambda: (m := arm(node).message) and all(w in m for w in words) and m,
                    f'a refusal that says {words}')


def test_without_publishers_every_sensor_is_named(node: Any, start_policy: Any) -> None:
    start_policy()
    text = refusal(node, 'camera: /camera/image_raw: no publisher', 'imu: /imu: no publisher',
                   'lidar: /scan: no publisher', 'audio: /audio: no publisher')
    assert '/cmd_vel: nobody listens' in text
    assert 'safety.arm_without: [camera, imu, lidar, audio]' in text


def test_three_of_four_sensors_refused_are_named_with_figure_and_remedy(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    """Armed blind on audio alone, once: every stamp came from another clock."""
    ear = DiagnosticsEar(node)
    process = start_policy()
    robot.offset_ns = -1_699_999_000_000_000
    text = refusal(node, 'camera: /camera/image_raw', 'imu: /imu', 'lidar: /scan', 'refused')
    assert 'audio:' not in text
    assert '1699999.0' in text
    assert 'synchronise the clocks' in text
    assert not robot.commands
    wait_for(lambda: 'synchronise the clocks' in getattr(
        ear.status.get('policy: lidar'), 'message', ''), 'the same on diagnostics')
    assert ear.status['policy: lidar'].level == b'\x02'
    wait_for(lambda: 'lidar: /scan' in process.output, 'the same in the log')

    node.create_publisher(Clock, '/clock', 10)
    refusal(node, 'set use_sim_time:=true')

    robot.offset_ns = 0
    arm_when_ready(node)
    wait_for(lambda: robot.commands, 'commands')


def test_a_missing_sensor_is_waived_by_name_and_that_shows(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    robot.enabled.discard('audio')
    start_policy()
    refusal(node, 'audio: /audio: no sample yet')
    set_parameter(node, 'safety.arm_without', ['audio'])
    arm_when_ready(node)
    wait_for(lambda: 'waived by safety.arm_without' in getattr(
        ear.status.get('policy: audio'), 'message', ''), 'the waiver on diagnostics')
    assert ear.value('policy: command', 'waived') == 'audio'


def test_a_base_that_listens_for_another_type_bars_arming(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    start_policy()
    with ros_node('base') as base:  # Fast DDS allows one type a topic in each participant
        base.create_subscription(TwistStamped, 'cmd_vel', lambda message: None, 10)
        text = refusal(node, '/base listens for geometry_msgs/msg/TwistStamped')
        assert 'we send geometry_msgs/msg/Twist' in text
        wait_for(lambda: (said := ear.status.get('policy: command')) and said.level == b'\x02'
                 and 'TwistStamped' in said.message, 'an ERROR')
    arm_when_ready(node)


def test_a_second_publisher_on_a_sensor_topic_is_said(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    start_policy()
    with ros_node('double') as double:
        double.create_publisher(LaserScan, 'scan', 10)
        text = wait_for(lambda: '/double' in (m := getattr(
            ear.status.get('policy: lidar'), 'message', '')) and m, 'both names')
    assert '/scan: published by /double and /test_robot, expected one' in text


def test_a_noise_free_simulator_at_rest_can_be_armed(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    """Everything repeats bit for bit until the robot moves."""
    fixed = {name: getattr(robot, f'_{name}')(1) for name in robot.RATES}
    for name, message in fixed.items():
        restamp = robot._stamp if name != 'audio' else (lambda message, stamp: message)
        setattr(robot, f'_{name}', lambda stamp, m=message, r=restamp: r(m, stamp))
    ear = DiagnosticsEar(node)
    process = start_policy()
    wait_for(lambda: int(ear.value('policy: lidar', 'accepted') or 0) > 20, 'two seconds of rest')
    arm_when_ready(node)
    wait_for(lambda: any(not command.is_zero for command in robot.commands), 'motion')
    wait_for(lambda: 'frozen' in process.output, 'frozen once it moves')
    wait_for(lambda: robot.commands[-1].is_zero, 'a stop')
    time.sleep(1.5)
    assert robot.commands[-1].is_zero, 'standing still must not thaw it'


def test_best_effort_and_reliable_publishers_are_both_heard(
        node: Any, start_policy: Any) -> None:
    """Sensor QoS in: no publisher's reliability is incompatible with a best effort reader."""
    ear = DiagnosticsEar(node)
    node.create_publisher(LaserScan, 'scan', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    node.create_publisher(LaserScan, 'scan', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.RELIABLE))
    start_policy()
    wait_for(lambda: ear.value('policy: lidar', 'publishers') == '2', 'two publishers')


def test_an_imu_in_g_is_not_armed_with_until_waived(
        robot: FakeRobot, node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    whole = robot._imu

    def in_g(stamp: int) -> Any:
        message = whole(stamp)
        message.linear_acceleration.z /= 9.81
        return message

    robot._imu = in_g
    start_policy()
    text = refusal(node, 'imu: /imu: linear_acceleration', 'in g?')
    assert 'sensors.imu.acceleration_unit: g' in text
    wait_for(lambda: (said := ear.status.get('policy: imu')) and 'in g?' in said.message
             and said.level == b'\x01', 'a WARN')
    set_parameter(node, 'safety.arm_without', ['imu'])
    arm_when_ready(node)
