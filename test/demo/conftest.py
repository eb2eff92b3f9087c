from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.demo.recording import PolicyTick, Recording, Scan
from liquidspike_ros.sim.expert import Expert
from liquidspike_ros.sim.messages import SimMessage
from liquidspike_ros.sim.simulation import Simulation

SEED = 1003
PERIOD = 66_666_667


def keep(recording: Recording, message: SimMessage) -> None:
    """What the observer does, for messages that never went over the wire."""
    now, msg = message.now_ns, message.msg
    if message.topic == 'camera/image_raw':
        recording.images.add(now, np.asarray(msg.data).reshape(msg.height, msg.width, 3))
    elif message.topic == 'scan':
        angles = msg.angle_min + msg.angle_increment * np.arange(len(msg.ranges))
        recording.scans.add(now, Scan(np.asarray(msg.ranges), angles.astype(np.float32)))
    elif message.topic == 'audio':
        chunk = np.asarray(msg.data, dtype=np.float32).reshape(-1, 2).T / 32768
        recording.sounds.add(now, chunk)
    elif message.topic == 'ground_truth':
        pose = msg.pose.pose
        yaw = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
        recording.poses.add(now, (pose.position.x, pose.position.y, yaw))
    elif message.topic == 'clock':
        recording.clock_wall.add(now, 1_000_000_000_000 + now)


@pytest.fixture(scope='session')
def driven() -> Recording:
    """Three seconds of the expert in lockstep, as a demo would have kept them."""
    simulation, recording = Simulation(SEED), Recording(seed=SEED)
    expert, rng = Expert(simulation.layout), np.random.default_rng(0)
    names = ('camera', 'imu', 'lidar', 'audio')
    for now in range(PERIOD, 3_000_000_000, PERIOD):
        for message in simulation.advance(now):
            keep(recording, message)
        command = expert.command(simulation.pose, simulation.velocity[1])
        simulation.command(*command)
        recording.commands.add(now, command)
        recording.command_wall.append(1_000_000_000_000 + now + 20_000_000)
        attention = rng.dirichlet(np.ones(4), 4).astype(np.float32)
        recording.ticks.add(now, PolicyTick(
            weights=dict(zip(names, attention.mean(axis=0).tolist(), strict=True)),
            attention=attention, spikes={name: rng.random(64, np.float32) for name in names},
            present=dict.fromkeys(names, True), gate='ACTIVE',
            camera=recording.images.times[-1], sent=recording.command_wall[-1] + 1000))
    recording.status = {'outcome': 'arrived', 'time': 2.9, 'path_length': simulation.path_length,
                        'collisions': 0, 'sim_time': 3.0}
    recording.decided = 3_000_000_000
    return recording
