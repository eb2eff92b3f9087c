"""ROS message classes by interface name, and commands as messages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
import importlib
import importlib.util
from pathlib import Path
import re
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from ..robot import CommandSpec
from ..sensing.cdr import is_plain, read_message
from ..untrusted.text import brief, Refusal

_INTERFACE = re.compile(r'([a-z][a-z0-9_]{0,100})/msg/([A-Z][A-Za-z0-9]{0,100})')


class MessageTypeError(Refusal):
    """An interface is not installed here; the message names it."""


def message_class(interface: str) -> type:
    """The Python class of an interface such as ``sensor_msgs/msg/Image``.

    Raises:
        MessageTypeError: The name is no interface of an installed package.
    """
    parts = _INTERFACE.fullmatch(interface)
    if parts is None:
        raise MessageTypeError(f'type: got {brief(interface)}, expected a name like '
                               'sensor_msgs/msg/Image')
    package, name = parts.groups()
    found: Any = None
    # A recording names its types, and importing runs code: only packages of messages are imported.
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    if any(Path(folder, 'msg', '__init__.py').is_file() for folder in folders):
        with suppress(ImportError):
            found = getattr(importlib.import_module(f'{package}.msg'), name, None)
    if not hasattr(found, 'get_fields_and_field_types'):
        raise MessageTypeError(f'type: {interface} is not installed here, expected package '
                               f'{package!r} with message {name!r}')
    return found  # type: ignore[no-any-return]


def received_message(interface: str, kind: type, data: bytes) -> Any:
    """A serialised message for the converters, with as little work as its encoding allows.

    Args:
        interface: One of ``sensing.cdr.READERS``.
        kind: Its message class.
        data: As it was taken from a raw subscription.

    Raises:
        InvalidSample: It is cut off, or a length in it is more than it holds.
    """
    if is_plain(data):
        return read_message(interface, data)
    return deserialize_message(data, kind)


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
