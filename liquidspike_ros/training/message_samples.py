"""One recorded message in a few words: what a robot file needs to know of its topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import types
from typing import Any

import numpy as np

from ..untrusted.text import one_line


def can_describe(kind: str) -> bool:
    """Whether ``describe_message`` knows this interface type."""
    return kind in _DESCRIPTIONS


def describe_message(message: Any, kind: str) -> str:
    """Size, beams, axes or chunk of a decoded message.

    Raises:
        Exception: The fields are not those of its type, or ``can_describe`` is false of it.
    """
    text = _DESCRIPTIONS[kind](message)
    frame = getattr(getattr(message, 'header', None), 'frame_id', '')
    return f'{text}, frame {one_line(frame, 60)}' if frame else text


def _image(message: Any) -> str:
    return f'{message.width} × {message.height} {one_line(message.encoding, 40)}'


def _compressed(message: Any) -> str:
    return f'{one_line(message.format, 60)}, {len(message.data)} bytes'


def _imu(message: Any) -> str:
    a, w = message.linear_acceleration, message.angular_velocity
    return (f'acceleration ({a.x:.2f}, {a.y:.2f}, {a.z:.2f}) m/s², '
            f'turning ({w.x:.3f}, {w.y:.3f}, {w.z:.3f}) rad/s')


def _scan(message: Any) -> str:
    ranges = np.asarray(message.ranges, np.float64)
    valid = np.isfinite(ranges) & (ranges >= message.range_min) & (ranges <= message.range_max)
    text = (f'{len(ranges)} beams from {message.angle_min:.3f} to {message.angle_max:.3f} rad, '
            f'{message.range_min:g} to {message.range_max:g} m, {valid.mean():.0%} with a return'
            if len(ranges) else 'no beams')
    others = {name: int(found.sum()) for name, found in (
        ('NaN', np.isnan(ranges)), ('inf', np.isinf(ranges)), ('0', ranges == 0),
        ('beyond range_max', np.isfinite(ranges) & (ranges > message.range_max)))}
    kinds = ', '.join(f'{count} × {name}' for name, count in others.items() if count)
    return f'{text} ({kinds})' if kinds else text


def _cloud(message: Any) -> str:
    fields = ' '.join(one_line(field.name, 20) for field in list(message.fields)[:12])
    return f'{message.width} × {message.height} points, fields {fields}'


def _pcm(message: Any) -> str:
    dims = ' × '.join(f'{dim.size} {one_line(dim.label, 20)}' for dim in message.layout.dim[:3])
    return f'{len(message.data)} samples of 16 bits' + (f' ({dims})' if dims else '')


def _bytes(message: Any) -> str:
    return f'{len(getattr(getattr(message, "audio", message), "data", ()))} bytes of audio'


def _twist(message: Any) -> str:
    twist = message
    while hasattr(twist, 'twist'):
        twist = twist.twist
    v, w = twist.linear, twist.angular
    return f'linear ({v.x:g}, {v.y:g}, {v.z:g}) m/s, angular ({w.x:g}, {w.y:g}, {w.z:g}) rad/s'


def _array(message: Any) -> str:
    return f'{len(message.data)} numbers, {np.asarray(message.data[:8]).tolist()}'


_DESCRIPTIONS: Mapping[str, Callable[[Any], str]] = types.MappingProxyType({
    'sensor_msgs/msg/Image': _image,
    'sensor_msgs/msg/CompressedImage': _compressed,
    'sensor_msgs/msg/Imu': _imu,
    'sensor_msgs/msg/LaserScan': _scan,
    'sensor_msgs/msg/PointCloud2': _cloud,
    'std_msgs/msg/Int16MultiArray': _pcm,
    'audio_common_msgs/msg/AudioData': _bytes,
    'audio_common_msgs/msg/AudioDataStamped': _bytes,
    'geometry_msgs/msg/Twist': _twist,
    'geometry_msgs/msg/TwistStamped': _twist,
    'nav_msgs/msg/Odometry': _twist,
    'std_msgs/msg/Float64MultiArray': _array,
})
