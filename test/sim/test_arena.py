from __future__ import annotations

from itertools import combinations
import math

import mujoco
import numpy as np
import pytest

from liquidspike_ros.sim.arena import (
    ARRIVAL_DISTANCE,
    BEACON_RADIUS,
    Layout,
    mjcf,
    Obstacle,
    reachable_grid,
    ROOM_SIZE,
    sample_layout,
)

SEEDS = range(5000, 5080)
START_OF_SEED_7 = (0.838139626251269, 2.6613324664961557, -2.9024716690202785)
OF_SEED_7 = (7, 0)


@pytest.fixture(scope='module')
def layouts() -> list[Layout]:
    return [sample_layout(seed) for seed in SEEDS]


def test_a_seed_always_gives_the_same_layout():
    assert sample_layout(11) == sample_layout(11)
    assert sample_layout(11) != sample_layout(12)


def test_a_seed_gives_the_same_layout_on_every_machine():
    layout = sample_layout(7)
    assert layout.start == pytest.approx(START_OF_SEED_7, abs=1e-12)
    assert (len(layout.obstacles), layout.singing) == OF_SEED_7


def test_every_layout_has_6_to_14_obstacles_of_the_agreed_sizes(layouts):
    counts = [len(layout.obstacles) for layout in layouts]
    assert min(counts) == 6
    assert max(counts) == 14
    for obstacle in (o for layout in layouts for o in layout.obstacles):
        assert all(0.1 <= half <= 0.4 for half in obstacle.half)
        assert 0.3 <= obstacle.height <= 0.6
        assert max(obstacle.colour) - min(obstacle.colour) < 0.3  # muted, no pillar's colour


def test_pillars_stand_apart_from_each_other_and_from_the_start(layouts):
    for layout in layouts:
        spots = [layout.start[:2], *((b.x, b.y) for b in layout.beacons)]
        assert all(math.dist(a, b) >= 2.0 for a, b in combinations(spots, 2))


def test_the_start_has_half_a_metre_of_clearance(layouts):
    for layout in layouts:
        assert layout.distance(np.array(layout.start[:2])) >= 0.5


def test_solids_neither_overlap_nor_leave_the_room(layouts):
    turn = np.linspace(0, math.tau, 64, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    for layout in layouts:
        circles = [(o.x, o.y, o.radius) for o in layout.obstacles]
        circles += [(b.x, b.y, BEACON_RADIUS) for b in layout.beacons]
        for (ax, ay, ar), (bx, by, br) in combinations(circles, 2):
            assert math.hypot(ax - bx, ay - by) > ar + br
        for x, y, radius in circles:
            assert np.abs(ring * radius + (x, y)).max() <= ROOM_SIZE / 2


def test_a_wide_disc_reaches_every_pillar(layouts):
    for layout in layouts:
        axis, reached = reachable_grid(layout, radius=0.30)
        x, y = np.meshgrid(axis, axis, indexing='ij')
        for beacon in layout.beacons:
            near = np.hypot(x - beacon.x, y - beacon.y) <= BEACON_RADIUS + ARRIVAL_DISTANCE
            assert (near & reached).any()


def test_every_pillar_sings_now_and_then(layouts):
    assert {layout.singing for layout in layouts} == {0, 1, 2}
    assert all(layout.goal is layout.beacons[layout.singing] for layout in layouts)


def test_distance_is_that_of_the_nearest_solid(make_layout, box):
    cylinder = Obstacle(kind='cylinder', x=-2.0, y=1.0, yaw=0.0, half=(0.25, 0.25), height=0.4,
                        colour=(0.4, 0.4, 0.4))
    layout = make_layout(obstacles=(box(1.0, 0.0, yaw=math.pi / 4), cylinder))
    points = np.array([(0.0, 0.0), (1.0, 0.0), (-2.0, 0.5), (3.9, 0.0), (3.0, 2.5), (5.0, 0.0)])
    expected = [1.0 - 0.3 * math.sqrt(2), -0.3, 0.25, 0.1, 0.35, -1.0]
    assert layout.distance(points) == pytest.approx(expected)
    assert layout.distance(np.array((3.0, 2.5)), beacons=False) == pytest.approx(1.0)


def test_an_oblong_box_is_turned_counter_clockwise(make_layout, box):
    layout = make_layout(obstacles=(box(0.0, 0.0, yaw=math.radians(30), half=(1.0, 0.1)),))
    along = np.array((math.cos(math.radians(30)), math.sin(math.radians(30))))
    assert layout.distance(0.9 * along) == pytest.approx(-0.1)
    assert layout.distance(0.9 * along * (1, -1)) > 0.5


def test_a_pocket_behind_a_wall_of_boxes_is_not_reachable(make_layout, box):
    fence = box(0.0, 1.5, half=(4.0, 0.1))
    axis, reached = reachable_grid(make_layout(obstacles=(fence,)))
    assert reached[:, axis < 1.0].any()
    assert not reached[:, axis > 1.5].any()


def test_the_model_stands_where_the_layout_says():
    layout = sample_layout(3)
    model = mujoco.MjModel.from_xml_string(mjcf(layout))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert data.body('base_link').xpos[:2] == pytest.approx(layout.start[:2])
    for index, obstacle in enumerate(layout.obstacles):
        place = data.geom(f'{obstacle.kind}_{index}').xpos
        assert place == pytest.approx((obstacle.x, obstacle.y, obstacle.height / 2))
    for beacon in layout.beacons:
        assert data.geom(f'beacon_{beacon.colour}').xpos[:2] == pytest.approx((beacon.x, beacon.y))
    assert 7.5 < sum(model.body_mass) < 8.5


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match='seed: got -1'):
        sample_layout(-1)
