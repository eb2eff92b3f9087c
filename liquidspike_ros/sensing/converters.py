"""One entry for every message type the package understands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import types
from typing import Any

from ..robot import AUDIO_TYPES, AudioSpec, CameraSpec, ImuSpec, LidarSpec, SensorSpec
from .audio import convert_bytes, convert_int16, convert_stamped_bytes
from .image import convert_compressed_image, convert_image
from .imu import convert_imu
from .lidar import convert_points, convert_scan
from .observation import InvalidSample, Sample

# interface type -> (kind of sensor it serves, converter)
CONVERTERS: Mapping[str, tuple[type[SensorSpec], Callable[[Any, Any], Sample]]] = (
    types.MappingProxyType({
        'sensor_msgs/msg/Image': (CameraSpec, convert_image),
        'sensor_msgs/msg/CompressedImage': (CameraSpec, convert_compressed_image),
        'sensor_msgs/msg/Imu': (ImuSpec, convert_imu),
        'sensor_msgs/msg/LaserScan': (LidarSpec, convert_scan),
        'sensor_msgs/msg/PointCloud2': (LidarSpec, convert_points),
        AUDIO_TYPES[0]: (AudioSpec, convert_int16),
        AUDIO_TYPES[1]: (AudioSpec, convert_bytes),
        AUDIO_TYPES[2]: (AudioSpec, convert_stamped_bytes),
    })
)


def convert(msg: Any, type_name: str, spec: SensorSpec) -> Sample:
    """Convert a message of interface type ``type_name`` for the sensor ``spec``.

    Any type of the sensor's kind is taken, so a bag with compressed images feeds a robot that has
    raw ones.

    Raises:
        InvalidSample: The type does not serve this sensor, or the message cannot be used.
    """
    kind, function = CONVERTERS.get(type_name, (None, None))
    if kind is None or function is None or not isinstance(spec, kind):
        allowed = [name for name, (k, _) in CONVERTERS.items() if isinstance(spec, k)]
        raise InvalidSample(f'type: got {type_name}, expected {" or ".join(allowed)}')
    return function(msg, spec)
