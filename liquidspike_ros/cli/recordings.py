"""What ``liquidspike info`` prints of recordings: everything that a robot file needs."""

from __future__ import annotations

from collections.abc import Iterator
import sys
import time
from typing import TextIO, TYPE_CHECKING

from ..untrusted.text import one_line

if TYPE_CHECKING:
    from ..robot import RobotSpec
    from ..training.bags import BagReport, Event
    from ..training.configuration import DataConfig
    from ..training.survey import Survey

INTERVAL = 5.0  # s between lines of progress


class ReadingProgress:
    """Tells on standard error how far the reading of a long recording has come.

    Args:
        report: Its scan.
        stream: Where to tell.
        interval: Seconds between lines.
    """

    def __init__(self, report: BagReport, stream: TextIO | None = None,
                 interval: float = INTERVAL) -> None:
        self._report, self._stream = report, stream or sys.stderr
        self._interval = interval

    def __call__(self, events: Iterator[Event]) -> Iterator[Event]:
        """Pass events on."""
        choice = self._report.choice
        topics = {topic for topic, _ in (*choice.sensors, *choice.commands)} if choice else set()
        total = max(1, sum(self._report.topics[topic].count for topic in topics))
        told = time.monotonic()
        for count, event in enumerate(events):
            if time.monotonic() - told > self._interval:
                told = time.monotonic()
                name = one_line(self._report.path, 300)
                self._stream.write(f'{name}: {count / total:.0%} read\n')
            yield event


def describe_topics(report: BagReport) -> list[str]:
    """A row for each topic: messages, rate, longest gap, type, QoS; a sample of unused ones."""
    if not report.topics:
        return []
    served = {topic for topic, _ in report.choice.sensors} if report.choice else set()
    width = min(60, max(len(one_line(topic, 60)) for topic in report.topics))
    lines = [f'  {"topic":{width}}  {"messages":>8} {"Hz":>8} {"longest gap":>12}  type, QoS']
    for topic, found in report.topics.items():
        kinds = ' + '.join(one_line(kind, 60) for kind in found.types)
        qos = ' / '.join(dict.fromkeys(str(profile) for profile in report.qos.get(topic, ())))
        lines.append(f'  {one_line(topic, 60):{width}}  {found.count:8} {found.rate:8.2f} '
                     f'{found.gap:10.3f} s  {kinds}{f"; {qos}" if qos else ""}')
        if topic not in served and topic in report.samples:
            lines.append(f'  {"":{width}}  {one_line(report.samples[topic], 300)}')
    return lines


def describe_survey(survey: Survey, robot: RobotSpec, data: DataConfig) -> list[str]:
    """What the robot's sensors, commands and labels are in one recording, a line each."""
    from ..training.survey import batch_bytes

    lines = [line for name in robot.sensors if (line := _sensor(name, survey, robot))]
    facts = survey.facts
    if 'range' in facts:
        ranges = ', '.join(f'{name} {low:g} to {high:g}'
                           for name, (low, high) in facts['range'].items())
        lines.append(f'  command  {ranges}; {facts["labelled"]} of {facts["ticks"]} ticks '
                     f'labelled, {facts["clipped"]:.0%} of them beyond the limits')
    if facts:
        lines.append(
            f'  training {facts["ticks"]} ticks, {survey.stored / 1e6:.1f} MB on disk once '
            f'converted; a batch of {data.lanes} × {data.ticks} ticks holds '
            f'{batch_bytes(robot, data) / 1e6:.0f} MB of observations')
    return lines


def _sensor(name: str, survey: Survey, robot: RobotSpec) -> str:
    report, facts, spec = survey.report, survey.facts, robot.sensors[name]
    topics = {topic for (topic, _), sensor in (
        report.choice.sensors.items() if report.choice else ()) if sensor == name}
    if not topics:
        return ''
    parts = [report.samples[topic] for topic in topics if topic in report.samples]
    rate = sum(report.topics[topic].rate for topic in topics)
    parts.append(f'{rate:.1f} Hz (robot file: {spec.rate:g})')
    if name in report.lags:
        parts.append(f'stamps {report.lags[name] / 1e6:.1f} ms behind')
    if name in facts.get('audio_rate', {}):
        parts.append(f'{facts["audio_rate"][name]:.0f} samples/s a channel')
    if name == 'imu' and 'gravity' in facts:
        x, y, z = facts['gravity']
        parts.append(f'gravity ({x:.2f}, {y:.2f}, {z:.2f})')
    if name in facts.get('fresh', {}):
        parts.append(f'fresh at {facts["fresh"][name]:.0%} of the ticks')
    return f'  {name:8} {"; ".join(parts)}'


def describe_briefly(survey: Survey) -> list[str]:
    """One recording among many: a verdict, its figures, and what is wrong."""
    facts = survey.facts
    lines = [verdict(survey)]
    if facts:
        fresh = ', '.join(f'{name} {share:.0%}' for name, share in facts['fresh'].items())
        ranges = ', '.join(f'{name} {low:g} to {high:g}'
                           for name, (low, high) in facts.get('range', {}).items())
        lines.append(f'  {facts["ticks"]} ticks, {facts["labelled"]} labelled; fresh: {fresh}'
                     + (f'; {ranges}' if ranges else ''))
    return [*lines, *(f'  ! {problem}' for problem in survey.problems)]


def verdict(survey: Survey) -> str:
    """Whether training would use it, and why not."""
    report = survey.report
    count = sum(topic.count for topic in report.topics.values())
    facts = f'{count} messages on {len(report.topics)} topics, {report.duration:.1f} s'
    used = f'not used ({survey.unused})' if survey.unused else 'used'
    return f'{one_line(report.path, 300)}: {used}, {facts}'


def summarise(surveys: list[Survey], robot: RobotSpec, data: DataConfig) -> list[str]:
    """All recordings in three lines."""
    from ..training.recording_facts import disagreements
    from ..training.survey import batch_bytes

    used = [survey for survey in surveys if not survey.unused]
    ticks = sum(survey.facts['ticks'] for survey in used)
    labelled = sum(survey.facts['labelled'] for survey in used)
    stored = sum(survey.stored for survey in used) / 1e6
    return [f'{len(used)} of {len(surveys)} recordings used: {ticks} ticks, {labelled} labelled, '
            f'{stored:.1f} MB on disk once converted; a batch holds '
            f'{batch_bytes(robot, data) / 1e6:.0f} MB of observations',
            *(f'! {line}' for line in disagreements(
                {str(survey.report.path): survey.facts for survey in used}))]
