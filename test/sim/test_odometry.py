from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.odometry import WheelOdometry
from liquidspike_ros.sim.world import World


def drive(world: World, odometry: WheelOdometry, v: float, w: float, seconds: float):
    """Drive with the odometry read at 50 Hz; the last message."""
    for _ in range(round(seconds * 50)):
        world.command(v, w)
        world.advance(world.time_ns + 20_000_000)
        message = odometry.measure(world, world.time_ns)
    return message


def planar(message) -> tuple[float, float, float]:
    pose = message.pose.pose
    return pose.position.x, pose.position.y, 2 * math.atan2(pose.orientation.z, pose.orientation.w)


def test_it_starts_at_the_origin_and_counts_the_way_driven(make_layout):
    world = World(make_layout(start=(-1.0, 2.0, 2.2)))
    message = drive(world, WheelOdometry(world, 1), 0.4, 0.0, 3.0)
    x, y, yaw = planar(message)
    assert x == pytest.approx(math.dist(world.pose[:2], (-1.0, 2.0)), rel=0.03)
    assert abs(y) < 0.1
    assert abs(yaw) < 0.1
    assert message.twist.twist.linear.x == pytest.approx(world.velocity[0], abs=0.02)


def test_it_follows_a_curve(make_layout):
    world = World(make_layout())
    message = drive(world, WheelOdometry(world, 2), 0.4, 0.6, 4.0)
    assert planar(message) == pytest.approx(world.pose, abs=0.2)
    assert message.twist.twist.angular.z == pytest.approx(world.velocity[1], abs=0.05)


def test_it_drifts_differently_in_every_episode(make_layout):
    errors = []
    for seed in range(4):
        world = World(make_layout())
        message = drive(world, WheelOdometry(world, seed), 0.4, 0.6, 4.0)
        errors.append(math.dist(planar(message)[:2], world.pose[:2]))
    assert min(errors) > 1e-4
    assert max(errors) > 0.01
    assert np.ptp(errors) > 0.005


def test_its_metre_is_a_little_off(make_layout):
    scales = []
    for seed in range(8):
        world = World(make_layout())
        message = drive(world, WheelOdometry(world, seed), 0.5, 0.0, 4.0)
        scales.append(math.hypot(*planar(message)[:2]) / world.path_length)
    assert 0.002 < np.std(scales) < 0.02


def test_wheels_that_slip_deceive_it(make_layout):
    world = World(make_layout(start=(3.7, 0.0, 0.0)))
    for side in ('left_wheel', 'right_wheel'):
        world.model.geom(side).friction[0] = 0.1  # wet tiles, and a wall ahead
    message = drive(world, WheelOdometry(world, 0), 0.5, 0.0, 4.0)
    assert world.pose[0] < 3.85
    assert planar(message)[0] > 0.5


def test_frames_follow_rep_105(make_layout):
    world = World(make_layout())
    message = drive(world, WheelOdometry(world, 0), 0.0, 0.0, 0.02)
    assert (message.header.frame_id, message.child_frame_id) == ('odom', 'base_link')
