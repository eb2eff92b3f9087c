from __future__ import annotations

import json
import time
from typing import Any

from dds_harness import call, wait_for
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, LaserScan
from std_msgs.msg import Int16MultiArray, String
from std_srvs.srv import Trigger

pytestmark = [pytest.mark.dds, pytest.mark.slow]


class Ear:
    """All messages of the simulated robot."""

    def __init__(self, node: Any) -> None:
        self.got: dict[str, list[Any]] = {}
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for kind, topic, qos in (
                (Clock, '/clock', 100), (Image, 'camera/image_raw', 10), (Imu, 'imu', 100),
                (LaserScan, 'scan', 10), (Int16MultiArray, 'audio', 50), (Odometry, 'odom', 50),
                (String, 'sim_node/status', latched)):
            self.got[topic] = []
            node.create_subscription(kind, topic, self.got[topic].append, qos)

    @property
    def status(self) -> dict[str, Any]:
        got = self.got['sim_node/status']
        return json.loads(got[-1].data) if got else {}


def test_the_robot_is_there_obeys_and_starts_again(node: Any, start: Any) -> None:
    ear = Ear(node)
    commands = node.create_publisher(Twist, 'cmd_vel', 10)
    process = start('sim_node', '--ros-args', '-p', 'seed:=7', '-p', 'time_limit:=1.0')
    wait_for(lambda: all(ear.got.values()), 'all topics')

    scan, image = ear.got['scan'][-1], ear.got['camera/image_raw'][-1]
    assert (len(scan.ranges), image.width, image.height, image.encoding) == (180, 96, 72, 'rgb8')
    assert len(ear.got['audio'][-1].data) == 2 * 320
    clock = ear.got['/clock'][-1].clock
    stamp = ear.got['imu'][-1].header.stamp
    assert abs(clock.sec + clock.nanosec * 1e-9 - stamp.sec - stamp.nanosec * 1e-9) < 1.0

    assert ear.status['path_length'] < 0.05
    assert ear.status['time'] == 0.0
    end = time.monotonic() + 60
    while not ear.status['outcome'] and time.monotonic() < end:
        message = Twist()
        message.angular.z = 1.0
        commands.publish(message)
        time.sleep(0.05)
    assert ear.status['outcome'] == 'timeout'
    assert ear.status['time'] == pytest.approx(1.0, abs=0.05)

    late = ear.status['sim_time']
    assert call(node, Trigger, '/sim_node/reset', Trigger.Request()).success
    wait_for(lambda: ear.status['seed'] == 8, 'the next episode')
    assert ear.status['outcome'] == ''
    assert ear.status['sim_time'] < late
    assert process.signal() == 0
    assert 'Traceback' not in process.output


def test_stamped_commands_and_a_namespace(node: Any, start: Any) -> None:
    poses: list[Odometry] = []
    node.create_subscription(Odometry, '/r1/odom', poses.append, 50)
    commands = node.create_publisher(TwistStamped, '/r1/cmd_vel', 10)
    start('sim_node', '--ros-args', '-p', 'command_type:=twist_stamped', '-r', '__ns:=/r1')
    wait_for(lambda: poses, 'odometry below the namespace')

    def turning() -> bool:
        message = TwistStamped()
        message.twist.angular.z = 1.0
        commands.publish(message)
        time.sleep(0.05)
        return poses[-1].twist.twist.angular.z > 0.5

    wait_for(turning, 'the robot to turn')


def test_a_bad_parameter_is_one_line(start: Any) -> None:
    process = start('sim_node', '--ros-args', '-p', 'command_type:=joy', fresh=True)
    assert process.wait() == 1
    (line,) = [line for line in process.lines if 'error' in line]
    assert 'joy' in line
    assert 'twist_stamped' in line


def test_a_second_robot_runs_by_the_clock_of_the_first(node: Any, start: Any) -> None:
    """Both below a namespace, in one domain; the second starts later and has no clock."""
    clocks, mine, theirs = [], [], []
    node.create_subscription(Clock, '/clock', clocks.append, 100)
    node.create_subscription(Imu, '/r2/imu', mine.append, 100)
    node.create_subscription(Imu, '/r1/imu', theirs.append, 100)
    second = start('sim_node', '--ros-args', '-p', 'publish_clock:=false', '-r', '__ns:=/r2')
    wait_for(lambda: '/r2/sim_node' in {f'{space}/{name}'.replace('//', '/') for name, space
                                        in node.get_node_names_and_namespaces()}, 'the second')
    assert not clocks
    start('sim_node', '--ros-args', '-r', '__ns:=/r1')
    wait_for(lambda: len(mine) > 100 and len(theirs) > 100, 'both to sense')
    assert len(node.get_publishers_info_by_topic('/clock')) == 1
    stamp, clock = mine[-1].header.stamp, clocks[-1].clock
    assert abs(stamp.sec - clock.sec + (stamp.nanosec - clock.nanosec) * 1e-9) < 0.5
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in list(mine)]
    assert stamps == sorted(stamps)
    assert second.running
