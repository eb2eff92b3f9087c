"""The raw messages of a recording in log-time order, however it was stored and whatever happened.

A recording is a rosbag2 folder (mcap or sqlite3; compressed by file, by message or not at all;
split or not), a bare storage file, or a ROS 1 ``.bag``. Each storage file is read by itself, as
its content asks for and not as ``metadata.yaml`` says; the two are compared, and differences told.
"""

from __future__ import annotations

from collections.abc import Iterator
import heapq
from pathlib import Path
import re
import tempfile
from typing import Protocol

from ..untrusted.text import one_line, reason
from . import mcap_salvage, ros1_file, sqlite_file
from .bag_metadata import BagMetadata, NAME, read_metadata, RecordedQos
from .decompression import decompress, DecompressionError, expand_file, ZSTD_MAGIC
from .mcap_salvage import McapSalvage, RawMessage
from .ros1_file import Ros1File
from .sqlite_file import SqliteFile

SUFFIXES = ('.mcap', '.db3')
ROS1_SUFFIX = '.bag'
_COMPRESSED = ('.zstd', '.zst')


class StorageFile(Protocol):
    """What reads one storage file; it tells of damage in ``problems`` and never raises for it."""

    problems: list[str]
    definitions: dict[str, tuple[str, str]]
    qos: dict[str, tuple[RecordedQos, ...]]

    def span(self) -> tuple[int, int] | None:
        """First and last log time, ns."""

    def messages(self) -> Iterator[RawMessage]:
        """Yield what can be read, in log-time order where the file is whole."""


