"""One pass over the raw messages of a recording: what it holds, what it lacks, what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..robot import RobotSpec
from ..sensing.converters import CONVERTERS
from ..untrusted.text import one_line, reason
from .bag_metadata import NAME
from .bag_report import BagReport, TopicReport
from .configuration import DataConfig
from .mcap_salvage import RawMessage
from .message_samples import can_describe, describe_message
from .message_types import MessageTypes
from .storage import is_storage, Storage, storage_files
from .time_offset import find_shift, OTHER_CLOCK, remaining_lag, seconds, SMALL, StampTrack
from .topic_choice import choose_topics, TopicChoice

PAUSE = 10_000_000_000  # ns without any message that count as a gap, not as recorded time


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
        return f'cannot be decoded ({reason(error, 300)})'


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
        return BagReport(path=path, fatal=(f'cannot be read: {reason(error, 300)}',), damaged=True)
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
        return replace(report, fatal=('no messages, expected at least one',))
    if robot is not None:
        return _judge(report, robot, data, scan.tracks)
    sensed = {topic: track for topic, track in scan.tracks.items()
              if report.topics[topic].type in CONVERTERS}
    shift = find_shift(sensed, {t: track for t, track in scan.tracks.items() if t not in sensed})
    return replace(report, shift=shift, problems=(*problems, shift.line)) if shift else report


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
        return f'got a {one_line(path.suffix, 40) or "nameless"} file, {expected}'
    return ''


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
    return replace(report, problems=tuple(problems), fatal=tuple(fatal), choice=choice, shift=shift,
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
