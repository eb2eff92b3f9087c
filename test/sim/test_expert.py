"""The expert arrives, keeps its distance, gets out of corners and is a smooth function of pose."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.arena import ARRIVAL_DISTANCE, BEACON_RADIUS, Layout, sample_layout
from liquidspike_ros.sim.expert import Expert, MAX_SPEED, MAX_TURN, Pose
from liquidspike_ros.sim.robot_model import ROBOT_RADIUS

DT = 1 / 15


def free_space(layout: Layout, pose: Pose) -> float:
    """Between the robot's hull and whatever it must not touch, m."""
    nearest = float(layout.distance(np.array(pose[:2]), beacons=False))
    for index, beacon in enumerate(layout.beacons):
        if index != layout.singing:
            nearest = min(nearest,
                          math.hypot(beacon.x - pose[0], beacon.y - pose[1]) - BEACON_RADIUS)
    return nearest - ROBOT_RADIUS


def drive(expert: Expert, pose: Pose, limit_s: float = 60.0) -> list[Pose]:
    """Poses of a kinematic robot with the acceleration limits of the beacon robot."""
    v = w = 0.0
    poses = [pose]
    for _ in range(round(limit_s / DT)):
        x, y, yaw = poses[-1]
        if expert.distance_to_goal(x, y) <= ARRIVAL_DISTANCE:
            break
        wanted = expert.command((x, y, yaw), w)
        v += float(np.clip(wanted[0] - v, -2.5 * DT, 1.5 * DT))
        w += float(np.clip(wanted[1] - w, -8 * DT, 8 * DT))
        yaw += w * DT
        poses.append((x + v * DT * math.cos(yaw), y + v * DT * math.sin(yaw), yaw))
    return poses


@pytest.mark.parametrize('seed', range(12))
def test_arrives_with_room_to_spare(seed: int) -> None:
    layout = sample_layout(seed)
    expert = Expert(layout)
    poses = drive(expert, layout.start)
    assert expert.distance_to_goal(*poses[-1][:2]) <= ARRIVAL_DISTANCE
    assert min(free_space(layout, p) for p in poses) > 0.10
    driven = np.linalg.norm(np.diff(np.array(poses)[:, :2], axis=0), axis=1).sum()
    assert driven == pytest.approx(expert.path_length(*layout.start[:2]), rel=0.15)


@pytest.mark.parametrize('seed', range(100, 106))
def test_recovers_from_standing_against_something_and_facing_it(seed: int) -> None:
    layout = sample_layout(seed)
    expert = Expert(layout)
    rng = np.random.default_rng(seed)
    tried = 0
    while tried < 3:
        x, y = (float(v) for v in rng.uniform(-3.8, 3.8, 2))
        if not 0.02 < free_space(layout, (x, y, 0.0)) < 0.06:
            continue
        away = np.array([layout.distance(np.array([x + d, y + e]))
                         for d, e in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01))])
        facing = math.atan2(away[3] - away[2], away[1] - away[0])
        poses = drive(expert, (x, y, facing))
        assert expert.distance_to_goal(*poses[-1][:2]) <= ARRIVAL_DISTANCE
        # It turns on the spot before it leaves: it never gets closer than it stood.
        assert min(free_space(layout, p) for p in poses) > 0.0
        tried += 1


def test_commands_keep_to_the_limits_and_never_reverse() -> None:
    expert = Expert(sample_layout(3))
    rng = np.random.default_rng(0)
    for x, y, yaw in rng.uniform((-3.7, -3.7, -4), (3.7, 3.7, 4), (300, 3)):
        v, w = expert.command((x, y, yaw))
        assert 0.0 <= v <= MAX_SPEED
        assert abs(w) <= MAX_TURN


def test_close_poses_get_close_commands() -> None:
    """No switching: over 1 mm and 2 mrad commands change little, but at the watersheds.

    Around an obstacle there is a line from which both ways cost the same, and straight behind
    both turns do; a random pose rarely lies within a millimetre of either.
    """
    expert = Expert(sample_layout(9))
    rng = np.random.default_rng(1)
    changes = []
    for x, y, yaw in rng.uniform((-3.6, -3.6, -3), (3.6, 3.6, 3), (400, 3)):
        here = np.array(expert.command((x, y, yaw)))
        there = np.array(expert.command((x + 7e-4, y - 7e-4, yaw + 2e-3)))
        changes.append(np.abs(here - there) / (MAX_SPEED, MAX_TURN))
    assert np.quantile(np.array(changes).max(axis=1), 0.95) < 0.03


def test_a_turn_about_keeps_its_side() -> None:
    layout = sample_layout(0)
    expert = Expert(layout)
    x, y, _ = layout.start
    ahead = expert.path(x, y)[18]
    behind = math.atan2(ahead[1] - y, ahead[0] - x) + math.pi
    for offset in (-0.2, 0.2):
        assert expert.command((x, y, behind + offset), 1.5)[1] == MAX_TURN
        assert expert.command((x, y, behind + offset), -1.5)[1] == -MAX_TURN


def test_path_ends_at_arrival_and_stays_clear() -> None:
    layout = sample_layout(19)
    path = Expert(layout).path(*layout.start[:2])
    assert np.allclose(path[0], layout.start[:2])
    assert min(free_space(layout, (x, y, 0.0)) for x, y in path) > 0.10
    end = math.hypot(layout.goal.x - path[-1][0], layout.goal.y - path[-1][1]) - BEACON_RADIUS
    assert end == pytest.approx(ARRIVAL_DISTANCE, abs=0.03)
