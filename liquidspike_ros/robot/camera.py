"""A colour camera."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting
from .sensor import require_field, SensorSpec, TYPE

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')


@dataclass(frozen=True, kw_only=True)
class CameraSpec(SensorSpec):
    """A colour camera; frames reach the model as uint8 RGB ``[height, width, 3]``."""

    topic: str = 'camera/image_raw'
    type: str = setting(IMAGE_TYPES[0], TYPE, choices=IMAGE_TYPES)
    rate: float = 15.0
    required: bool = True
    width: int = setting(96, 'Image width the model sees', limits=(8, 4096), unit='px')
    height: int = setting(72, 'Image height the model sees', limits=(8, 4096), unit='px')

    def __post_init__(self) -> None:
        self._check('sensors.camera')
        require_field(self.width * self.height <= 1 << 23, 'sensors.camera.width', self.width,
                      f'at most {(1 << 23) // self.height} with a height of {self.height}')

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (self.height, self.width, 3)
