"""Wheel odometry from quantised encoders with a calibration error: it drifts, as real ones do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .messages import odometry_message
from .robot_model import WHEEL_RADIUS, WHEEL_TRACK
from .world import World

FRAMES = ('odom', 'base_link')
TICKS_PER_TURN = 4096

_RADIUS_ERROR = 0.008  # of the radius, rms over episodes, each wheel
_TRACK_ERROR = 0.015  # of the track, rms over episodes
_COVARIANCE = np.diag([1e-3, 1e-3, 1e6, 1e6, 1e6, 3e-2]).reshape(-1)


class WheelOdometry:
    """Integrates encoder ticks into a pose that starts at the origin of ``odom``.

    Args:
        world: Whose wheels are read.
        seed: Of the episode.
    """

    def __init__(self, world: World, seed: int) -> None:
        rng = np.random.Generator(np.random.PCG64([seed, 0x0D03]))
        self._metres = (WHEEL_RADIUS * (1 + _RADIUS_ERROR * rng.standard_normal(2))
                        * math.tau / TICKS_PER_TURN)
        self._track = WHEEL_TRACK * (1 + _TRACK_ERROR * float(rng.standard_normal()))
        self._joints = [int(world.model.joint(f'{side}_wheel').qposadr[0])
                        for side in ('left', 'right')]
        self._ticks = self._read(world, world.time_ns)
        self._stamp_ns = world.time_ns
        self._pose = (0.0, 0.0, 0.0)

    def _read(self, world: World, stamp_ns: int) -> np.ndarray:
        angles = world.at(stamp_ns).qpos[self._joints]
        return np.floor(angles * (TICKS_PER_TURN / math.tau))

    def measure(self, world: World, stamp_ns: int) -> Any:
        """Read the encoders.

        Returns:
            nav_msgs/Odometry: pose in ``odom``, twist of ``base_link`` since the last reading.
        """
        ticks = self._read(world, stamp_ns)
        left, right = ((ticks - self._ticks) * self._metres).tolist()
        interval = (stamp_ns - self._stamp_ns) * 1e-9
        forward, turn = (left + right) / 2, (right - left) / self._track
        x, y, yaw = self._pose
        # The chord of the arc driven: exact for constant wheel speeds up to third order.
        middle = yaw + turn / 2
        self._pose = (x + forward * math.cos(middle), y + forward * math.sin(middle),
                      math.remainder(yaw + turn, math.tau))
        self._ticks, self._stamp_ns = ticks, stamp_ns
        return odometry_message(stamp_ns, FRAMES, self._pose,
                                (forward / interval, turn / interval), _COVARIANCE, _COVARIANCE)
