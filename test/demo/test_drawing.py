"""The plan view shows the room, the way and the directions where they are."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
import numpy as np
import pytest

from liquidspike_ros.demo.drawing import draw_episode, draw_room, save_episode
from liquidspike_ros.sim.arena import BEACON_RADIUS, Layout, sample_layout
from liquidspike_ros.sim.episode import EpisodeResult

LAYOUT = sample_layout(7)


def made_up(layout: Layout) -> EpisodeResult:
    """Straight along x from (−2, 0), looking along it, hearing to the left, seeing red ahead."""
    count = 21
    x = np.linspace(-2.0, 0.0, count + 1)
    seen = np.full((count, 3), math.nan)
    seen[:, 0] = 0.0
    heard = np.full(count, math.nan)
    heard[10] = math.pi / 2
    return EpisodeResult(
        seed=7, outcome='wrong_beacon', time=4.2, path_length=2.0, shortest=2.0, collisions=1,
        start=(-2.0, 0.0, 0.0), stamps=np.arange(count),
        trajectory=np.stack([x, 0.0 * x, 0.0 * x], axis=1),
        commands=np.zeros((count, 2)), heard=heard, seen=seen)


def arrows(axes: object) -> list[tuple[np.ndarray, np.ndarray, object]]:
    """Tail, head and colour of every arrow."""
    return [(np.array(t.xyann), np.array(t.xy), t.arrow_patch.get_edgecolor())
            for t in axes.texts if getattr(t, 'arrow_patch', None) is not None]  # type: ignore[attr-defined]


def test_obstacles_and_pillars_are_drawn_where_they_stand() -> None:
    axes = Figure().add_subplot()
    draw_room(axes, LAYOUT)
    circles = {(round(p.center[0], 6), round(p.center[1], 6)): p.radius
               for p in axes.patches if isinstance(p, Circle) and p.get_fill()}
    boxes = [p for p in axes.patches if isinstance(p, Rectangle)]
    for beacon in LAYOUT.beacons:
        assert circles[round(beacon.x, 6), round(beacon.y, 6)] == BEACON_RADIUS
    kinds = [o.kind for o in LAYOUT.obstacles]
    assert len(boxes) == kinds.count('box') + 1  # and the room
    assert len(circles) == kinds.count('cylinder') + 3
    for obstacle in LAYOUT.obstacles:
        if obstacle.kind == 'box':
            corners = [p.get_corners() for p in boxes]
            centres = np.array([c.mean(axis=0) for c in corners])
            nearest = int(np.argmin(np.abs(centres - (obstacle.x, obstacle.y)).sum(axis=1)))
            assert centres[nearest] == pytest.approx((obstacle.x, obstacle.y))
            # The corners really lie on the outline the simulation collides with.
            assert obstacle.distance(np.array(corners[nearest])) == pytest.approx(0.0, abs=1e-9)


def test_only_the_singing_pillar_has_a_note() -> None:
    axes = Figure().add_subplot()
    draw_room(axes, LAYOUT)
    (note,) = [t for t in axes.texts if t.get_text() == '♪']
    assert note.xy == (LAYOUT.goal.x, LAYOUT.goal.y)


def test_way_directions_and_outcome_are_drawn() -> None:
    axes = Figure().add_subplot()
    result = made_up(LAYOUT)
    draw_episode(axes, LAYOUT, result)
    way = max(axes.lines, key=lambda line: len(line.get_xdata()))
    assert np.array_equal(way.get_xydata(), result.trajectory[:, :2])
    found = arrows(axes)
    along = [(tail, head) for tail, head, _ in found if head[1] == pytest.approx(tail[1])]
    left = [(tail, head) for tail, head, _ in found if head[0] == pytest.approx(tail[0])]
    assert len(along) == 5  # seen red ahead, every 0.45 m of the 1.9 m with ticks
    assert len(left) == 1
    assert left[0][0] == pytest.approx(result.trajectory[10, :2])
    assert left[0][1][1] > 0.3
    assert axes.get_title() == 'wrong beacon in 4.2 s · 2.00 m · 1 collision (seed 7)'


def test_a_picture_is_written(tmp_path: Path) -> None:
    save_episode(LAYOUT, made_up(LAYOUT), tmp_path / 'episode.png')
    picture = cv2.imread(str(tmp_path / 'episode.png'))
    assert picture.shape[0] > 600
    assert picture.std() > 20
