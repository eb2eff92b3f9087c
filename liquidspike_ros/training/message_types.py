"""Decodes recorded messages, with the definitions the recording carries or the package knows."""

from __future__ import annotations

from collections.abc import Mapping
import struct
from typing import Any

from rosbags.typesys import get_types_from_idl, get_types_from_msg, get_typestore, Stores

# Types the product names that are in no standard set, and that recorders before Iron did not
# describe: https://github.com/ros-drivers/audio_common (branch ros2).
KNOWN: Mapping[str, str] = {
    'audio_common_msgs/msg/AudioData': 'uint8[] data\n',
    'audio_common_msgs/msg/AudioDataStamped':
        'std_msgs/Header header\naudio_common_msgs/AudioData audio\n'
        f'{"=" * 80}\nMSG: audio_common_msgs/AudioData\nuint8[] data\n',
    'audio_common_msgs/msg/AudioInfo':
        'uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\n'
        'string coding_format\n',
}
_HEADER, _TIME = 'std_msgs/msg/Header', 'builtin_interfaces/msg/Time'
_NANOSECONDS = 1_000_000_000


class MessageTypes:
    """The interface types of one recording.

    Args:
        definitions: ``(encoding, text)`` by interface type, as the recording carries them; may
            grow while it is read.
    """

    def __init__(self, definitions: Mapping[str, tuple[str, str]]) -> None:
        self._definitions = definitions
        self._store = get_typestore(Stores.ROS2_KILTED)
        self._stamped: dict[str, bool] = {}

    def decode(self, data: bytes, kind: str) -> Any:
        """One message.

        Raises:
            Exception: The type is unknown, or the data are no such message; a broken payload may
                fail anywhere in the decoder.
        """
        self._learn(kind)
        return self._store.deserialize_cdr(data, kind)

    def stamp(self, data: bytes, kind: str) -> int | None:
        """The stamp that a serialized message begins with, ns; None if it begins with none.

        Messages with a header first, and ``rosgraph_msgs/msg/Clock``. Nothing is decoded.
        """
        if kind not in self._stamped:
            self._stamped[kind] = self._begins_with_stamp(kind)
        if not self._stamped[kind] or len(data) < 12:
            return None
        seconds, nanoseconds = struct.unpack_from('<iI' if data[1] & 1 else '>iI', data, 4)
        if not 0 <= nanoseconds < _NANOSECONDS or seconds < 0:
            return None
        return int(seconds * _NANOSECONDS + nanoseconds)

    def _begins_with_stamp(self, kind: str) -> bool:
        try:
            self._learn(kind)
            fields = self._store.fielddefs[kind][1]
        except Exception:  # as in ``decode``
            return False
        return bool(fields) and fields[0][1][1] in (_HEADER, _TIME)

    def _learn(self, kind: str) -> None:
        if kind in self._store.types:
            return
        encoding, text = self._definitions.get(kind, ('', ''))
        if not text:
            encoding, text = 'ros2msg', KNOWN.get(kind, '')
        if not text:
            raise KeyError(f'no definition of {kind}')
        if encoding == 'ros2idl':
            found = {}
            for part in _idl_parts(text):
                found.update(get_types_from_idl(part))
        else:
            found = get_types_from_msg(text, kind)
        self._store.register({k: v for k, v in found.items() if k not in self._store.types})


def _idl_parts(text: str) -> list[str]:
    separator = '=' * 80 + '\n'
    if not text.startswith(f'{separator}IDL: '):
        return [text]
    return [part.partition('\n')[2] for part in text.split(separator)[1:]]
