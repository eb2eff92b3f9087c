"""Panels of space: what the camera sees, what the LiDAR sees, and the room from above."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..sim.arena import BEACON_COLOURS, BEACON_RADIUS, Layout, Obstacle, ROOM_SIZE
from ..sim.directions import heard_direction, seen_directions
from ..sim.robot_model import CAMERA_HORIZONTAL_FOV, ROBOT_RADIUS
from .canvas import (
    blend,
    BLUE,
    circle,
    CYAN,
    FAINT,
    INNER,
    LINE,
    line,
    MUTED,
    ORANGE,
    Picture,
    PILLAR,
    polygon,
    TEXT,
    text,
    VIOLET,
)
from .panel import dashed, Panel
from .recording import Recording

HEARING_NS = 100_000_000
"""How much sound a direction is taken from, ns."""


def heard_at(recording: Recording, now: int) -> float:
    """Direction of the sound of the last 0.1 s, rad to the left; NaN in silence."""
    _, chunks = recording.sounds.between(now - HEARING_NS, now)
    return heard_direction(np.concatenate(chunks, axis=1)) if chunks else math.nan


def seen_at(recording: Recording, now: int) -> dict[str, float]:
    """Directions of the pillars in view by colour, rad to the left."""
    image = recording.images.at(now)
    if image is None:
        return {}
    angles = zip(BEACON_COLOURS, seen_directions(image), strict=True)
    return {name: float(angle) for name, angle in angles if not math.isnan(angle)}


class CameraPanel(Panel):
    """The newest frame, with a mark above every pillar that its colour gives away."""

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the frame of ``now``."""
        image = recording.images.at(now)
        inside = self.inside(picture)
        if image is None:
            text(inside, 'no frame yet', (self.width / 2, self.height / 2), 14, FAINT, align=0.5)
            return
        inside[:] = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        focal = 0.5 * self.width / math.tan(0.5 * CAMERA_HORIZONTAL_FOV)
        for name, angle in seen_at(recording, now).items():
            x = 0.5 * self.width - focal * math.tan(angle)
            mark = np.array([(x - 8, 4), (x + 8, 4), (x, 16)])
            polygon(inside, mark, PILLAR[name])
            line(inside, np.concatenate([mark, mark[:1]]), TEXT)
        self.note(picture, f'{image.shape[1]}×{image.shape[0]} rgb8')


