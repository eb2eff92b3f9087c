"""A bag gives the policy the very tensors that the same messages give over DDS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dds_harness import ROBOT_FILE, ros_node, wait_for
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
import torch

from liquidspike_ros.control.tensors import observation_tensors
from liquidspike_ros.nodes.intake import SensorIntake
from liquidspike_ros.nodes.messages import message_class
from liquidspike_ros.nodes.options import SyncOptions
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.sensing.observation import Observation
from liquidspike_ros.sensing.stream import observe
from liquidspike_ros.sim.messages import twist_message
from liquidspike_ros.sim.simulation import Simulation
from liquidspike_ros.training.bags import read_events
from liquidspike_ros.training.storage import Storage

pytestmark = [pytest.mark.dds, pytest.mark.slow]

SECOND = 1_000_000_000


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Two simulated seconds; the camera dies after one, one scan comes twice, one image is cut."""
    simulation, path = Simulation(3, 3), tmp_path / 'bag'
    types = get_typestore(Stores.ROS2_KILTED)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kind = 'geometry_msgs/msg/Twist'
        command = writer.add_connection('/cmd_vel', kind, typestore=types)
        writer.write(command, 0, types.serialize_cdr(twist_message(0.1, 0.2), kind))
        connections: dict[str, Any] = {}
        for message in simulation.advance(2 * SECOND):
            topic, now = f'/{message.topic}', message.now_ns
            if topic == '/camera/image_raw' and now > SECOND:
                continue
            if topic not in connections:
                connections[topic] = writer.add_connection(
                    topic, message.type_name, typestore=types)
            if topic == '/camera/image_raw' and 0.5 * SECOND < now < 0.57 * SECOND:
                message.msg.data = message.msg.data[:-7]
            times = [now, now + 1] if topic == '/scan' and now > 1.9 * SECOND else [now]
            for time in times:
                writer.write(connections[topic], time, message.serialize())
    return path


def live(path: Path, robot: RobotSpec, node: Any, sender: Any) -> Iterator[Observation]:
    """Publish one message, wait until it is received, then the next: the order is exact."""
    clock = {'now': 0}
    intake = SensorIntake(node, robot, SyncOptions(), lambda: clock['now'])
    topics = {f'/{spec.topic}': name for name, spec in robot.sensors.items()}
    publishers = {topic: sender.create_publisher(message_class(robot.sensors[name].type), topic, 10)
                  for topic, name in topics.items()}
    wait_for(lambda: all(p.get_subscription_count() for p in publishers.values()), 'matches')

    def received(name: str) -> int:
        health = intake.health()[name]
        return health.accepted + health.dropped

    for message in Storage(path).messages():
        if message.topic not in topics:
            continue
        clock['now'] = message.time
        while (seen := intake.wait(0.0)) is not None:
            yield seen
        name = topics[message.topic]
        before = received(name)
        publishers[message.topic].publish(bytes(message.data))
        wait_for(lambda n=name, b=before: received(n) > b, f'{name} to arrive')
        if (seen := intake.wait(0.0)) is not None:
            yield seen
    intake.close()


def test_bag_and_live_give_equal_tensors(bag: Path, node: Any) -> None:
    robot = load_robot(ROBOT_FILE)
    offline = list(observe(read_events(bag, robot), robot))
    with ros_node('sender') as sender:
        online = list(live(bag, robot, node, sender))

    assert len(offline) > 25
    assert [o.present['camera'] for o in offline[-5:]] == [False] * 5
    assert len(online) == len(offline)
    for there, here in zip(offline, online, strict=True):
        assert here.equals(there)
        (a, present_a), (b, present_b) = (observation_tensors(o, robot) for o in (here, there))
        assert torch.equal(present_a, present_b)
        assert all(torch.equal(a[name], b[name]) for name in a)
