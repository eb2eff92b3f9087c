"""The raw messages of a recording, whole or damaged: rosbag2 folders and bare storage files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
import sqlite3

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader

from .mcap_salvage import McapSalvage, RawMessage

SUFFIXES = ('.mcap', '.db3')


class Storage:
    """One recording.

    Attributes:
        path: rosbag2 folder, ``.mcap`` or ``.db3`` file.
        topics: Interface type by topic, as declared by the recording; filled while reading.
        definitions: Message definition text by interface type, where the recording carries it.
        problems: Why data had to be given up, one line each; filled while reading.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self.problems: list[str] = []

    def intact(self, path: Path | None = None) -> Iterator[RawMessage]:
        """Yield all messages in log-time order, strictly: any damage raises.

        Raises:
            Exception: Whatever the reader or a decompressor makes of the damage.
        """
        with Reader(path or self.path) as reader:
            for connection in reader.connections:
                self.topics[connection.topic] = connection.msgtype
                if connection.msgdef.format == MessageDefinitionFormat.MSG:
                    self.definitions[connection.msgtype] = connection.msgdef.data
            for connection, time, data in reader.messages():
                yield RawMessage(time, connection.topic, connection.msgtype, data)

    def remains(self) -> Iterator[RawMessage]:
        """Yield what can be read of a damaged recording, file by file, each in log-time order."""
        for file in storage_files(self.path):
            try:
                for _ in self.intact(file):
                    pass
            except Exception as error:  # see intact
                if not self.problems:
                    self.problems.append(one_line(error))
                yield from self._salvage(file)
            else:
                yield from self.intact(file)

    def _salvage(self, file: Path) -> Iterator[RawMessage]:
        if file.suffix == '.db3':
            yield from self._salvage_sqlite(file)
            return
        mcap = McapSalvage(file)
        yield from mcap.messages()
        self.topics.update(mcap.channels)
        self.definitions.update(mcap.definitions)
        self.problems += mcap.problems

    def _salvage_sqlite(self, file: Path) -> Iterator[RawMessage]:
        connection = sqlite3.connect(f'file:{file}?immutable=1', uri=True)
        count = 0
        try:
            # Without this SQLite refuses a file shorter than its header says.
            connection.execute('PRAGMA writable_schema=ON')
            topics = {key: (name, kind) for key, name, kind in
                      connection.execute('SELECT id, name, type FROM topics')}
            self.topics.update(dict(topics.values()))
            # Row order is arrival order; the time index may be lost with the cut.
            rows = connection.execute('SELECT topic_id, timestamp, data FROM messages ORDER BY id')
            for key, time, data in rows:
                if key in topics and isinstance(data, bytes):
                    count += 1
                    yield RawMessage(time, *topics[key], data)
        except sqlite3.Error as error:
            self.problems.append(f'{file.name}: {error} after {count} messages')
        finally:
            connection.close()


def storage_files(path: Path) -> list[Path]:
    """The storage files of a recording, in recording order (``bag_2`` before ``bag_10``)."""
    if path.is_file():
        return [path]
    files = [file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    return sorted(files, key=lambda f: [int(p) if p.isdigit() else p
                                        for p in re.split(r'(\d+)', f.name)])


def one_line(error: BaseException) -> str:
    """The first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
