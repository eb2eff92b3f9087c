"""The privileged expert: knows the map, drives well, and is easy to imitate.

Its command is a function of the present pose alone (and, when the goal is straight behind, of the
way the robot turns already, which its gyro feels): no modes, no memory. A cost-to-go field is
computed once per layout; a command follows its descent a little way ahead and steers there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import numpy as np
from numpy.typing import NDArray

from .arena import (
    ARRIVAL_DISTANCE,
    BEACON_RADIUS,
    free_grid,
    Layout,
    ROOM_SIZE,
)
from .robot_model import ROBOT_RADIUS

Pose = tuple[float, float, float]

GRID_STEP = 0.05
MAX_SPEED = 0.6
MAX_TURN = 2.0

_KEEP_OUT = ROBOT_RADIUS + 0.06  # of the centre from any solid, m: entered only to get out again
_COMFORT = ROBOT_RADIUS + 0.40  # where keeping away begins to cost, m
_PILLAR_EXTRA = 0.06  # a wrong pillar ends the episode: keep further away from it, m
_LOOKAHEAD = 0.45
_TRACE_STEP = 0.5 * GRID_STEP
_TURN_GAIN = 3.0  # 1/s
_BEHIND = 0.5  # rad: so close to straight behind, keep turning the way the robot turns


@dataclass(frozen=True)
class _Field:
    """Grids indexed ``[x, y]`` over the room."""

    cost_to_go: NDArray[np.float64]
    descent: NDArray[np.float64]  # [n, n, 2], unit vectors
    clearance: NDArray[np.float64]  # m, of the robot's centre from the nearest solid


class Expert:
    """Drives to the singing pillar with the map in hand.

    Args:
        layout: The arena to drive in.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._field = _plan(layout)

    def command(self, pose: Pose, turn_rate: float = 0.0) -> tuple[float, float]:
        """What to do at a pose.

        Args:
            pose: x, y (m), yaw (rad) in the map.
            turn_rate: Present yaw rate, rad/s; it only decides the side of a turn-about.

        Returns:
            Linear (m/s, never negative) and angular speed (rad/s).
        """
        x, y, yaw = pose
        target = self._ahead(x, y)
        error = math.remainder(math.atan2(target[1] - y, target[0] - x) - yaw, math.tau)
        if abs(error) > math.pi - _BEHIND and error * turn_rate < 0.0 and abs(turn_rate) > 0.3:
            error -= math.copysign(math.tau, error)
        turn = max(-MAX_TURN, min(MAX_TURN, _TURN_GAIN * error))
        room = self._room(x, y, yaw)
        # No driving beyond 60 degrees off, 30 against a solid: a round robot turns on the spot
        # without sweeping anything.
        least = 0.87 - 0.37 * room
        heading = min(1.0, max(0.0, (math.cos(error) - least) / (0.95 - least)))
        slow = min(1.0, 0.4 + max(0.0, self.distance_to_goal(x, y) - ARRIVAL_DISTANCE))
        return MAX_SPEED * heading * slow * (0.3 + 0.7 * room), turn

    def path(self, x: float, y: float) -> NDArray[np.float64]:
        """The planned way from a position to arrival, ``[n, 2]`` m."""
        points = [(x, y)]
        for _ in range(4000):
            if self.distance_to_goal(x, y) <= ARRIVAL_DISTANCE:
                break
            x, y = self._step(x, y)
            points.append((x, y))
        return np.array(points)

    def path_length(self, x: float, y: float) -> float:
        """Length of ``path``, m."""
        return float(np.linalg.norm(np.diff(self.path(x, y), axis=0), axis=1).sum())

    def distance_to_goal(self, x: float, y: float) -> float:
        """From a position to the surface of the singing pillar, m."""
        goal = self.layout.goal
        return math.hypot(goal.x - x, goal.y - y) - BEACON_RADIUS

    def _room(self, x: float, y: float, yaw: float) -> float:
        """From 0 (hull or nose against a solid) to 1 (a quarter of a metre free)."""
        nose = self._clearance(x + 0.2 * math.cos(yaw), y + 0.2 * math.sin(yaw))
        free = min(self._clearance(x, y), nose + 0.05) - ROBOT_RADIUS
        return min(1.0, max(0.0, (free - 0.03) / 0.2))

    def _ahead(self, x: float, y: float) -> tuple[float, float]:
        for _ in range(round(_LOOKAHEAD / _TRACE_STEP)):
            x, y = self._step(x, y)
        return x, y

    def _step(self, x: float, y: float) -> tuple[float, float]:
        goal = self.layout.goal
        dx, dy = goal.x - x, goal.y - y
        if dx * dx + dy * dy > 0.04:  # the field is singular at its source: go straight there
            dx, dy = _bilinear(self._field.descent, x, y)
        size = math.hypot(dx, dy) or 1.0
        return x + _TRACE_STEP * dx / size, y + _TRACE_STEP * dy / size

    def _clearance(self, x: float, y: float) -> float:
        return float(_bilinear(self._field.clearance, x, y))


