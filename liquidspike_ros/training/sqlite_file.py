"""One ``.db3`` file of rosbag2, whole, cut off or beside a write-ahead log; never changed.

Schema: https://github.com/ros2/rosbag2/tree/rolling/rosbag2_storage_sqlite3. The messages are
sorted by SQLite where it can; a damaged file is read in the order of its rows, which is the order
of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import shutil
import sqlite3
import tempfile
from typing import Any
from urllib.parse import quote

from ..untrusted.text import one_line, reason
from .bag_metadata import parse_qos, RecordedQos
from .decompression import SPARE_DISK
from .mcap_salvage import RawMessage

MAGIC = b'SQLite format 3\0'
_SIDECARS = ('-wal', '-journal')  # what a writer that was killed leaves


class SqliteFile:
    """A storage file of the ``sqlite3`` plugin.

    Attributes:
        topics: Interface type by (topic, type) pair order; filled by ``open``.
        definitions: ``(encoding, text)`` by interface type.
        qos: Offered profiles by topic.
        problems: What had to be given up, one line each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, str]] = {}
        self.qos: dict[str, tuple[RecordedQos, ...]] = {}
        self.problems: list[str] = []
        self._connections: dict[Any, tuple[str, str]] = {}
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._sound = True
        self._opened = False

    def open(self) -> None:
        """Read what the file says about its topics, and whether it is whole."""
        if self._opened:
            return
        self._opened = True
        try:
            if any(self._sidecar(end) for end in _SIDECARS):
                self._copy_aside()
            connection = self._connect()
            try:
                self._refuse_programs(connection)
                self._read_topics(connection)
                self._read_definitions(connection)
                ((verdict, *_), *_) = connection.execute('PRAGMA quick_check(1)').fetchall()
                if verdict != 'ok':
                    self._doubt(str(verdict))
            finally:
                connection.close()
        except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
            self._doubt(reason(error, 300))

    def close(self) -> None:
        """Remove the copy that reading a write-ahead log needs."""
        if self._copy:
            self._copy.cleanup()
            self._copy = None
        self._opened = False

    def span(self) -> tuple[int, int] | None:
        """First and last log time, ns; None if there is no message."""
        self.open()
        if not self._sound:
            times = [message.time for message in self.messages()]
            return (min(times), max(times)) if times else None
        connection = self._connect()
        try:
            first, last = connection.execute(
                'SELECT min(timestamp), max(timestamp) FROM messages').fetchone()
        finally:
            connection.close()
        return (first, last) if isinstance(first, int) and isinstance(last, int) else None

    def messages(self) -> Iterator[RawMessage]:
        """Yield the messages, in log-time order where the file is whole."""
        self.open()
        if not self._connections:
            return
        count, left = 0, self._file().stat().st_size + 4096
        connection = self._connect()
        try:
            order = 'timestamp' if self._sound else 'id'
            rows = connection.execute(
                f'SELECT topic_id, timestamp, data FROM messages ORDER BY {order}')
            for key, time, data in rows:
                if key not in self._connections or not isinstance(time, int) or not isinstance(
                        data, bytes):
                    continue
                # Pages that point at each other could give rows for ever.
                left -= len(data) + 1
                if left < 0:
                    self._doubt(f'more data than the file holds after {count} messages')
                    return
                count += 1
                yield RawMessage(time, *self._connections[key], data)
        except (sqlite3.Error, OverflowError) as error:
            self._doubt(f'{reason(error, 300)} after {count} messages')
        finally:
            connection.close()

    def _doubt(self, reason: str) -> None:
        self._sound = False
        line = f'{one_line(self.path.name, 100)}: {one_line(reason, 300)}'
        if line not in self.problems:
            self.problems.append(line)

    def _sidecar(self, end: str) -> Path | None:
        path = self.path.with_name(self.path.name + end)
        return path if path.is_file() and path.stat().st_size else None

    def _file(self) -> Path:
        return Path(self._copy.name) / 'bag.db3' if self._copy else self.path

    def _copy_aside(self) -> None:
        """Copy file and log: SQLite merges them on opening, which would change the recording."""
        parts = {'': self.path} | {end: path for end in _SIDECARS if (path := self._sidecar(end))}
        need = sum(path.stat().st_size for path in parts.values())
        if need + SPARE_DISK > shutil.disk_usage(tempfile.gettempdir()).free:
            raise ValueError(f'its write-ahead log cannot be read: {need} bytes of temporary disk '
                             'wanted')
        self._copy = tempfile.TemporaryDirectory(prefix='liquidspike-db3-')
        for end, path in parts.items():
            shutil.copyfile(path, Path(self._copy.name) / f'bag.db3{end}')

    def _connect(self) -> sqlite3.Connection:
        mode = 'mode=rwc' if self._copy else 'immutable=1'
        connection = sqlite3.connect(f'file:{quote(str(self._file()))}?{mode}', uri=True)
        connection.text_factory = lambda raw: raw.decode('utf-8', 'replace')
        connection.execute('PRAGMA trusted_schema=OFF')
        # Without this SQLite refuses a file shorter than its header says.
        connection.execute('PRAGMA writable_schema=ON')
        return connection

    @staticmethod
    def _refuse_programs(connection: sqlite3.Connection) -> None:
        """Tables only: a view or a generated column computes its rows, maybe for ever."""
        kinds = dict(connection.execute(
            "SELECT name, type FROM sqlite_master WHERE name IN ('messages', 'topics')").fetchall())
        for name in ('messages', 'topics'):
            if kinds.get(name) != 'table':
                raise ValueError(f'{name} is {kinds.get(name, "missing")}, expected a table')
            if any(column[6] for column in connection.execute(f'PRAGMA table_xinfo({name})')):
                raise ValueError(f'{name} has computed columns, expected stored ones')

    def _read_topics(self, connection: sqlite3.Connection) -> None:
        columns = {row[1] for row in connection.execute('PRAGMA table_info(topics)')}
        rows = connection.execute('SELECT * FROM topics ORDER BY id')
        names = [column[0] for column in rows.description]
        for row in rows:
            entry = dict(zip(names, row, strict=True))
            topic, kind = str(entry.get('name')), str(entry.get('type'))
            encoding = entry.get('serialization_format', 'cdr')
            if encoding not in ('cdr', '', None):
                self.problems.append(f'{one_line(topic, 100)} is encoded as '
                                     f'{one_line(encoding, 40)}, expected cdr: left out')
                continue
            self._connections[entry['id']] = (topic, kind)
            self.topics[topic] = kind
            if 'offered_qos_profiles' in columns:
                self.qos[topic] = (*self.qos.get(topic, ()),
                                   *parse_qos(entry['offered_qos_profiles']))

    def _read_definitions(self, connection: sqlite3.Connection) -> None:
        try:
            rows = connection.execute('SELECT topic_type, encoding, encoded_message_definition '
                                      'FROM message_definitions').fetchall()
        except sqlite3.OperationalError:  # recorders before Iron wrote none
            return
        for kind, encoding, text in rows:
            if encoding in ('ros2msg', 'ros2idl') and isinstance(text, str) and text:
                self.definitions[kind] = (encoding, text)
