from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.robot import LidarSpec
from liquidspike_ros.sim.lidar import Lidar
from liquidspike_ros.sim.world import World


def angles(scan) -> np.ndarray:
    return scan.angle_min + scan.angle_increment * np.arange(len(scan.ranges))


def to_walls(x: float, y: float, bearing: np.ndarray) -> np.ndarray:
    """Distance from a point to the walls of the room along bearings."""
    cos, sin = np.cos(bearing), np.sin(bearing)
    return np.minimum((np.copysign(4.0, cos) - x) / cos, (np.copysign(4.0, sin) - y) / sin)


def scan_at(layout, seed: int = 0):
    return Lidar(seed).measure(World(layout), 0)


def test_beams_are_those_of_the_robot_description(make_layout):
    scan, spec = scan_at(make_layout()), LidarSpec()
    share = (spec.angle_max - spec.angle_min) / spec.beams
    expected = spec.angle_min + share * (np.arange(spec.beams) + 0.5)
    assert angles(scan) == pytest.approx(expected)
    assert scan.angle_max == pytest.approx(expected[-1])
    assert (scan.range_min, scan.range_max) == (spec.range_min, spec.range_max)


@pytest.mark.parametrize('start', [(0.0, 0.0, 0.0), (-1.0, 2.0, 0.7), (2.0, -0.5, -2.5)])
def test_ranges_are_those_to_the_walls(make_layout, start):
    scan = scan_at(make_layout(start=start))
    x, y, yaw = start
    bearing = yaw + angles(scan)
    pillar = np.zeros(len(bearing), dtype=bool)
    for px, py in ((3.0, 3.0), (3.0, -3.0), (-3.0, -3.0)):
        away = math.atan2(py - y, px - x)
        pillar |= np.cos(bearing - away) > math.cos(0.25)
    open_beams = np.isfinite(scan.ranges) & ~pillar
    error = scan.ranges - to_walls(x, y, bearing)
    assert open_beams.sum() > 100
    assert np.abs(error[open_beams]).max() < 0.05
    assert error[open_beams].std() == pytest.approx(0.01, rel=0.3)
    assert abs(error[open_beams].mean()) < 0.003


def test_an_obstacle_ahead_left_is_seen_ahead_left(make_layout, box):
    scan = scan_at(make_layout(start=(0.0, 0.0, 1.0), obstacles=(
        box(2.0 * math.cos(1.5), 2.0 * math.sin(1.5)),)))
    ranges = np.where(np.isfinite(scan.ranges), scan.ranges, 9.0)
    assert angles(scan)[int(ranges.argmin())] == pytest.approx(0.5, abs=0.2)
    assert 1.5 < ranges.min() < 1.8


def test_nothing_within_range_is_infinity(make_layout):
    layout = make_layout(start=(-3.5, -3.5, 0.0), red=(-3.0, 0.0), blue=(-3.0, 3.0))
    scan = scan_at(layout)
    truth = to_walls(-3.5, -3.5, angles(scan))
    beyond = truth > 8.1
    assert beyond.sum() > 10
    assert np.isposinf(scan.ranges[beyond]).all()


def test_a_few_returns_are_lost_and_noise_is_new_in_every_scan(make_layout):
    world, lidar = World(make_layout()), Lidar(3)
    scans = np.stack([lidar.measure(world, 0).ranges for _ in range(40)])
    assert 0.001 < np.isposinf(scans).mean() < 0.01
    assert (scans[0] != scans[1]).mean() > 0.9


def test_the_robot_does_not_see_itself(make_layout):
    scan = scan_at(make_layout())
    assert scan.ranges.min() > 3.5