class ScanPanel(Panel):
    """The newest scan in the robot's frame, ahead is up, with what is heard and seen."""

    reach = 4.2  # m to the nearer edge

    @property
    def _scale(self) -> float:
        return 0.5 * min(self.width, self.height) / self.reach

    def _place(self, distance: NDArray[np.floating] | float,
               angle: NDArray[np.floating] | float) -> NDArray[np.float64]:
        x = 0.5 * self.width - self._scale * distance * np.sin(angle)
        y = 0.5 * self.height - self._scale * distance * np.cos(angle)
        return np.stack([x, y], axis=-1)

    def frame(self, picture: Picture) -> None:
        """Range rings."""
        super().frame(picture)
        inside, centre = self.inside(picture), (0.5 * self.width, 0.5 * self.height)
        for ring in range(1, 8):
            circle(inside, centre, ring * self._scale, blend(LINE, INNER, 0.7), 1)
            if ring in (2, 4):
                text(inside, f'{ring} m', (centre[0] + 4, centre[1] + ring * self._scale - 8), 10,
                     FAINT)
        dashed(inside, centre, (centre[0], 0), LINE)

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the scan of ``now``."""
        inside, centre = self.inside(picture), self._place(0.0, 0.0)
        for name, angle in seen_at(recording, now).items():
            line(inside, np.stack([self._place(0.25, angle), self._place(9.0, angle)]),
                 blend(PILLAR[name], INNER, 0.6), 2)
        heard = heard_at(recording, now)
        if not math.isnan(heard):
            # Two ears cannot tell front from behind: the mirrored direction is as likely.
            for angle, share in ((heard, 1.0), (math.pi - heard, 0.4)):
                self._sector(inside, angle, blend(VIOLET, INNER, 0.45 * share))
        scan = recording.scans.at(now)
        if scan is not None:
            good = np.isfinite(scan.ranges)
            for x, y in self._place(scan.ranges[good], scan.angles[good]):
                circle(inside, (x, y), 2.0, ORANGE)
        circle(inside, tuple(centre), ROBOT_RADIUS * self._scale, TEXT)
        nose = np.stack([self._place(0.0, 0.0), self._place(1.8 * ROBOT_RADIUS, 0.0)])
        line(inside, nose, TEXT, 2)
        text(inside, 'heard', (8, self.height - 12), 11, VIOLET)
        text(inside, 'seen', (50, self.height - 12), 11, MUTED)

    def _sector(self, inside: Picture, angle: float, colour: tuple[int, int, int]) -> None:
        spread = np.linspace(angle - 0.09, angle + 0.09, 5)
        edge = self._place(np.full(5, 1.9), spread)
        polygon(inside, np.concatenate([self._place(0.25, angle)[None], edge]), colour)


class PlanPanel(Panel):
    """The room from above: obstacles, pillars, the way so far. Only the viewer knows this."""

    def __init__(self, x: int, y: int, width: int, height: int, title: str,
                 layout: Layout) -> None:
        super().__init__(x, y, width, height, title)
        self._layout = layout
        self._scale = (min(self.width, self.height) - 12) / ROOM_SIZE

    def _pixel(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        centre = np.array([0.5 * self.width, 0.5 * self.height])
        return centre + np.asarray(points)[..., :2] * np.array([self._scale, -self._scale])

    def frame(self, picture: Picture) -> None:
        """Walls, obstacles and pillars."""
        super().frame(picture)
        inside, half = self.inside(picture), ROOM_SIZE / 2
        room = self._pixel(np.array([(-half, -half), (half, -half), (half, half), (-half, half)]))
        polygon(inside, room, (30, 38, 48))
        line(inside, np.concatenate([room, room[:1]]), FAINT, 2)
        for obstacle in self._layout.obstacles:
            colour = blend((125, 132, 142), INNER, 0.75)
            if obstacle.kind == 'cylinder':
                centre = self._pixel(np.array((obstacle.x, obstacle.y)))
                circle(inside, tuple(centre), obstacle.half[0] * self._scale, colour)
            else:
                polygon(inside, self._pixel(corners(obstacle)), colour)
        for beacon in self._layout.beacons:
            centre = self._pixel(np.array((beacon.x, beacon.y)))
            circle(inside, tuple(centre), BEACON_RADIUS * self._scale + 1, PILLAR[beacon.colour])
        left, low = 6, self.height - 16
        text(inside, '1 m', (left, low - 12), 10, FAINT)
        line(inside, np.array([(left, low), (left + self._scale, low)]), FAINT, 2)

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the way up to ``now``, and the song while it is heard."""
        inside = self.inside(picture)
        goal = self._pixel(np.array((self._layout.goal.x, self._layout.goal.y)))
        heard = heard_at(recording, now)
        if not math.isnan(heard):
            for wave in range(3):
                radius = 6 + ((now / 1e9 * 22 + wave * 9) % 27)
                circle(inside, tuple(goal), radius, blend(VIOLET, (30, 38, 48), 1 - radius / 36), 1)
        circle(inside, tuple(goal), BEACON_RADIUS * self._scale + 4, VIOLET, 2)
        _, poses = recording.poses.between(-1, now)
        if not poses:
            return
        way = self._pixel(np.array(poses))
        line(inside, way, CYAN, 2)
        x, y, yaw = poses[-1]
        if not math.isnan(heard):
            ray = np.array([(x, y), (x + 1.4 * math.cos(yaw + heard),
                                     y + 1.4 * math.sin(yaw + heard))])
            line(inside, self._pixel(ray), VIOLET, 2)
        circle(inside, tuple(way[-1]), ROBOT_RADIUS * self._scale + 1, TEXT)
        nose = np.array([(x, y), (x + 0.32 * math.cos(yaw), y + 0.32 * math.sin(yaw))])
        line(inside, self._pixel(nose), BLUE, 3)


def corners(obstacle: Obstacle) -> NDArray[np.float64]:
    """Corners ``[4, 2]`` of a box, m."""
    cos, sin = math.cos(obstacle.yaw), math.sin(obstacle.yaw)
    a, b = obstacle.half
    local = np.array([(-a, -b), (a, -b), (a, b), (-a, b)])
    return local @ np.array(((cos, sin), (-sin, cos))) + np.array((obstacle.x, obstacle.y))
