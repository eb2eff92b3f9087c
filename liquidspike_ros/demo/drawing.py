"""The plan view of an episode: the room from above, the way driven, what was heard and seen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..sim.arena import ARRIVAL_DISTANCE, BEACON_COLOURS, BEACON_RADIUS, Layout, Obstacle, ROOM_SIZE
from ..sim.robot_model import ROBOT_RADIUS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..sim.episode import EpisodeResult

_HALF = 0.5 * ROOM_SIZE
_HEARD = '#8e2de2'
_PATH = '#1f4e79'
_MARK_SPACING = 0.45  # way between two fans of arrows, m
_MARK_TURN = 0.9  # or turned by this much on the spot, rad


def draw_room(axes: Axes, layout: Layout) -> None:
    """Draw walls, obstacles and pillars; the singing one has sound waves around it."""
    from matplotlib.patches import Arc, Circle, Rectangle

    axes.add_patch(Rectangle((-_HALF, -_HALF), ROOM_SIZE, ROOM_SIZE, facecolor='#f6f4ef',
                             edgecolor='#444444', linewidth=3, zorder=0))
    for obstacle in layout.obstacles:
        axes.add_patch(_obstacle_patch(obstacle))
    for index, beacon in enumerate(layout.beacons):
        colour = BEACON_COLOURS[beacon.colour]
        place = (beacon.x, beacon.y)
        axes.add_patch(Circle(place, BEACON_RADIUS, facecolor=colour, edgecolor='black', zorder=3))
        if index == layout.singing:
            axes.add_patch(Circle(place, BEACON_RADIUS + ARRIVAL_DISTANCE, fill=False,
                                  edgecolor=colour, linestyle=':', linewidth=1.2, zorder=2))
            for radius in (0.5, 0.72, 0.94):
                for middle in (0, 180):
                    axes.add_patch(Arc(place, radius, radius, theta1=middle - 35,
                                       theta2=middle + 35, color=_HEARD, linewidth=1.5, zorder=3))
            axes.annotate('♪', place, color='white', ha='center', va='center', zorder=4)
    margin = 0.15
    axes.set_xlim(-_HALF - margin, _HALF + margin)
    axes.set_ylim(-_HALF - margin, _HALF + margin)
    axes.set_aspect('equal')
    axes.set_xlabel('x (m)')
    axes.set_ylabel('y (m)')


def draw_robot(axes: Axes, pose: tuple[float, float, float], colour: str = _PATH) -> None:
    """Draw the robot's outline and where it looks."""
    from matplotlib.patches import Circle

    x, y, yaw = pose
    axes.add_patch(Circle((x, y), ROBOT_RADIUS, facecolor='white', edgecolor=colour, linewidth=1.5,
                          zorder=6))
    axes.plot([x, x + ROBOT_RADIUS * math.cos(yaw)], [y, y + ROBOT_RADIUS * math.sin(yaw)],
              color=colour, linewidth=2, zorder=7)


def draw_episode(axes: Axes, layout: Layout, result: EpisodeResult) -> None:
    """Draw the room, the way, the start, the end, and heard and seen directions along it.

    Two ears cannot tell front from back by delay: of the two mirrored directions heard, the one
    ahead is drawn.
    """
    draw_room(axes, layout)
    poses = result.trajectory
    axes.plot(poses[:, 0], poses[:, 1], color=_PATH, linewidth=2, zorder=4)
    for column, colour in enumerate(BEACON_COLOURS.values()):
        _draw_fan(axes, poses, result.seen[:, column], 0.55, colour)
    _draw_fan(axes, poses, result.heard, 0.42, _HEARD)
    draw_robot(axes, tuple(poses[0]), '#777777')
    draw_robot(axes, tuple(poses[-1]))
    axes.annotate('start', poses[0][:2], xytext=(8, 8), textcoords='offset points', zorder=8)
    plural = '' if result.collisions == 1 else 's'
    axes.set_title(f'{result.outcome.replace("_", " ")} in {result.time:.1f} s · '
                   f'{result.path_length:.2f} m · {result.collisions} collision{plural} '
                   f'(seed {result.seed})')
    _legend(axes)


def save_episode(layout: Layout, result: EpisodeResult, path: str | Path) -> None:
    """Write ``draw_episode`` as an image file (the suffix says which kind)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # With the default padding the title touches the border.
    figure = Figure(figsize=(7.2, 7.7), layout=ConstrainedLayoutEngine(h_pad=0.12))
    FigureCanvasAgg(figure)
    draw_episode(figure.add_subplot(), layout, result)
    figure.savefig(path, dpi=120)


def _obstacle_patch(obstacle: Obstacle) -> Any:
    from matplotlib.patches import Circle, Rectangle

    style: dict[str, Any] = {'facecolor': obstacle.colour, 'edgecolor': '#333333', 'zorder': 2}
    if obstacle.kind == 'cylinder':
        return Circle((obstacle.x, obstacle.y), obstacle.half[0], **style)
    width, depth = (2.0 * h for h in obstacle.half)
    return Rectangle((obstacle.x - obstacle.half[0], obstacle.y - obstacle.half[1]), width, depth,
                     angle=math.degrees(obstacle.yaw), rotation_point='center', **style)


def _draw_fan(axes: Axes, poses: NDArray[np.float64], bearings: NDArray[np.float64],
              length: float, colour: Any) -> None:
    """Arrows along the way where there is a bearing, not closer than is readable."""
    last: NDArray[np.float64] | None = None
    for index in np.flatnonzero(np.isfinite(bearings)):
        pose = poses[index]
        if last is not None:
            moved = pose - last
            turned = abs(math.remainder(float(moved[2]), math.tau))
            if math.hypot(moved[0], moved[1]) < _MARK_SPACING and turned < _MARK_TURN:
                continue
        last = pose
        x, y, angle = pose[0], pose[1], pose[2] + bearings[index]
        axes.annotate(
            '', (x + length * math.cos(angle), y + length * math.sin(angle)), (x, y), zorder=5,
            arrowprops={'arrowstyle': '-|>', 'color': colour, 'linewidth': 1.1, 'shrinkA': 0,
                        'shrinkB': 0, 'mutation_scale': 8})


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    entries = [
        Line2D([], [], color=_PATH, linewidth=2, label='way driven'),
        Line2D([], [], color=_HEARD, marker='>', label='heard (by inter-aural delay)'),
        *(Line2D([], [], color=colour, marker='>', label=f'{name} pillar seen')
          for name, colour in BEACON_COLOURS.items()),
    ]
    axes.legend(handles=entries, loc='upper center', bbox_to_anchor=(0.5, -0.08), ncols=3,
                fontsize='small', frameon=False)
