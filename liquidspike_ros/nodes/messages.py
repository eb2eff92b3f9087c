"""ROS message classes by interface name, and commands as messages."""

from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from ..robot import CommandSpec

COMMAND_TYPES: dict[str, type] = {
    'twist': Twist,
    'twist_stamped': TwistStamped,
    'float64_multi_array': Float64MultiArray,
}


COMMAND_INTERFACES = {
    'twist': 'geometry_msgs/msg/Twist',
    'twist_stamped': 'geometry_msgs/msg/TwistStamped',
    'float64_multi_array': 'std_msgs/msg/Float64MultiArray',
}


class MessageTypeError(ValueError):
    """An interface is not installed here; the message names it."""


def message_class(interface: str) -> type:
    """The Python class of an interface such as ``sensor_msgs/msg/Image``.

    Raises:
        MessageTypeError: The name is no interface of an installed package.
    """
    parts = interface.split('/')
    if len(parts) != 3 or parts[1] != 'msg':
        raise MessageTypeError(f'type: got {interface!r}, expected a name like '
                               'sensor_msgs/msg/Image')
    try:
        return getattr(importlib.import_module(f'{parts[0]}.msg'), parts[2])
    except (ImportError, AttributeError):
        raise MessageTypeError(f'type: {interface} is not installed here, expected package '
                               f'{parts[0]!r} with message {parts[2]!r}') from None


def command_message(spec: CommandSpec, values: Sequence[float], stamp: Any) -> Any:
    """A command as the message ``spec.kind`` names.

    Args:
        spec: Kind, names and frame.
        values: Physical command ``[A]``, one per name.
        stamp: ``builtin_interfaces/Time`` for stamped kinds.
    """
    if spec.kind == 'float64_multi_array':
        message = Float64MultiArray(data=[float(value) for value in values])
        message.layout.dim = [MultiArrayDimension(label=','.join(spec.names), size=spec.width,
                                                  stride=spec.width)]
        return message
    twist = Twist()
    for name, value in zip(spec.names, values, strict=True):
        part, axis = name.split('.')
        setattr(getattr(twist, part), axis, float(value))
    if spec.kind == 'twist':
        return twist
    stamped = TwistStamped(twist=twist)
    stamped.header.stamp, stamped.header.frame_id = stamp, spec.frame_id
    return stamped