class Storage:
    """One recording. Close it, or use it as a context manager: it may hold temporary files.

    Attributes:
        path: rosbag2 folder, storage file or ROS 1 bag.
        topics: Interface type by topic, as declared by the recording; filled while reading.
        definitions: ``(encoding, text)`` by interface type, where the recording carries it.
        qos: How the publishers offered each topic, by topic; filled while reading.
        problems: Where the recording is not as ``metadata.yaml`` says, one line each.
        damage: Why data had to be given up, one line each; complete when all was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[str, str] = {}
        self.definitions: dict[str, tuple[str, str]] = {}
        self.qos: dict[str, tuple[RecordedQos, ...]] = {}
        self._files: list[StorageFile] | None = None
        self._spans: list[tuple[int, int]] = []
        self._metadata = BagMetadata()
        self.problems: list[str] = []
        self._damage: list[str] = []
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def damage(self) -> list[str]:
        """Why data had to be given up, one line each."""
        return list(dict.fromkeys([*self._damage,
                                   *(p for file in self._files or () for p in file.problems)]))

    @property
    def expected(self) -> int | None:
        """Messages there should be, as ``metadata.yaml`` says; None if it does not."""
        return self._metadata.messages

    def close(self) -> None:
        """Remove temporary files; the next reading makes them anew."""
        self._damage = self.damage
        for file in self._files or ():
            if isinstance(file, SqliteFile):
                file.close()
        self._files = None
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    def messages(self) -> Iterator[RawMessage]:
        """Yield all messages that can be read, in log-time order over all files.

        Files whose times overlap are merged; the others are read one after the other.
        """
        self._open()
        for group in self._groups():
            for message in heapq.merge(*(file.messages() for file in group),
                                       key=lambda message: message.time):
                if message.topic not in self.topics:  # its definition is wanted at once
                    for file in group:
                        self._learn(file)
                if message.data[:4] == ZSTD_MAGIC:  # no CDR message begins like this
                    try:
                        message = message._replace(data=decompress(message.data, 'zstd'))
                    except DecompressionError as error:
                        self._note(f'a message on {one_line(message.topic, 100)}: '
                                   f'{reason(error, 300)}')
                        continue
                yield message
            for file in group:
                self._learn(file)

    def _open(self) -> None:
        if self._files is not None:
            return
        self._files, self._spans, names = [], [], [self.path]
        if self.path.is_dir():
            self._metadata = read_metadata(self.path)
            self.problems = list(self._metadata.problems)
            names = self._choose_files()
        for name in names:
            file = self._open_file(name)
            if file is None:
                continue
            try:
                span = file.span()
            except Exception as error:  # what is broken may fail anywhere
                self._note(f'{one_line(name.name, 100)}: {reason(error, 300)}')
                span = None
            self._files.append(file)
            self._spans.append(span or (0, 0))

    def _choose_files(self) -> list[Path]:
        """The storage files that count, with what ``metadata.yaml`` says held against them."""
        found = storage_files(self.path)
        if not self._metadata.files:
            return found
        listed = [self.path / name for name in self._metadata.files]
        missing = [path for path in listed if not path.is_file()]
        names = {bare_name(path) for path in listed if path not in missing}
        others = [path for path in found if path not in listed and bare_name(path) not in names]
        if not missing:
            self.problems += [f'{one_line(path.name, 100)} is not named in {NAME}: left out'
                                   for path in others]
            return list(dict.fromkeys(listed))
        for path in missing:
            if others:
                stand_in = next((o for o in others if bare_name(o) == bare_name(path)), others[0])
                others.remove(stand_in)
                self.problems.append(f'{one_line(path.name, 100)} is missing, '
                                          f'{one_line(stand_in.name, 100)} is read in its place')
            else:
                self.problems.append(f'{one_line(path.name, 100)} is missing')
        return found

    def _open_file(self, path: Path) -> StorageFile | None:
        try:
            if not path.is_file():
                raise ValueError('is no ordinary file')
            kind = _kind(path)
            if kind == 'zstd':
                path = self._expand(path)
                kind = _kind(path)
            readers: dict[str, type[McapSalvage] | type[SqliteFile] | type[Ros1File]] = {
                'mcap': McapSalvage, 'sqlite3': SqliteFile, 'ros1': Ros1File}
            return readers[kind](path)
        except (OSError, ValueError) as error:
            self._note(f'{one_line(path.name, 100)}: {reason(error, 300)}')
            return None

    def _expand(self, path: Path) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix='liquidspike-zstd-')
        target = Path(self._temporary.name) / bare_name(path)
        expand_file(path, target)
        return target

    def _groups(self) -> Iterator[list[StorageFile]]:
        group: list[StorageFile] = []
        latest = -1
        for (first, last), _, file in sorted(
                zip(self._spans, range(len(self._spans)), self._files or (), strict=True),
                key=lambda entry: entry[:2]):
            if group and first > latest:
                yield group
                group = []
            group.append(file)
            latest = max(latest, last)
        if group:
            yield group

    def _learn(self, file: StorageFile) -> None:
        topics = file.channels if isinstance(file, McapSalvage) else getattr(file, 'topics', {})
        self.topics.update(topics)
        for kind, definition in file.definitions.items():
            self.definitions.setdefault(kind, definition)
        for topic in {*topics, *self._metadata.qos}:
            # Where the two differ the storage counts: nobody edits it by hand.
            if profiles := file.qos.get(topic) or self._metadata.qos.get(topic):
                self.qos.setdefault(topic, profiles)

    def _note(self, problem: str) -> None:
        if problem not in self._damage:
            self._damage.append(problem)


def _kind(path: Path) -> str:
    """What a storage file is by its first bytes.

    Raises:
        ValueError: Something else.
    """
    with path.open('rb') as file:
        start = file.read(16)
    for kind, magic in (('mcap', mcap_salvage.MAGIC), ('sqlite3', sqlite_file.MAGIC),
                        ('ros1', ros1_file.MAGIC), ('zstd', ZSTD_MAGIC)):
        if start.startswith(magic):
            return kind
    raise ValueError('is empty' if not start else
                     'holds neither mcap, sqlite3, a ROS 1 bag nor zstd')


def bare_name(path: Path) -> str:
    """A file's name without the suffix of its compression."""
    return path.name.removesuffix(path.suffix) if path.suffix in _COMPRESSED else path.name


def is_storage(path: Path) -> bool:
    """Whether a name is one of a storage file."""
    return Path(bare_name(path)).suffix in (*SUFFIXES, ROS1_SUFFIX)


def storage_files(path: Path) -> list[Path]:
    """The storage files of a recording, in recording order (``bag_2`` before ``bag_10``).

    Of a file that is there compressed and expanded, the expanded one.
    """
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if is_storage(file) and file.is_file()]
    expanded = {file.name for file in files if file.suffix not in _COMPRESSED}
    files = [file for file in files
             if file.suffix not in _COMPRESSED or bare_name(file) not in expanded]
    return sorted(files, key=lambda f: [(p.isdigit(), int(p) if p.isdigit() else 0, p)
                                        for p in re.split(r'(\d+)', f.name)])
