"""What a converted recording tells about its sensors and labels, and what looks wrong in it.

Plain figures for the report of a training and for ``liquidspike info``: how often each sensor was
fresh and why its messages were refused, which labels there are, and whether the values of IMU and
microphones can be what the robot file says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import AudioSpec, CommandSpec, RobotSpec
from ..sensing.synchronizer import SensorHealth
from ..untrusted.text import one_line
from .bags import BagReader, Event
from .configuration import DataConfig

LEAST_FRESH = 0.5  # share of the ticks at which a sensor must be fresh, unless it may be missing
GRAVITY = 9.81
_GAP = 500_000_000  # ns between chunks that count as a loss
_MOST_REASONS = 3  # told for one sensor

Array = NDArray[Any]


class AudioMeter:
    """Counts recorded samples, to tell the true rate of a topic from the one in the robot file."""

    def __init__(self, robot: RobotSpec) -> None:
        self._specs = {name: spec for name, spec in robot.sensors.items()
                       if isinstance(spec, AudioSpec)}
        self._samples: dict[str, int] = {}
        self._elapsed: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Pass events on, counting."""
        for event in events:
            if event.sensor in self._specs:
                self._count(event)
            yield event

    def _count(self, event: Event) -> None:
        data = getattr(getattr(event.message, 'audio', event.message), 'data', ())
        samples = len(data) if 'Int16' in event.type else len(data) // 2
        step = event.now - self._last.get(event.sensor, event.now)
        self._last[event.sensor] = event.now
        if 0 < step < _GAP:
            self._elapsed[event.sensor] = self._elapsed.get(event.sensor, 0) + step
            self._samples[event.sensor] = self._samples.get(event.sensor, 0) + samples

    def rates(self) -> dict[str, float]:
        """Samples per second and channel, by sensor; as 16-bit PCM of the declared channels."""
        found = {}
        for name, elapsed in self._elapsed.items():
            if elapsed > 1e9:
                channels = self._specs[name].source_channels or self._specs[name].channels
                found[name] = round(self._samples[name] / (elapsed / 1e9) / channels, 1)
        return found

    def problems(self) -> list[str]:
        """Rates that are not as declared, one line each."""
        told = []
        for name, rate in self.rates().items():
            spec = self._specs[name]
            declared = spec.source_rate or spec.sample_rate
            if abs(rate - declared) > 0.05 * declared:
                channels = spec.source_channels or spec.channels
                told.append(f'{name}: {rate:.0f} samples a second for each of {channels} channels '
                            f'of 16 bits, expected {declared}: sensors.{name}.source_rate, '
                            'source_channels, or a coding that is not PCM')
        return told


def refusals(reader: BagReader, health: Mapping[str, SensorHealth]) -> dict[str, str]:
    """Why messages of each sensor were refused, with counts, in words; only where some were.

    Args:
        reader: After its events were read: what could not be decoded.
        health: Counters of the synchroniser that took the events.
    """
    told = {}
    topics: dict[str, list[str]] = {}
    for (topic, _), name in (reader.report.choice.sensors if reader.report.choice else {}).items():
        if topic not in topics.setdefault(name, []):
            topics[name].append(topic)
    for name, counters in health.items():
        undecoded = sum(reader.rejected[topic] for topic in topics.get(name, ()))
        refused = counters.dropped + undecoded
        if not refused:
            continue
        reasons = sorted(counters.reasons.items(), key=lambda entry: -entry[1])
        words = [f'{count} × {one_line(reason, 200)}' if len(reasons) > 1 or undecoded
                 else one_line(reason, 200) for reason, count in reasons[:_MOST_REASONS]]
        words += [f'{reader.rejected[topic]} × not decoded ({reader.reasons[topic]})'
                  for topic in topics.get(name, ()) if reader.rejected[topic]]
        told[name] = f'{refused} of {refused + counters.accepted} refused: {"; ".join(words)}'
    return told


def command_problems(reader: BagReader) -> list[str]:
    """Commands that could not be used."""
    choice = reader.report.choice
    topics = sorted({topic for topic, _ in choice.commands}) if choice else []
    return [f'{one_line(topic, 100)}: {reader.rejected[topic]} of '
            f'{reader.rejected[topic] + len(reader.commands)} refused: {reader.reasons[topic]}'
            for topic in topics if reader.rejected[topic]]