def _bilinear(grid: NDArray[np.float64], x: float, y: float) -> NDArray[np.float64]:
    """Value of a grid between its cell centres; beyond the border, the border's."""
    last = grid.shape[0] - 1.000001
    u = min(last, max(0.0, (x + ROOM_SIZE / 2) / GRID_STEP - 0.5))
    v = min(last, max(0.0, (y + ROOM_SIZE / 2) / GRID_STEP - 0.5))
    i, j = int(u), int(v)
    a, b = u - i, v - j
    below = grid[i, j] * (1.0 - b) + grid[i, j + 1] * b
    above = grid[i + 1, j] * (1.0 - b) + grid[i + 1, j + 1] * b
    return below * (1.0 - a) + above * a


@lru_cache(maxsize=4)
def _plan(layout: Layout) -> _Field:
    centres, _ = free_grid(layout, step=GRID_STEP)
    points = np.stack(np.meshgrid(centres, centres, indexing='ij'), axis=-1)
    clearance = layout.distance(points, beacons=False)
    for index, beacon in enumerate(layout.beacons):
        if index != layout.singing:
            away = np.linalg.norm(points - np.array((beacon.x, beacon.y)), axis=-1)
            clearance = np.minimum(clearance, away - BEACON_RADIUS - _PILLAR_EXTRA)
    from_goal = np.linalg.norm(points - np.array((layout.goal.x, layout.goal.y)), axis=-1)
    cost_to_go = _solve_eikonal(_price(clearance), from_goal)
    slope = np.stack([np.gradient(cost_to_go, GRID_STEP, axis=axis) for axis in (0, 1)], axis=-1)
    descent = -slope / np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-9)
    return _Field(cost_to_go, descent, clearance)


def _price(clearance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cost of a metre. Solids stay passable at a price, so that the field leads out everywhere."""
    near = np.clip((_COMFORT - clearance) / (_COMFORT - _KEEP_OUT), 0.0, 1.0)
    inside = np.clip((_KEEP_OUT - clearance) / _KEEP_OUT, 0.0, 1.0)
    return 1.0 + 5.0 * near**2 + 60.0 * inside


def _solve_eikonal(
    price: NDArray[np.float64], from_goal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Least cost ``u`` from every cell to the goal: ``|∇u| = price``, ``u = 0`` at the goal.

    Godunov's upwind scheme (as in Zhao 2005, fast sweeping), relaxed on the whole grid at once;
    unlike Dijkstra on a lattice its descent knows more than eight directions.

    Args:
        price: Cost of a metre, ``[n, n]``.
        from_goal: Straight distance from the goal, ``[n, n]`` m; exact start values near it.
    """
    known = from_goal < 3.0 * GRID_STEP
    step = price * GRID_STEP
    padded = np.full((price.shape[0] + 2, price.shape[1] + 2), np.inf)
    inner = padded[1:-1, 1:-1]
    inner[known] = (from_goal * price)[known]
    for _ in range(20):  # a path winds far less than 20 times across the room
        before = inner.copy()
        for _ in range(price.shape[0] // 4):
            a = np.minimum(padded[:-2, 1:-1], padded[2:, 1:-1])
            b = np.minimum(padded[1:-1, :-2], padded[1:-1, 2:])
            low, high = np.minimum(a, b), np.maximum(a, b)
            apart = np.subtract(high, low, out=np.full_like(low, np.inf), where=np.isfinite(low))
            one_sided = apart >= step
            apart[one_sided] = 0.0
            both = 0.5 * (low + high + np.sqrt(np.maximum(2.0 * step**2 - apart**2, 0.0)))
            update = np.where(one_sided, low + step, both)
            np.minimum(inner, update, out=inner, where=~known)
        if np.array_equal(before, inner):
            break
    return inner.copy()
