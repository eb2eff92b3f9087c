"""The beacon arena: a walled room, obstacles, three coloured pillars of which one sings.

A layout is a pure function of its seed (NumPy's PCG64 streams are the same on every machine).
Coordinates are metres in the ``map`` frame, origin at the centre of the floor, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from .robot_model import ROBOT_ACTUATORS, robot_body, ROBOT_SENSORS

ROOM_SIZE = 8.0
BEACON_RADIUS = 0.15
BEACON_HEIGHT = 1.0
BEACON_COLOURS = {
    'red': (0.85, 0.08, 0.08),
    'green': (0.08, 0.65, 0.12),
    'blue': (0.10, 0.18, 0.85),
}
ARRIVAL_DISTANCE = 0.40
BEACON_SPACING = 2.0
START_CLEARANCE = 0.50
PASSAGE_RADIUS = 0.30
OBSTACLE_COUNT = (6, 14)

_HALF = ROOM_SIZE / 2
_GAP = 2 * PASSAGE_RADIUS + 0.1
_GRID_STEP = 0.05
_HUES = ((1.0, 1.0, 1.0), (1.0, 0.88, 0.76), (1.0, 0.86, 0.62))  # grey, brown, ochre

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A box or an upright cylinder standing on the floor.

    Attributes:
        kind: ``box`` or ``cylinder``.
        x, y, yaw: Pose of its centre, m and rad.
        half: Half widths along its own x and y, m; a cylinder's radius twice.
        height: m.
        colour: RGB in [0, 1].
    """

    kind: str
    x: float
    y: float
    yaw: float
    half: tuple[float, float]
    height: float
    colour: Colour

    @property
    def radius(self) -> float:
        """Radius of the bounding circle, m."""
        return self.half[0] if self.kind == 'cylinder' else math.hypot(*self.half)

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Signed distance of points ``[..., 2]`` to the outline, m; negative inside."""
        delta = points - np.array((self.x, self.y))
        if self.kind == 'cylinder':
            return np.asarray(np.linalg.norm(delta, axis=-1) - self.half[0])
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        local = delta @ np.array(((cos, -sin), (sin, cos)))
        excess = np.abs(local) - np.array(self.half)
        outside = np.linalg.norm(np.maximum(excess, 0.0), axis=-1)
        return np.asarray(outside + np.minimum(excess.max(axis=-1), 0.0))


@dataclass(frozen=True, kw_only=True)
class Beacon:
    """A pillar: its colour name (a key of ``BEACON_COLOURS``) and position, m."""

    colour: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One arena.

    Attributes:
        seed: What it was sampled from.
        obstacles: Boxes and cylinders.
        beacons: The red, the green and the blue pillar.
        singing: Index into ``beacons`` of the pillar to drive to.
        start: Start pose of the robot (x, y, yaw), m and rad.
        floor, wall: RGB in [0, 1].
    """

    seed: int
    obstacles: tuple[Obstacle, ...]
    beacons: tuple[Beacon, Beacon, Beacon]
    singing: int
    start: tuple[float, float, float]
    floor: Colour = (0.45, 0.43, 0.40)
    wall: Colour = (0.72, 0.72, 0.70)

    @property
    def goal(self) -> Beacon:
        """The singing pillar."""
        return self.beacons[self.singing]

    def distance(self, points: NDArray[np.float64], beacons: bool = True) -> NDArray[np.float64]:
        """Signed distance of points ``[..., 2]`` to whatever solid is nearest, m.

        Args:
            points: Positions, m.
            beacons: Whether the pillars count as solid.
        """
        points = np.asarray(points, dtype=np.float64)
        nearest = _HALF - np.abs(points).max(axis=-1)
        for obstacle in self.obstacles:
            nearest = np.minimum(nearest, obstacle.distance(points))
        for beacon in self.beacons if beacons else ():
            away = np.linalg.norm(points - np.array((beacon.x, beacon.y)), axis=-1)
            nearest = np.minimum(nearest, away - BEACON_RADIUS)
        return np.asarray(nearest)


def sample_layout(seed: int) -> Layout:
    """Sample the arena of a seed.

    Pillars stand at least 2 m from each other and from the start; the start has 0.5 m of
    clearance; a disc of radius 0.3 m can roll from the start to every pillar and to nearly all
    other free floor.

    Raises:
        ValueError: The seed is negative.
    """
    if seed < 0:
        raise ValueError(f'seed: got {seed}, expected an integer of at least 0')
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        layout = _draw(seed, rng)
        if layout is not None and _connected(layout):
            return layout


