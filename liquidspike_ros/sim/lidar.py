"""The planar LiDAR: MuJoCo ray casts with range noise and lost returns."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np

from .messages import scan_message
from .world import World

FRAME_ID = 'laser'
BEAMS = 180
RANGE_MIN = 0.05
RANGE_MAX = 8.0
SCAN_TIME = 0.1

_INCREMENT = 2 * math.pi / BEAMS
_FIRST = -math.pi + _INCREMENT / 2  # beams look along the middle of their share of the circle
_NOISE = 0.01  # m, rms
_LOST = 0.004  # share of beams without a return
_ROOM_ONLY = np.array([1, 0, 0, 0, 0, 0], dtype=np.uint8)  # geom groups; the robot is in group 1


class Lidar:
    """A LiDAR 0.2 m above the floor, 180 beams over the full circle.

    Args:
        seed: Of the episode.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.Generator(np.random.PCG64([seed, 0x11DA]))
        angles = _FIRST + _INCREMENT * np.arange(BEAMS)
        self._rays = np.stack([np.cos(angles), np.sin(angles), np.zeros(BEAMS)], axis=-1)
        self._distance = np.empty(BEAMS)
        self._geom = np.empty(BEAMS, dtype=np.int32)

    def measure(self, world: World, stamp_ns: int) -> Any:
        """Scan once; all beams at the same instant.

        Returns:
            sensor_msgs/LaserScan; no return within 8 m is +inf (REP 117).
        """
        data = world.at(stamp_ns)
        site = data.site('lidar')
        rays = (self._rays @ site.xmat.reshape(3, 3).T).reshape(-1)
        mujoco.mj_multiRay(world.model, data, site.xpos, rays, _ROOM_ONLY, True, -1,
                           self._geom, self._distance, None, BEAMS, RANGE_MAX)
        ranges = self._distance + _NOISE * self._rng.standard_normal(BEAMS)
        nothing = (self._distance < 0.0) | (ranges > RANGE_MAX)
        nothing |= self._rng.random(BEAMS) < _LOST
        ranges[nothing] = np.inf
        ranges[ranges < RANGE_MIN] = -np.inf
        return scan_message(stamp_ns, FRAME_ID, ranges.astype(np.float32), _FIRST, _INCREMENT,
                            (RANGE_MIN, RANGE_MAX), SCAN_TIME)
