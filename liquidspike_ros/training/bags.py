"""Recordings as training data: what a bag holds, what is wrong with it, and its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from ..robot import CommandSpec, RobotSpec
from .mcap_salvage import RawMessage
from .storage import one_line, Storage, storage_files, SUFFIXES

COMMAND_TYPES = {
    'twist': ('geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped'),
    'twist_stamped': ('geometry_msgs/msg/TwistStamped', 'geometry_msgs/msg/Twist'),
    'float64_multi_array': ('std_msgs/msg/Float64MultiArray',),
}


class BagError(ValueError):
    """No usable recording; one line per recording says which, what and what was expected."""


class Event(NamedTuple):
    """One sensor message: log time (ns), sensor name, interface type and decoded message."""

    now: int
    sensor: str
    type: str
    message: Any


@dataclass(frozen=True)
class TopicReport:
    """Interface type and readable messages of one topic."""

    type: str
    count: int


@dataclass(frozen=True, kw_only=True)
class BagReport:
    """What one recording holds.

    Attributes:
        path: The recording.
        topics: Readable topics by absolute name.
        duration: From first to last readable message, s.
        damaged: Whether it had to be read without its index.
        problems: What is wrong, one line each.
        fatal: Why nothing can be learnt from it; empty if something can.
    """

    path: Path
    topics: dict[str, TopicReport] = field(default_factory=dict)
    duration: float = 0.0
    damaged: bool = False
    problems: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether something can be learnt from it."""
        return not self.fatal

    @property
    def line(self) -> str:
        """The whole finding in one line."""
        count = sum(topic.count for topic in self.topics.values())
        facts = f'{count} messages on {len(self.topics)} topics, {self.duration:.1f} s'
        verdict = f'used, {facts}' if self.usable else f'not used ({"; ".join(self.fatal)})'
        return '; '.join([f'{self.path}: {verdict}', *self.problems])


