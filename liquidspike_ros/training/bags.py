"""Recordings as training data: what a bag holds, what is wrong with it, and its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..robot import AudioSpec, CommandSpec, RobotSpec
from ..sensing.converters import CONVERTERS
from ..sensing.stream import MOTION
from .bag_metadata import NAME, RecordedQos
from .configuration import DataConfig
from .mcap_salvage import RawMessage
from .message_samples import can_describe, describe_message
from .message_types import MessageTypes
from .printable import one_line, printable
from .storage import is_storage, ROS1_SUFFIX, Storage, storage_files
from .time_offset import (
    find_shift,
    OTHER_CLOCK,
    remaining_lag,
    seconds,
    SMALL,
    StampTrack,
    TimeShift,
)
from .topic_choice import absolute, choose_topics, TopicChoice

STANDING = 500_000_000  # ns
PAUSE = 10_000_000_000  # ns without any message that count as a gap, not as recorded time


class BagError(ValueError):
    """No usable recording; one line per recording says which, what and what was expected."""


class Event(NamedTuple):
    """One sensor message: log time (ns), sensor name, interface type and decoded message.

    A command gives an event too, with the name ``MOTION``: whether the robot was told to move.
    """

    now: int
    sensor: str
    type: str
    message: Any


@dataclass(frozen=True)
class TopicReport:
    """One topic of a recording.

    Attributes:
        types: Readable messages by interface type: a topic may hold several.
        rate: Messages per second while they came; 0 for fewer than two.
        gap: Longest time between two of them, s.
    """

    types: Mapping[str, int]
    rate: float = 0.0
    gap: float = 0.0

    @property
    def type(self) -> str:
        """The interface type of most of its messages."""
        return max(self.types, key=lambda kind: self.types[kind])

    @property
    def count(self) -> int:
        """Readable messages of any type."""
        return sum(self.types.values())


@dataclass(frozen=True, kw_only=True)
class BagReport:
    """What one recording holds.

    Attributes:
        path: The recording.
        topics: Readable topics by absolute name.
        duration: Recorded time, gaps left out, s.
        damaged: Whether data had to be given up.
        problems: What is wrong or was done about it, one line each.
        fatal: Why nothing can be learnt from it; empty if something can.
        choice: Which topics serve the robot's sensors; None without a robot.
        shift: Moves log times onto the stamps; None where they agree.
        lags: How far the stamps of each sensor lie behind, once moved, ns.
        qos: How the publishers offered each topic.
        samples: The first message of each topic in words, where its type is known.
    """

    path: Path
    topics: dict[str, TopicReport] = field(default_factory=dict)
    duration: float = 0.0
    damaged: bool = False
    problems: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()
    choice: TopicChoice | None = None
    shift: TimeShift | None = None
    lags: Mapping[str, int] = field(default_factory=dict)
    qos: Mapping[str, tuple[RecordedQos, ...]] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)

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
        return '; '.join([f'{printable(self.path)}: {verdict}', *self.problems])


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


class _Pace:
    """When the messages of one topic came."""

    def __init__(self, time: int) -> None:
        self._first = self._last = time
        self._count, self._longest = 1, 0

    def add(self, time: int) -> None:
        self._longest = max(self._longest, time - self._last)
        self._last, self._count = time, self._count + 1

    @property
    def gap(self) -> float:
        return self._longest / 1e9

    @property
    def rate(self) -> float:
        elapsed = (self._last - self._first) / 1e9
        return (self._count - 1) / elapsed if elapsed > 0 else 0.0


def _sample(types: MessageTypes, message: RawMessage) -> str:
    if not can_describe(message.type):
        return ''
    try:
        return describe_message(types.decode(message.data, message.type), message.type)
    except Exception as error:  # a broken payload may fail anywhere in the decoder
        return f'cannot be decoded ({one_line(error)})'


class _Scan:
    """One pass over the raw messages: counts, recorded time, and how stamps lie to log times."""

    def __init__(self, storage: Storage) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.tracks: dict[str, StampTrack] = {}
        self.paces: dict[str, _Pace] = {}
        self.samples: dict[str, str] = {}
        self.elapsed = self.paused = self.pauses = self.untimed = 0
        types, last = MessageTypes(storage.definitions), -1
        for message in storage.messages():
            self.counts.setdefault(message.topic, Counter())[message.type] += 1
            if message.time <= 0:  # recorded on simulated time before /clock came
                self.untimed += 1
                continue
            if message.topic in self.paces:
                self.paces[message.topic].add(message.time)
            else:
                self.paces[message.topic] = _Pace(message.time)
                self.samples[message.topic] = _sample(types, message)
            stamp = types.stamp(message.data, message.type)
            if stamp is not None:
                self.tracks.setdefault(message.topic, StampTrack()).add(message.time, stamp)
            step = message.time - last if last >= 0 else 0
            if step > PAUSE:
                self.pauses, self.paused = self.pauses + 1, self.paused + step
            else:
                self.elapsed += max(step, 0)
            last = message.time

    @property
    def total(self) -> int:
        """Readable messages."""
        return sum(sum(types.values()) for types in self.counts.values())


def scan_bag(path: str | Path, robot: RobotSpec | None = None, data: DataConfig | None = None,
             storage: Storage | None = None) -> BagReport:
    """Read a whole recording without decoding it, and report what it holds and lacks.

    Args:
        path: rosbag2 folder, storage file or ROS 1 bag.
        robot: Whose topics are expected; without it only the recording itself is judged.
        data: Namespace, source of the labels, and which sensors may be missing.
        storage: The recording, if it is open already.
    """
    path, data = Path(path), data or DataConfig()
    if fatal := _not_a_bag(path):
        return BagReport(path=path, fatal=(fatal,))
    own = storage or Storage(path)
    try:
        scan = _Scan(own)
    except Exception as error:  # what is broken may fail anywhere; the next recording is as good
        return BagReport(path=path, fatal=(f'cannot be read: {one_line(error)}',), damaged=True)
    finally:
        if storage is None:
            own.close()
    counts = {**{topic: Counter({kind: 0}) for topic, kind in own.topics.items()}, **scan.counts}
    problems = [*own.problems, *_told_by_storage(own, scan)]
    report = BagReport(
        path=path, topics={topic: _topic(kinds, scan.paces.get(topic)) for topic, kinds in sorted(
            counts.items())}, duration=scan.elapsed / 1e9, damaged=bool(own.damage),
        problems=tuple(problems), qos=dict(own.qos),
        samples={topic: sample for topic, sample in scan.samples.items() if sample})
    if not scan.total:
        return _with(report, fatal=('no messages, expected at least one',))
    if robot is not None:
        return _judge(report, robot, data, scan.tracks)
    sensed = {topic: track for topic, track in scan.tracks.items()
              if report.topics[topic].type in CONVERTERS}
    shift = find_shift(sensed, {t: track for t, track in scan.tracks.items() if t not in sensed})
    return _with(report, shift=shift, problems=(*problems, shift.line)) if shift else report


def _topic(kinds: Mapping[str, int], pace: _Pace | None) -> TopicReport:
    return TopicReport(dict(kinds), *((pace.rate, pace.gap) if pace else ()))


def _told_by_storage(storage: Storage, scan: _Scan) -> list[str]:
    told = [f'damaged: {problem}' for problem in storage.damage]
    if storage.expected and scan.total < storage.expected:
        told.append(f'{NAME} promises {storage.expected} messages, {scan.total} could be read')
    if scan.untimed:
        told.append(f'{scan.untimed} messages logged at time 0 left out of training (recorded on '
                    'simulated time before /clock came)')
    if scan.pauses:
        told.append(f'{scan.pauses} {"gap" if scan.pauses == 1 else "gaps"} without any message, '
                    f'{scan.paused / 1e9:.1f} s, skipped')
    return told


def _not_a_bag(path: Path) -> str:
    expected = 'expected a rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag'
    if not path.exists():
        return f'no such file or folder, {expected}'
    if path.is_dir():
        return '' if storage_files(path) else f'no storage file inside, {expected}'
    if not path.is_file():
        return f'is no ordinary file, {expected}'
    if not is_storage(path):
        return f'got a {printable(path.suffix, 40) or "nameless"} file, {expected}'
    return ''


def _with(report: BagReport, **changes: Any) -> BagReport:
    return BagReport(**{**report.__dict__, **changes})


def _judge(report: BagReport, robot: RobotSpec, data: DataConfig,
           tracks: Mapping[str, StampTrack]) -> BagReport:
    """Add which topics serve the robot, what their stamps say, and what is fatal."""
    choice = choose_topics({name: topic.types for name, topic in report.topics.items()},
                           robot, data)
    stamped = {sensor: tracks[topic] for (topic, _), sensor in choice.sensors.items()
               if topic in tracks}
    used = {topic for topic, _ in choice.sensors}
    shift = find_shift(stamped, {t: track for t, track in tracks.items() if t not in used})
    lags = {name: remaining_lag(track, shift) for name, track in stamped.items() if track.tells}
    problems = [*report.problems, *choice.notes,
                *(f'{name}: {why}' for name, why in choice.missing.items()
                  if name in data.allow_missing)]
    fatal = _fatal(choice, robot, data)
    if shift:
        problems.append(shift.line)
    problems += [lag_finding(name, lag, robot.sensors[name].max_age, '/clock' in report.topics)
                 for name, lag in lags.items() if _is_off(lag, robot.sensors[name].max_age)]
    return _with(report, problems=tuple(problems), fatal=tuple(fatal), choice=choice, shift=shift,
                 lags=lags)


def _fatal(choice: TopicChoice, robot: RobotSpec, data: DataConfig) -> list[str]:
    """What of a robot is missing and may not be."""
    missing = {name: why for name, why in choice.missing.items()
               if name not in data.allow_missing or not choice.sensors}
    if choice.namespace and len(missing) > 1:
        return [f'{", ".join(missing)} are not where the robot file says, but below '
                f'/{choice.namespace}: --namespace {choice.namespace} (data.namespace)']
    absent = [name for name in missing if name != 'command']
    fatal = [f'{name}: {why}' for name, why in missing.items()]
    if absent and len(absent) < len(robot.sensors):
        fatal.append('to use it all the same: ' + ' '.join(
            f'--allow-missing {name}' for name in absent))
    return fatal


def _is_off(lag: int, max_age: float) -> bool:
    return lag < -SMALL or lag > max_age * 1e9


def lag_finding(name: str, lag: int, max_age: float, simulated: bool) -> str:
    """What constantly wrong stamps of one sensor mean, with the measured lag and the remedy."""
    if abs(lag) > OTHER_CLOCK:
        remedy = ('another clock (since its start, or simulated): '
                  + ('use_sim_time, /clock is there' if simulated else 'give its driver ROS time'))
    else:
        remedy = 'mend its clock' + ('' if lag < 0 else
                                     f' or its delay, or raise sensors.{name}.max_age')
    limit = f'{SMALL / 1e9:g} s ahead' if lag < 0 else f'{max_age:g} s'
    return (f'{name}: stamps {seconds(lag)} the log time, expected at most {limit}, and refused '
            f'on the robot too: {remedy}')


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
            raise BagError(f'{printable(self.report.path)}: was scanned without a robot')
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
                    self.reasons[topic] = one_line(error)
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


__all__ = [
    'BagError',
    'BagReader',
    'BagReport',
    'Event',
    'TopicReport',
    'absolute',
    'command_values',
    'find_bags',
    'lag_finding',
    'read_events',
    'require_usable',
    'scan_bag',
]