def _draw(seed: int, rng: np.random.Generator) -> Layout | None:
    spots = _draw_spots(rng)
    if spots is None:
        return None
    start, *pillars = spots
    circles = [(*start, START_CLEARANCE - _GAP), *((*p, BEACON_RADIUS) for p in pillars)]
    obstacles: list[Obstacle] = []
    for _ in range(int(rng.integers(OBSTACLE_COUNT[0], OBSTACLE_COUNT[1] + 1))):
        obstacle = _draw_obstacle(rng, circles)
        if obstacle is None:
            return None
        obstacles.append(obstacle)
        circles.append((obstacle.x, obstacle.y, obstacle.radius))
    shade = float(rng.uniform(0.28, 0.50))
    warmth = float(rng.uniform(0.88, 1.0))
    bright = float(rng.uniform(0.62, 0.82))
    red, green, blue = (Beacon(colour=c, x=x, y=y)
                        for c, (x, y) in zip(BEACON_COLOURS, pillars, strict=True))
    return Layout(
        seed=seed, obstacles=tuple(obstacles), beacons=(red, green, blue),
        singing=int(rng.integers(3)), start=(*start, float(rng.uniform(-math.pi, math.pi))),
        floor=(shade, shade * math.sqrt(warmth), shade * warmth),
        wall=(bright, bright, bright * float(rng.uniform(0.92, 1.0))))


def _draw_spots(rng: np.random.Generator) -> list[tuple[float, float]] | None:
    """The start and three pillars, far enough from each other and from the walls."""
    spots: list[tuple[float, float]] = []
    for _ in range(200):
        limit = _HALF - 0.65
        x, y = (float(v) for v in rng.uniform(-limit, limit, size=2))
        if all(math.hypot(x - a, y - b) >= BEACON_SPACING for a, b in spots):
            spots.append((x, y))
            if len(spots) == 4:
                return spots
    return None


def _draw_obstacle(rng: np.random.Generator,
                   circles: list[tuple[float, float, float]]) -> Obstacle | None:
    kind = 'box' if rng.random() < 0.6 else 'cylinder'
    half_x, half_y = (float(v) for v in rng.uniform(0.1, 0.4, size=2))
    height = float(rng.uniform(0.3, 0.6))
    tint = np.array(_HUES[int(rng.integers(len(_HUES)))]) * rng.uniform(0.22, 0.62)
    for _ in range(100):
        limit = _HALF - 0.15
        x, y = (float(v) for v in rng.uniform(-limit, limit, size=2))
        obstacle = Obstacle(
            kind=kind, x=x, y=y, yaw=float(rng.uniform(-math.pi, math.pi)),
            half=(half_x, half_y if kind == 'box' else half_x), height=height,
            colour=(float(tint[0]), float(tint[1]), float(tint[2])))
        reach = obstacle.radius
        if max(abs(x), abs(y)) + reach > _HALF:
            continue
        if all(math.hypot(x - a, y - b) >= reach + r + _GAP for a, b, r in circles):
            return obstacle
    return None


def free_grid(layout: Layout, radius: float = PASSAGE_RADIUS,
              step: float = _GRID_STEP) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where the centre of a disc may be.

    Returns:
        Coordinates of the cell centres along one axis ``[n]``, m (the same for x and y), and
        ``[n, n]`` whether a disc of that radius fits there, indexed ``[x, y]``.
    """
    count = round(ROOM_SIZE / step)
    axis = (np.arange(count, dtype=np.float64) + 0.5) * step - _HALF
    points = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1)
    return axis, layout.distance(points) >= radius


def reachable_grid(layout: Layout, radius: float = PASSAGE_RADIUS,
                   step: float = _GRID_STEP) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where a disc can roll to from the start; returns as ``free_grid`` does."""
    axis, free = free_grid(layout, radius, step)
    return axis, _flood(layout, free, step)


def _flood(layout: Layout, free: NDArray[np.bool_], step: float) -> NDArray[np.bool_]:
    _, labels = cv2.connectedComponents(free.astype(np.uint8), connectivity=4)
    cell = tuple(int((v + _HALF) / step) for v in layout.start[:2])
    return np.asarray((labels == labels[cell]) & free)


