"""Odd starts are odd in the way they say, and never hopeless."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.arena import ARRIVAL_DISTANCE, BEACON_RADIUS, Layout, sample_layout
from liquidspike_ros.sim.robot_model import ROBOT_RADIUS
from liquidspike_ros.sim.starts import KINDS, odd_start, sample_start

SEEDS = range(2000, 2015)


def free_space(layout: Layout, x: float, y: float) -> float:
    return float(layout.distance(np.array((x, y)))) - ROBOT_RADIUS


@pytest.mark.parametrize('kind', KINDS)
def test_a_start_touches_nothing_and_has_a_way_to_go(kind: str) -> None:
    for seed in SEEDS:
        layout = sample_layout(seed)
        x, y, _ = odd_start(layout, kind, np.random.default_rng(seed))
        assert free_space(layout, x, y) > 0.0
        left = math.hypot(layout.goal.x - x, layout.goal.y - y)
        assert left > BEACON_RADIUS + ARRIVAL_DISTANCE + 0.5


def test_against_is_close_to_something_and_faces_it() -> None:
    facing = []
    for seed in SEEDS:
        layout = sample_layout(seed)
        x, y, yaw = odd_start(layout, 'against', np.random.default_rng(seed))
        here = free_space(layout, x, y)
        assert here < 0.12
        facing.append(here - free_space(layout, x + 0.02 * math.cos(yaw), y + 0.02 * math.sin(yaw)))
    assert np.mean(np.array(facing) > 0.0) > 0.8


def test_away_turns_its_back_to_the_pillar() -> None:
    for seed in SEEDS:
        layout = sample_layout(seed)
        x, y, yaw = odd_start(layout, 'away', np.random.default_rng(seed))
        bearing = math.atan2(layout.goal.y - y, layout.goal.x - x) - yaw
        assert abs(math.remainder(bearing, math.tau)) > math.pi / 3


def test_the_share_is_kept_and_the_seed_decides() -> None:
    starts = [sample_start(seed, 0.4) for seed in range(2000, 2100)]
    assert 25 <= sum(start is not None for start in starts) <= 55
    assert starts[:20] == [sample_start(seed, 0.4) for seed in range(2000, 2020)]
    assert all(sample_start(seed, 0.0) is None for seed in range(2000, 2020))
