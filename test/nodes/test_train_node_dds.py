from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dds_harness import Process, ROBOT_FILE
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from std_msgs.msg import String
import yaml

from liquidspike_ros.core.checkpoint import from_pretrained
from liquidspike_ros.sim.messages import twist_message
from liquidspike_ros.sim.simulation import Simulation

pytestmark = [pytest.mark.dds, pytest.mark.slow]

SMALL = {
    'model': {'camera_architecture': 'simple', 'fusion_strategy': 'early', 'fusion_dim': 16,
              'encoder_dim': 16, 'spiking_units': 8, 'liquid_units': 8, 'num_spike_steps': 2},
    'data': {'validation': 0.0, 'lanes': 1, 'ticks': 8, 'workers': 1},
    # Long enough to be found by who listens, whatever the number of steps in that time.
    'optimiser': {'epochs': 100_000, 'max_minutes': 0.15},
    'device': 'cpu',
}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Three simulated seconds of a robot that turns on the spot."""
    types, kind = get_typestore(Stores.ROS2_KILTED), 'geometry_msgs/msg/Twist'
    simulation, path = Simulation(3, 3), tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        command = writer.add_connection('/cmd_vel', kind, typestore=types)
        connections: dict[str, Any] = {}
        for step in range(1, 31):
            simulation.command(0.0, 0.5)
            now = step * 100_000_000
            writer.write(command, now - 50_000_000,
                         types.serialize_cdr(twist_message(0.0, 0.5), kind))
            for message in simulation.advance(now):
                topic = f'/{message.topic}'
                if topic not in connections:
                    connections[topic] = writer.add_connection(
                        topic, message.type_name, typestore=types)
                writer.write(connections[topic], message.now_ns, message.serialize())
    return path


def start_training(start: Any, *parameters: str, fresh: bool = False) -> Process:
    arguments = [item for parameter in parameters for item in ('-p', parameter)]
    return start('train_node', '--ros-args', '--params-file', str(ROBOT_FILE), *arguments,
                 fresh=fresh)


def test_it_learns_from_a_bag_tells_its_progress_and_leaves_a_checkpoint(
        node: Any, start: Any, bag: Path, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    node.create_subscription(
        String, '/train_node/progress', lambda message: told.append(json.loads(message.data)),
        QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    config = tmp_path / 'train.yaml'
    config.write_text(yaml.safe_dump({'/**': {'ros__parameters': SMALL}}))
    process = start_training(start, f'bags:=[{bag}]', f'output:={tmp_path / "out"}',
                             f'config_file:={config}', fresh=True)
    assert process.wait(120) == 0, process.output
    model, metadata = from_pretrained(tmp_path / 'out')
    assert model.modalities == ('camera', 'sensors', 'lidar', 'audio')
    assert metadata['robot']['name'] == 'beacon'
    assert told
    assert {'step', 'steps', 'loss'} <= told[0].keys()


@pytest.mark.parametrize(('parameters', 'words'), [
    (['output:=/tmp/nothing'], ['bags', 'expected']),
    (['bags:=[/nowhere/bag]', 'output:=/tmp/nothing'], ['/nowhere/bag', 'expected']),
])
def test_what_it_cannot_work_with_is_one_line(
        start: Any, parameters: list[str], words: list[str]) -> None:
    process = start_training(start, *parameters)
    assert process.wait() == 1
    (line,) = [line for line in process.lines if 'error' in line]
    assert all(word in line for word in words)
    assert 'Traceback' not in process.output
    assert not Path('/tmp/nothing').exists()