def label_problems(commands: Sequence[tuple[int, Array]], used: Array, labelled: Array,
                   spec: CommandSpec, data: DataConfig) -> tuple[dict[str, Any], list[str]]:
    """Share of labels beyond the limits and of ticks without one.

    Args:
        commands: ``(log time ns, command [A])``.
        used: The command in force at each labelled tick, physical units ``[N, A]``.
        labelled: Whether each tick has a label ``[T]``.
        spec: Limits.
        data: ``label_max_age``.
    """
    facts: dict[str, Any] = {'clipped': 0.0}
    problems = []
    low, high = np.asarray(spec.lower), np.asarray(spec.upper)
    slack = 1e-6 + 1e-3 * (high - low)
    beyond = (used < low - slack) | (used > high + slack)
    if beyond.any():
        facts['clipped'] = round(float(beyond.any(axis=1).mean()), 4)
        parts = ', '.join(
            f'{name} {used[:, i].min():.3g} to {used[:, i].max():.3g}, limits {low[i]:g} to '
            f'{high[i]:g}' for i, name in enumerate(spec.names) if beyond[:, i].any())
        problems.append(f'labels: {facts["clipped"]:.0%} beyond the limits of the robot file, '
                        f'clipped ({parts})')
    if len(used):
        facts['range'] = {name: [round(float(used[:, i].min()), 4), round(float(
            used[:, i].max()), 4)] for i, name in enumerate(spec.names)}
    if commands and labelled.mean() < 0.9:
        times = np.sort(np.array([time for time, _ in commands], np.int64))
        often = f' (one every {np.median(np.diff(times)) / 1e9:.2g} s)' if len(times) > 1 else ''
        problems.append(f'labels: {int(labelled.sum())} of {len(labelled)} ticks have a command at '
                        f'most {data.label_max_age:g} s old{often}; data.label_max_age holds a '
                        'command for longer')
    return facts, problems


def imu_facts(means: Array, yaw: Array | None) -> tuple[dict[str, Any], list[str]]:
    """Gravity and turning as an IMU tells them.

    Args:
        means: Mean angular velocity and acceleration at the fresh ticks ``[T, 6]``.
        yaw: Commanded yaw rate at the same ticks, rad/s, NaN where unknown ``[T]``; None if the
            robot has none.
    """
    if len(means) < 10:
        return {}, []
    gravity = means[:, 3:].mean(axis=0, dtype=np.float64)
    size = float(np.linalg.norm(gravity))
    facts: dict[str, Any] = {'gravity': [round(float(g), 3) for g in gravity]}
    problems = []
    if 0.8 <= size <= 1.25:
        problems.append(f'imu: acceleration averages {size:.2f}, expected {GRAVITY} m/s²: in g?')
    elif not 0.85 * GRAVITY <= size <= 1.15 * GRAVITY:
        problems.append(f'imu: acceleration averages {size:.2f} m/s², expected {GRAVITY} with '
                        'gravity in it')
    if size > 0.5 and gravity[2] < -0.7 * size:
        problems.append(f'imu: z averages {gravity[2]:.2f}: upside down, or north-east-down axes')
    if finding := _turning(means[:, 2], np.abs(means[:, :3]).max(axis=1), yaw):
        problems.append(finding)
    return facts, problems


def _turning(rate: Array, largest: Array, yaw: Array | None) -> str:
    high = float(np.quantile(largest, 0.99))
    if yaw is not None:
        known = np.isfinite(yaw)
        told, seen = yaw[known], rate[known]
        if known.sum() >= 20 and told.std() > 0.1 and seen.std() > 0:
            fit = float(np.corrcoef(told, seen)[0, 1])
            slope = fit * float(seen.std() / told.std())
            if abs(fit) > 0.6 and abs(slope) > 20:
                return (f'imu: turns at {slope:.0f} times the commanded rate, expected about 1: '
                        'in °/s?')
            if fit < -0.6 and slope < -0.3:
                return f'imu: turns at {slope:.2f} times the commanded rate: z points down?'
    if high > 15:
        return f'imu: turns at up to {high:.0f} rad/s, expected a few: in °/s?'
    return ''


def too_rarely_fresh(name: str, share: float, refused: str, lag: str) -> str:
    """Why a sensor is missing at most ticks, and what can be done."""
    why = '; '.join(part for part in (lag, refused) if part) or 'too few messages'
    return (f'{name}: fresh at {share:.0%} of the ticks, expected {LEAST_FRESH:.0%}: {why}; to '
            f'use it all the same: --allow-missing {name}')


def disagreements(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What recordings of one robot tell differently, one line each.

    Args:
        facts: Facts by recording.
    """
    signs: dict[bool, list[str]] = {}
    for name, found in facts.items():
        gravity = found.get('gravity')
        if gravity and abs(gravity[2]) > 0.7 * float(np.linalg.norm(gravity)):
            signs.setdefault(gravity[2] > 0, []).append(name)
    if len(signs) < 2:
        return []
    _, few = min(signs.items(), key=lambda entry: (len(entry[1]), entry[0]))
    names = ', '.join(one_line(Path(name).name, 60) for name in few[:4])
    return [f'imu: gravity points the other way in {len(few)} of '
            f'{sum(map(len, signs.values()))} recordings ({names}'
            f'{", …" if len(few) > 4 else ""}): mounted upside down, or other axes']
