"""Messages of ROS 1 as ROS 2 writes them, byte by byte."""

from __future__ import annotations

from rosbags.typesys import get_types_from_msg, get_typestore, Stores
from rosbags.typesys.store import Typestore


def ros2_name(kind: str) -> str:
    """``sensor_msgs/Image`` as ``sensor_msgs/msg/Image``; ROS 2 names stay."""
    package, slash, name = kind.partition('/')
    return f'{package}/msg/{name}' if slash and '/' not in name else kind


class Ros1Types:
    """Turns serialized ROS 1 messages into CDR."""

    def __init__(self) -> None:
        self._store: Typestore | None = None  # made when it is needed: it takes half a second

    def to_cdr(self, data: bytes, kind: str, definition: str) -> bytes:
        """One message.

        Args:
            data: As ROS 1 serializes it.
            kind: Its interface type, with or without ``/msg/``.
            definition: Its text, with those of the types it uses; empty for a standard type.

        Raises:
            ValueError: The data do not fit the definition.
        """
        name = ros2_name(kind)
        try:
            # ROS 2's definitions: the converter itself drops what ROS 1 has more in a header.
            store = self._store = self._store or get_typestore(Stores.ROS2_KILTED)
            if name not in store.types and definition:
                found = get_types_from_msg(definition, name)
                store.register({k: v for k, v in found.items() if k not in store.types})
            return bytes(store.ros1_to_cdr(data, name))
        except Exception as error:  # a broken payload may fail anywhere in the converter
            raise ValueError(f'{name}: no such ROS 1 message ({type(error).__name__})') from None