def _connected(layout: Layout) -> bool:
    axis, free = free_grid(layout)
    reached = _flood(layout, free, _GRID_STEP)
    # Slivers between a box and a wall may stay cut off, a part of the room may not.
    if reached.sum() < 0.98 * free.sum():
        return False
    points = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1)[reached]
    for beacon in layout.beacons:
        away = np.linalg.norm(points - np.array((beacon.x, beacon.y)), axis=-1)
        if away.min() > BEACON_RADIUS + ARRIVAL_DISTANCE:
            return False
    return True


def mjcf(layout: Layout) -> str:
    """The arena with its robot as a MuJoCo XML model (see ``robot_model`` for the robot)."""
    solids = ''.join((*_walls(layout), *map(_beacon_geom, layout.beacons),
                      *(_obstacle_geom(i, o) for i, o in enumerate(layout.obstacles))))
    return f"""<mujoco model="beacon_arena">
  <option timestep="0.005" integrator="implicitfast" cone="elliptic" iterations="20"/>
  <visual>
    <quality shadowsize="0" offsamples="0"/>
    <global offwidth="96" offheight="72"/>
    <map znear="0.003" zfar="4"/>
    <headlight ambient="0.55 0.55 0.55" diffuse="0.25 0.25 0.25" specular="0 0 0"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="flat" rgb1="0.80 0.85 0.90" width="16" height="96"/>
    <texture name="tiles" type="2d" builtin="checker" width="64" height="64"
      rgb1="{_rgb(layout.floor)}" rgb2="{_rgb(layout.floor, 0.86)}"/>
    <material name="floor" texture="tiles" texrepeat="1 1" texuniform="true" specular="0"/>
    <material name="matt" specular="0" shininess="0"/>
  </asset>
  <default>
    <geom friction="0.3 0.005 0.0001" material="matt"/>
  </default>
  <worldbody>
    <light directional="true" castshadow="false" pos="0 0 4" dir="0.35 0.2 -0.9"
      diffuse="0.55 0.55 0.52" specular="0 0 0"/>
    <geom name="floor" type="plane" size="{_HALF + 0.2} {_HALF + 0.2} 0.1" material="floor"/>
    {solids}
    {robot_body(layout.start)}
  </worldbody>
  <actuator>{ROBOT_ACTUATORS}</actuator>
  <sensor>{ROBOT_SENSORS}</sensor>
</mujoco>
"""


def _rgb(colour: Colour, gain: float = 1.0) -> str:
    return ' '.join(f'{c * gain:.4f}' for c in colour)


def _walls(layout: Layout) -> list[str]:
    height, thick = 1.2, 0.1
    along = _HALF + 2 * thick
    sides = {'east': (1, 0), 'west': (-1, 0), 'north': (0, 1), 'south': (0, -1)}
    walls = []
    for index, (name, (x, y)) in enumerate(sides.items()):
        size = (thick, along) if x else (along, thick)
        centre = _HALF + thick
        # Slightly different shades, so that corners show without shadows.
        colour = _rgb(layout.wall, (1.0, 0.92, 0.97, 0.88)[index])
        walls.append(
            f'<geom name="wall_{name}" type="box" pos="{x * centre} {y * centre} {height / 2}" '
            f'size="{size[0]} {size[1]} {height / 2}" rgba="{colour} 1"/>')
    return walls


def _beacon_geom(beacon: Beacon) -> str:
    return (f'<geom name="beacon_{beacon.colour}" type="cylinder" '
            f'pos="{beacon.x!r} {beacon.y!r} {BEACON_HEIGHT / 2}" '
            f'size="{BEACON_RADIUS} {BEACON_HEIGHT / 2}" '
            f'rgba="{_rgb(BEACON_COLOURS[beacon.colour])} 1"/>')


def _obstacle_geom(index: int, obstacle: Obstacle) -> str:
    half = obstacle.height / 2
    size = f'{obstacle.half[0]!r} '
    size += f'{obstacle.half[1]!r} {half!r}' if obstacle.kind == 'box' else f'{half!r}'
    turn = (f'{math.cos(obstacle.yaw / 2)!r} 0 0 {math.sin(obstacle.yaw / 2)!r}')
    return (f'<geom name="{obstacle.kind}_{index}" type="{obstacle.kind}" '
            f'pos="{obstacle.x!r} {obstacle.y!r} {half!r}" size="{size}" quat="{turn}" '
            f'rgba="{_rgb(obstacle.colour)} 1"/>')
