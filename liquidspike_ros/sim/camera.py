"""The colour camera: MuJoCo's picture with exposure drift and pixel noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graphics import paint, require_backend
from .messages import image_message
from .robot_model import CAMERA_HEIGHT, CAMERA_WIDTH
from .world import World

FRAME_ID = 'camera_optical_frame'

_NOISE = 2.5  # of 255, rms
_BALANCE = 0.04  # gain error of each colour, fixed for an episode
_EXPOSURE = (0.85, 1.15)  # gain at the start of an episode
_DRIFT = 0.01  # change of the gain from frame to frame
_PULL = 0.05  # share by which the gain returns to its start each frame


class Camera:
    """The robot's camera, 90° wide, 0.3 m above the floor.

    Args:
        seed: Of the episode.
        width, height: Pixels.

    Raises:
        GraphicsError: No GL library works here; says what to install.
    """

    def __init__(self, seed: int, width: int = CAMERA_WIDTH, height: int = CAMERA_HEIGHT) -> None:
        require_backend()
        self._rng = np.random.Generator(np.random.PCG64([seed, 0xCA3E]))
        balance = self._rng.uniform(1 - _BALANCE, 1 + _BALANCE, size=3)
        self._gain = (balance * self._rng.uniform(*_EXPOSURE)).astype(np.float32)
        self._drift = 0.0
        self._shape = (height, width, 3)

    def measure(self, world: World, stamp_ns: int) -> Any:
        """Take a picture.

        Returns:
            sensor_msgs/Image, rgb8.
        """
        pixels = np.empty(self._shape, dtype=np.uint8)
        paint(world.model, world.at(stamp_ns), 0, pixels)
        return image_message(stamp_ns, FRAME_ID, self._expose(pixels))

    def _expose(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._drift += _DRIFT * float(self._rng.standard_normal()) - _PULL * self._drift
        values = self._rng.standard_normal(self._shape, dtype=np.float32)
        values *= np.float32(_NOISE)
        values += pixels * (self._gain * np.float32(1.0 + self._drift))
        np.clip(values, 0.0, 255.0, out=values)
        return np.rint(values, out=values).astype(np.uint8)
