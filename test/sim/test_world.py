from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.robot_model import ROBOT_RADIUS
from liquidspike_ros.sim.world import World


def drive(world: World, v: float, w: float, seconds: float) -> None:
    """Repeat a command at 20 Hz, as a controller does."""
    for _ in range(round(seconds * 20)):
        world.command(v, w)
        world.advance(world.time_ns + 50_000_000)


def test_half_a_metre_per_second_is_that_in_a_straight_line(make_layout):
    world = World(make_layout(start=(-3.0, 0.0, 0.0)))
    drive(world, 0.5, 0.0, 1.0)
    x, _, _ = world.pose
    drive(world, 0.5, 0.0, 4.0)
    end, y, yaw = world.pose
    assert end - x == pytest.approx(2.0, rel=0.03)
    assert abs(y) < 0.02
    assert abs(yaw) < 0.02
    assert world.velocity == pytest.approx((0.5, 0.0), abs=0.015)
    assert world.path_length == pytest.approx(end + 3.0, rel=0.01)


@pytest.mark.parametrize('rate', [1.5, -0.7])
def test_a_yaw_rate_turns_on_the_spot_counter_clockwise_when_positive(make_layout, rate):
    world = World(make_layout())
    drive(world, 0.0, rate, 0.5)
    before = world.pose[2]
    drive(world, 0.0, rate, 1.0)
    x, y, yaw = world.pose
    assert math.remainder(yaw - before, math.tau) == pytest.approx(rate, rel=0.06)
    assert math.hypot(x, y) < 0.02


def test_forward_is_along_the_heading(make_layout):
    world = World(make_layout(start=(1.0, -1.0, 2.0)))
    drive(world, 0.4, 0.0, 2.0)
    x, y, _ = world.pose
    assert math.atan2(y + 1.0, x - 1.0) == pytest.approx(2.0, abs=0.02)


def test_a_command_is_followed_with_lag(make_layout):
    world = World(make_layout())
    drive(world, 0.6, 0.0, 0.05)
    assert 0.05 < world.velocity[0] < 0.5
    drive(world, 0.6, 0.0, 0.45)
    assert world.velocity[0] == pytest.approx(0.6, abs=0.02)


def test_zero_stops_within_15_cm(make_layout):
    world = World(make_layout())
    drive(world, 0.6, 0.0, 1.0)
    x = world.pose[0]
    drive(world, 0.0, 0.0, 1.0)
    assert 0.0 < world.pose[0] - x < 0.15
    assert world.velocity == pytest.approx((0.0, 0.0), abs=1e-3)


def test_a_command_is_obeyed_for_half_a_second(make_layout):
    world = World(make_layout())
    world.command(0.5, 0.0)
    world.advance(450_000_000)
    assert world.velocity[0] > 0.4
    world.advance(1_500_000_000)
    assert abs(world.velocity[0]) < 1e-3


def test_a_wall_stops_the_robot(make_layout):
    world = World(make_layout(start=(3.0, 0.0, 0.0)))
    drive(world, 0.6, 0.0, 5.0)
    assert world.pose[0] == pytest.approx(4.0 - ROBOT_RADIUS, abs=0.01)
    assert [touch.geom for touch in world.touches] == ['wall_east']


def test_the_robot_neither_climbs_nor_tips_over(make_layout, box):
    world = World(make_layout(start=(-2.0, 0.0, 0.0), obstacles=(box(0.0, 0.0), box(2.5, 1.0))))
    rng = np.random.default_rng(1)
    for _ in range(200):
        drive(world, rng.choice([-1.0, 1.0]), rng.choice([-4.0, 0.0, 4.0]), 0.2)
        assert abs(world.data.qpos[2]) < 0.005
        assert world.data.body('base_link').xmat[8] > math.cos(math.radians(3))
        assert np.abs(world.pose[:2]).max() < 4.0 - ROBOT_RADIUS + 0.01
    assert world.collisions > 3  # or nothing of this was put to the test


def test_one_long_push_is_one_touch_and_coming_back_is_another(make_layout, box):
    world = World(make_layout(start=(-0.7, 0.0, 0.0), obstacles=(box(0.0, 0.0),)))
    drive(world, 0.3, 0.0, 3.0)
    assert [touch.geom for touch in world.touches] == ['box_0']
    assert 0 < world.touches[0].time_ns < 3_000_000_000
    drive(world, -0.3, 0.0, 1.0)
    assert world.collisions == 1
    drive(world, 0.3, 0.0, 2.0)
    assert world.collisions == 2


def test_standing_on_the_floor_is_no_touch(make_layout):
    world = World(make_layout())
    world.advance(2_000_000_000)
    assert world.collisions == 0
    assert world.pose == pytest.approx((0.0, 0.0, 0.0), abs=1e-4)


def test_poses_between_steps_follow_the_motion(make_layout):
    world = World(make_layout())
    drive(world, 0.5, 1.0, 1.0)
    between = world.pose_at(world.time_ns + 4_000_000)
    now = world.pose
    world.advance(world.time_ns + 5_000_000)
    expected = np.array(now) + 0.8 * (np.array(world.pose) - np.array(now))
    assert between == pytest.approx(expected, abs=1e-4)


def test_the_day_of_an_episode_follows_from_its_seed(make_layout):
    ends = []
    for seed in (1, 1, 2):
        world = World(make_layout(), seed)
        drive(world, 0.5, 0.5, 1.0)
        ends.append(world.pose)
    assert ends[0] == ends[1]
    assert ends[0] != ends[2]


@pytest.mark.parametrize('command', [(math.nan, 0.0), (0.0, math.inf)])
def test_a_command_that_is_no_number_is_refused(make_layout, command):
    with pytest.raises(ValueError, match='expected finite'):
        World(make_layout()).command(*command)
