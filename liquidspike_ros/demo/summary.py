"""What a demo measured, as plain figures."""

from __future__ import annotations

from collections.abc import Sequence
import math
import os
from typing import Any

import numpy as np

from ..sim.arena import Layout
from ..sim.episode import EpisodeResult
from ..sim.expert import Expert
from .recording import Recording
from .scene import heard_at, seen_at

PERCENTILES = (50, 90, 99, 100)


def summarise(recording: Recording) -> dict[str, Any]:
    """The figures of ``summary.json``; NaN never appears, unknown is None."""
    status = recording.status
    commands = _driving_wall(recording)
    return {
        'arrived': recording.outcome == 'arrived',
        'outcome': recording.outcome or 'stopped',
        'seed': recording.seed,
        'time_s': _rounded(status.get('time')),
        'path_length_m': _rounded(status.get('path_length')),
        'collisions': status.get('collisions'),
        'commands': len(commands),
        'command_rate_hz': _rounded(rate(commands)),
        'latency_ms': latency(recording),
        'real_time_factor': _rounded(real_time_factor(recording)),
        'cpu_cores_used': {name: _rounded(share) for name, share in recording.cpu.items()},
        'cpu_cores': os.cpu_count(),
        'received': {'camera': len(recording.images), 'scan': len(recording.scans),
                     'audio': len(recording.sounds), 'ticks': len(recording.ticks)},
    }


def _driving_wall(recording: Recording) -> list[int]:
    """When the commands of the drive itself left, ns of the system clock."""
    begin, end = recording.begin, recording.end
    times = recording.commands.times
    return [wall for time, wall in zip(times, recording.command_wall, strict=True)
            if begin <= time <= end]


def rate(wall: Sequence[int]) -> float:
    """Mean rate of events at system times (ns), Hz; NaN for fewer than two."""
    if len(wall) < 2 or wall[-1] == wall[0]:
        return math.nan
    return (len(wall) - 1) / ((wall[-1] - wall[0]) / 1e9)


def real_time_factor(recording: Recording) -> float:
    """Simulated seconds per second over the drive; NaN if it is not known."""
    times, walls = recording.clock_wall.between(recording.begin, recording.end)
    if len(times) < 2 or walls[-1] == walls[0]:
        return math.nan
    return (times[-1] - times[0]) / (walls[-1] - walls[0])


def latency(recording: Recording) -> dict[str, Any]:
    """Camera stamp to command over the ticks of the drive, ms."""
    known = recording.latencies()
    values: dict[str, Any] = {'count': len(known)}
    for percentile in PERCENTILES:
        name = 'max' if percentile == 100 else f'p{percentile}'
        found = float(np.percentile(known, percentile)) if len(known) else math.nan
        values[name] = _rounded(1e3 * found)
    return values


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 3)


def episode_result(recording: Recording, layout: Layout) -> EpisodeResult:
    """The demo in the form the plan view draws."""
    times, poses = recording.poses.between(recording.begin - 1, recording.end)
    names = [beacon.colour for beacon in layout.beacons]
    seen = [[seen_at(recording, time).get(name, math.nan) for name in names] for time in times[:-1]]
    commands = [recording.commands.at(time) or (0.0, 0.0) for time in times[:-1]]
    status = recording.status
    return EpisodeResult(
        seed=recording.seed, outcome=recording.outcome or 'stopped',
        time=float(status.get('time', 0.0)), path_length=float(status.get('path_length', 0.0)),
        shortest=Expert(layout).path_length(*layout.start[:2]),
        collisions=int(status.get('collisions', 0)), start=layout.start,
        stamps=np.array(times[:-1], dtype=np.int64), trajectory=np.array(poses),
        commands=np.array(commands).reshape(-1, 2),
        heard=np.array([heard_at(recording, time) for time in times[:-1]]),
        seen=np.array(seen).reshape(-1, len(names)))
