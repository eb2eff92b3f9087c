"""Recordings as training data: where they are, and their decoded events in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..robot import AudioSpec, CommandSpec, RobotSpec
from ..sensing.stream import MOTION
from ..untrusted.text import one_line, reason
from .bag_metadata import NAME
from .bag_report import BagError, BagReport, TopicReport
from .bag_scan import scan_bag
from .configuration import DataConfig
from .message_types import MessageTypes
from .storage import ROS1_SUFFIX, Storage, storage_files

__all__ = [
    'BagError',
    'BagReader',
    'BagReport',
    'Event',
    'TopicReport',
    'command_values',
    'find_bags',
    'read_events',
    'require_usable',
    'scan_bag',
]

STANDING = 500_000_000  # ns without a change after which a robot is taken to stand


class Event(NamedTuple):
    """One sensor message: log time (ns), sensor name, interface type and decoded message.

    A command gives an event too, with the name ``MOTION``: whether the robot was told to move.
    """

    now: int
    sensor: str
    type: str
    message: Any


def find_bags(paths: Iterable[str | Path]) -> list[Path]:
    """Expand folders of recordings into the recordings, each folder in name order.

    A folder with ``metadata.yaml``, or whose storage files carry its name, is one recording;
    any other folder is searched. Paths that do not exist are kept, for ``scan_bag`` to report.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir() or (path / NAME).exists():
            found.append(path)
            continue
        files = storage_files(path)
        if files and all(file.name.startswith(path.name) and file.suffix != ROS1_SUFFIX
                         for file in files):
            found.append(path)
            continue
        inner = find_bags([*files, *sorted(child for child in path.iterdir()
                                           if child.is_dir() and not child.is_symlink())])
        found += [bag for bag in inner if bag.is_file() or _holds_storage(bag)]
    return list(dict.fromkeys(found)) or [Path(path) for path in paths]


def _holds_storage(path: Path) -> bool:
    return (path / NAME).exists() or bool(storage_files(path))


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
        reasons: Why the last of them was, by topic.
    """

    def __init__(self, path: str | Path, robot: RobotSpec, report: BagReport | None = None,
                 data: DataConfig | None = None, storage: Storage | None = None) -> None:
        self._storage, self._owns = storage or Storage(Path(path)), storage is None
        self.report = report or scan_bag(path, robot, data, self._storage)
        self.robot = robot
        self.commands: list[tuple[int, NDArray[np.float64]]] = []
        self.rejected: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self._types = MessageTypes(self._storage.definitions)

    def events(self) -> Iterator[Event]:
        """Yield the sensor events and motions; commands are collected on the way.

        Raises:
            BagError: The recording is not usable.
        """
        require_usable([self.report])
        choice, shift = self.report.choice, self.report.shift
        if choice is None:
            raise BagError(f'{one_line(self.report.path, 300)}: was scanned without a robot')
        follow = shift.follower() if shift else lambda time: time
        rest = _Rest(self.robot)
        try:
            for time, topic, kind, data in self._storage.messages():
                sensor = choice.sensors.get((topic, kind))
                if time <= 0 or (sensor is None and (topic, kind) not in choice.commands):
                    continue
                try:
                    message = self._types.decode(data, kind)
                    value = None if sensor else command_values(message, self.robot.command)
                except Exception as error:  # a broken payload may fail anywhere in the decoder
                    self.rejected[topic] += 1
                    self.reasons[topic] = reason(error, 300)
                    continue
                time = follow(time)
                if sensor is not None:
                    rest.watch(sensor, time, data)
                    yield Event(time, sensor, kind, message)
                elif value is not None:
                    self.commands.append((time, value))
                    yield Event(time, MOTION, kind, bool(value.any()) and not rest.at(time))
        finally:
            if self._owns:
                self._storage.close()


class _Rest:
    """Whether a robot stands, whatever it is told: all that it sees and feels repeats bit for bit.

    So does a simulator without noise before an episode begins. One sensor that repeats while
    another changes is frozen; if all do, nothing moves.
    """

    def __init__(self, robot: RobotSpec) -> None:
        self._previous: dict[str, bytes] = {
            name: b'' for name, spec in robot.sensors.items() if not isinstance(spec, AudioSpec)}
        self._changed: int | None = None

    def watch(self, sensor: str, time: int, data: bytes) -> None:
        """Take a serialized message."""
        previous = self._previous.get(sensor)
        if previous is None:
            return
        payload = data[12:]  # after the stamp
        if previous and payload != previous:
            self._changed = time
        self._previous[sensor] = payload

    def at(self, time: int) -> bool:
        """Whether nothing has changed for half a second."""
        return bool(self._previous) and (
            self._changed is None or time - self._changed > STANDING)


def command_values(message: Any, spec: CommandSpec) -> NDArray[np.float64]:
    """The entries of a command (or of an odometry's twist) in the order of ``spec.names`` ``[A]``.

    Raises:
        ValueError: The width is wrong or a value is not finite.
    """
    if hasattr(message, 'data'):
        values = np.asarray(message.data, np.float64)
    else:
        twist = message
        while hasattr(twist, 'twist'):  # stamped; with covariance in an odometry
            twist = twist.twist
        parts = [name.split('.') for name in spec.names]
        values = np.array([getattr(getattr(twist, part), axis) for part, axis in parts])
    if values.shape != (spec.width,) or not np.isfinite(values).all():
        raise ValueError(f'{spec.topic}: got {values.tolist()[:16]}, '
                         f'expected {spec.width} finite numbers')
    return values


def read_events(path: str | Path, robot: RobotSpec) -> Iterator[Event]:
    """Yield the decoded sensor messages of a recording in log-time order (see ``BagReader``)."""
    return BagReader(path, robot).events()
