"""Arenas simple enough to know every answer by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from liquidspike_ros.sim.arena import Beacon, Layout, Obstacle


@pytest.fixture
def make_layout() -> Callable[..., Layout]:
    """An empty room with the pillars in three corners, the green one singing, unless told."""

    def make(start: tuple[float, float, float] = (0.0, 0.0, 0.0),
             obstacles: tuple[Obstacle, ...] = (), singing: int = 1,
             red: tuple[float, float] = (3.0, 3.0), green: tuple[float, float] = (3.0, -3.0),
             blue: tuple[float, float] = (-3.0, -3.0)) -> Layout:
        beacons = tuple(Beacon(colour=c, x=x, y=y) for c, (x, y) in
                        (('red', red), ('green', green), ('blue', blue)))
        return Layout(seed=0, obstacles=obstacles, beacons=beacons, singing=singing, start=start)

    return make


@pytest.fixture
def box() -> Callable[..., Obstacle]:
    """A box 0.6 m wide and 0.4 m tall."""

    def make(x: float, y: float, yaw: float = 0.0,
             half: tuple[float, float] = (0.3, 0.3)) -> Obstacle:
        return Obstacle(kind='box', x=x, y=y, yaw=yaw, half=half, height=0.4,
                        colour=(0.4, 0.4, 0.4))

    return make
