"""One ``.bag`` file of ROS 1, given as the ROS 2 messages it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rosbags.rosbag1 import Reader

from ..untrusted.text import one_line, reason
from .bag_metadata import RecordedQos
from .decompression import decompress
from .mcap_salvage import RawMessage
from .ros1_types import Ros1Types, ros2_name

MAGIC = b'#ROSBAG V'


class Ros1File:
    """A recording of ``rosbag record``.

    Attributes:
        topics: ROS 2 interface type by topic.
        definitions: ``(encoding, text)`` by interface type.
        qos: Latched topics as transient local.
        problems: What had to be given up, one line each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, str]] = {}
        self.qos: dict[str, tuple[RecordedQos, ...]] = {}
        self.problems: list[str] = []
        self._types = Ros1Types()

    def span(self) -> tuple[int, int] | None:
        """First and last log time, ns; None if there is no message or no index."""
        try:
            with Reader(self.path) as reader:
                return ((reader.start_time, reader.end_time) if reader.chunk_infos else None)
        except Exception:  # ``messages`` says why
            return None

    def messages(self) -> Iterator[RawMessage]:
        """Yield the messages as CDR, in log-time order."""
        count = failed = 0
        try:
            with Reader(self.path) as reader:
                self._prove_chunks(reader)
                self._read_topics(reader)
                for connection, time, data in reader.messages():
                    kind = ros2_name(connection.msgtype)
                    text = self.definitions.get(kind, ('', ''))[1]
                    try:
                        data = self._types.to_cdr(bytes(data), kind, text)
                    except ValueError:
                        failed += 1
                        continue
                    count += 1
                    yield RawMessage(time, connection.topic, kind, data)
        except Exception as error:  # every storage and compression has its own errors
            remedy = ' (rosbag reindex mends it)' if 'index' in str(error) else ''
            self._note(f'{reason(error, 300)} after {count} messages{remedy}')
        if failed:
            self._note(f'{failed} messages do not fit their definition')

    def _read_topics(self, reader: Reader) -> None:
        for connection in reader.connections:
            kind = ros2_name(connection.msgtype)
            self.topics[connection.topic] = kind
            self.definitions.setdefault(kind, ('ros2msg', connection.msgdef.data))
            latched = getattr(connection.ext, 'latching', None)
            self.qos[connection.topic] = (RecordedQos(
                'reliable', 'transient_local' if latched else 'volatile'),)

    def _prove_chunks(self, reader: Reader) -> None:
        """Refuse a chunk that expands beyond any message before the reader expands it."""
        with self.path.open('rb') as file:
            for chunk in reader.chunks.values():
                file.seek(chunk.datapos)
                data = file.read(min(chunk.datasize, 2**31))
                for name, magic in (('bz2', b'BZh'), ('lz4', b'\x04"M\x18')):
                    if data.startswith(magic):
                        decompress(data, name)

    def _note(self, problem: str) -> None:
        line = f'{one_line(self.path.name, 100)}: {problem}'
        if line not in self.problems:
            self.problems.append(line)