def find_bags(paths: Iterable[str | Path]) -> list[Path]:
    """Expand folders of recordings into the recordings, each folder in name order.

    A folder with ``metadata.yaml``, or whose storage files carry its name, is one recording;
    any other folder is searched. Paths that do not exist are kept, for ``scan_bag`` to report.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir() or (path / 'metadata.yaml').exists():
            found.append(path)
            continue
        files = storage_files(path)
        if files and all(file.name.startswith(path.name) for file in files):
            found.append(path)
            continue
        inner = find_bags([*files, *sorted(child for child in path.iterdir() if child.is_dir())])
        found += [bag for bag in inner if bag.is_file() or _holds_storage(bag)]
    return list(dict.fromkeys(found)) or [Path(path) for path in paths]


def _holds_storage(path: Path) -> bool:
    return (path / 'metadata.yaml').exists() or bool(storage_files(path))


def absolute(topic: str) -> str:
    """A topic name relative to the root namespace, as recordings hold it."""
    return '/' + topic.lstrip('/')


def scan_bag(path: str | Path, robot: RobotSpec | None = None) -> BagReport:
    """Read a whole recording without decoding it, and report what it holds and lacks.

    Args:
        path: rosbag2 folder, ``.mcap`` or ``.db3`` file.
        robot: Whose topics are expected; without it only the recording itself is judged.
    """
    path = Path(path)
    if fatal := _not_a_bag(path):
        return BagReport(path=path, fatal=(fatal,))
    storage, damaged = Storage(path), False
    try:
        counts, span = _count(storage.intact())
    except Exception as error:  # every storage and compression has its own errors
        storage, damaged = Storage(path), True
        storage.problems.append(one_line(error))
        counts, span = _count(storage.remains())
    topics = {topic: TopicReport(kind, counts[topic, kind])
              for topic, kind in sorted({**storage.topics, **dict(list(counts))}.items())}
    fatal_reasons, problems = _judge(topics, robot)
    reasons = [f'damaged: {problem}' for problem in storage.problems]
    return BagReport(path=path, topics=topics, duration=span / 1e9, damaged=damaged,
                     problems=(*reasons, *problems), fatal=tuple(fatal_reasons))


def _not_a_bag(path: Path) -> str:
    expected = 'expected a rosbag2 folder, an .mcap or a .db3 file'
    if not path.exists():
        return f'no such file or folder, {expected}'
    if path.is_dir() and not storage_files(path):
        return f'no storage file inside, {expected}'
    if path.is_file() and path.suffix not in SUFFIXES:
        return f'got a {path.suffix or "nameless"} file, {expected}'
    return ''


def _count(messages: Iterator[RawMessage]) -> tuple[Counter[tuple[str, str]], int]:
    counts: Counter[tuple[str, str]] = Counter()
    first, last = 2**63, 0
    for message in messages:
        counts[message.topic, message.type] += 1
        first, last = min(first, message.time), max(last, message.time)
    return counts, max(0, last - first)


def _judge(topics: dict[str, TopicReport], robot: RobotSpec | None) -> tuple[list[str], list[str]]:
    """What is fatal and what is merely missing."""
    if not sum(topic.count for topic in topics.values()):
        return ['no messages, expected at least one'], []
    if robot is None:
        return [], []
    fatal: list[str] = []
    problems: list[str] = []
    sensors = 0
    if finding := _missing(topics, robot.command.topic, COMMAND_TYPES[robot.command.kind]):
        fatal.append(f'command: {finding}')
    for name, spec in robot.sensors.items():
        if finding := _missing(topics, spec.topic, (spec.type,)):
            (fatal if spec.required else problems).append(f'{name}: {finding}')
        else:
            sensors += 1
    if not sensors:
        fatal += problems
        problems = []
    return fatal, problems


def _missing(topics: dict[str, TopicReport], topic: str, types: Sequence[str]) -> str:
    name = absolute(topic)
    if name not in topics:
        return f'no topic {name}, expected {types[0]}'
    if topics[name].type not in types:
        return f'{name} is {topics[name].type or "of unknown type"}, expected {types[0]}'
    return '' if topics[name].count else f'{name} has no messages, expected {types[0]}'


def require_usable(reports: Sequence[BagReport]) -> list[BagReport]:
    """The usable recordings.

    Raises:
        BagError: There is none; the text has one line per recording.
    """
    usable = [report for report in reports if report.usable]
    if not usable:
        lines = '\n'.join(f'  {report.line}' for report in reports)
        raise BagError(f'no usable recording among {len(reports)}:\n{lines}' if reports
                       else 'no recording given, expected at least one bag')
    return usable


class BagReader:
    """Decodes the robot's sensor messages and commands of one recording, in log-time order.

    Attributes:
        commands: ``(log time ns, command [A] in physical units)``, complete after ``events``.
        rejected: Messages that could not be decoded, or commands that are not finite, by topic.
    """

    def __init__(self, path: str | Path, robot: RobotSpec, report: BagReport | None = None) -> None:
        self.report = report or scan_bag(path, robot)
        self.robot = robot
        self.commands: list[tuple[int, NDArray[np.float64]]] = []
        self.rejected: Counter[str] = Counter()
        self._storage = Storage(Path(path))
        self._types = get_typestore(Stores.ROS2_KILTED)

    def events(self) -> Iterator[Event]:
        """Yield the sensor events; commands are collected on the way.

        Raises:
            BagError: The recording is not usable.
        """
        require_usable([self.report])
        sensors = {(absolute(spec.topic), spec.type): name
                   for name, spec in self.robot.sensors.items()}
        command = absolute(self.robot.command.topic)
        kinds = COMMAND_TYPES[self.robot.command.kind]
        raw = self._storage.remains() if self.report.damaged else self._storage.intact()
        for time, topic, kind, data in raw:
            sensor = sensors.get((topic, kind))
            if sensor is None and not (topic == command and kind in kinds):
                continue
            try:
                message = self._decode(data, kind)
                if sensor is None:
                    value = command_values(message, self.robot.command)
                    self.commands.append((time, value))
                    continue
            except Exception:  # a broken payload may fail anywhere in the decoder
                self.rejected[topic] += 1
                continue
            yield Event(time, sensor, kind, message)

    def _decode(self, data: bytes, kind: str) -> Any:
        if kind not in self._types.types:
            definition = self._storage.definitions[kind]
            found = get_types_from_msg(definition, kind)
            self._types.register({k: v for k, v in found.items() if k not in self._types.types})
        return self._types.deserialize_cdr(data, kind)


def command_values(message: Any, spec: CommandSpec) -> NDArray[np.float64]:
    """The entries of a command message in the order of ``spec.names``, physical units ``[A]``.

    Raises:
        ValueError: The width is wrong or a value is not finite.
    """
    if hasattr(message, 'data'):
        values = np.asarray(message.data, np.float64)
    else:
        twist = getattr(message, 'twist', message)
        parts = [name.split('.') for name in spec.names]
        values = np.array([getattr(getattr(twist, part), axis) for part, axis in parts])
    if values.shape != (spec.width,) or not np.isfinite(values).all():
        raise ValueError(f'{spec.topic}: got {values.tolist()}, '
                         f'expected {spec.width} finite numbers')
    return values


def read_events(path: str | Path, robot: RobotSpec) -> Iterator[Event]:
    """Yield the decoded sensor messages of a recording in log-time order (see ``BagReader``)."""
    return BagReader(path, robot).events()
