"""Odd places to start from, so that recordings show how to get out of them."""

from __future__ import annotations

import math

import numpy as np

from .arena import BEACON_RADIUS, Layout, reachable_grid, sample_layout
from .expert import Pose
from .robot_model import ROBOT_RADIUS

KINDS = ('against', 'away', 'anywhere')

_LEAST_TO_GOAL = 1.2  # m: nearer starts teach little
_LEAST_TO_WRONG = 0.10  # m between hull and a wrong pillar: touching one ends the episode


def sample_start(seed: int, share: float) -> Pose | None:
    """An odd start pose for the share of seeds that gets one; None for the layout's own start.

    Args:
        seed: Of the episode.
        share: In [0, 1].
    """
    rng = np.random.default_rng([seed, 0x57A7])
    if rng.random() >= share:
        return None
    return odd_start(sample_layout(seed), str(rng.choice(KINDS)), rng)


def odd_start(layout: Layout, kind: str, rng: np.random.Generator) -> Pose:
    """A pose of one kind, from which the singing pillar can be reached.

    ``against`` stands within a few centimetres of something and faces it, ``away`` stands anywhere
    with its back to the pillar, ``anywhere`` looks anywhere.

    Args:
        layout: The arena.
        kind: One of ``KINDS``.
        rng: Draws the pose.
    """
    axis, reachable = reachable_grid(layout, radius=ROBOT_RADIUS + 0.03)
    points = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1)
    goal = np.array((layout.goal.x, layout.goal.y))
    allowed = reachable & (np.linalg.norm(points - goal, axis=-1) > _LEAST_TO_GOAL)
    for index, beacon in enumerate(layout.beacons):
        if index != layout.singing:
            away = np.linalg.norm(points - np.array((beacon.x, beacon.y)), axis=-1)
            allowed &= away - BEACON_RADIUS - ROBOT_RADIUS > _LEAST_TO_WRONG
    free = layout.distance(points) - ROBOT_RADIUS
    close = allowed & (free < 0.12)
    choice = points[close if kind == 'against' and close.any() else allowed]
    x, y = (float(v) for v in choice[int(rng.integers(len(choice)))])
    if kind == 'against':
        yaw = _towards_solid(layout, x, y) + float(rng.normal(0.0, 0.5))
    elif kind == 'away':
        yaw = math.atan2(y - goal[1], x - goal[0]) + float(rng.normal(0.0, 0.4))
    else:
        yaw = float(rng.uniform(-math.pi, math.pi))
    return x, y, math.remainder(yaw, math.tau)


def _towards_solid(layout: Layout, x: float, y: float) -> float:
    """Direction in which the distance to the nearest solid shrinks fastest, rad."""
    step = 0.01
    around = np.array(((x + step, y), (x - step, y), (x, y + step), (x, y - step)))
    east, west, north, south = layout.distance(around)
    return math.atan2(float(south - north), float(west - east))
