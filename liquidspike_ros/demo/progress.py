"""The live line of a demo: rewritten in place on a terminal, a new line now and then elsewhere."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
import math
from shutil import get_terminal_size
import sys
import time
from typing import TextIO

import numpy as np

from ..sim.arena import BEACON_RADIUS, sample_layout
from .recording import Recording
from .scene import heard_at, seen_at
from .summary import rate


class ProgressLine:
    """Shows where a drive stands.

    Args:
        stream: Where to write; standard output by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._next = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._stream.write('\n')
            self._stream.flush()

    def show(self, recording: Recording, last: bool = False) -> None:
        """Show the newest moment, at most so often that it can be read."""
        now = time.monotonic()
        if not last and now < self._next:
            return
        self._next = now + (0.2 if self._live else 2.0)
        line = describe(recording)
        if self._live:  # a line that wraps cannot be rewritten
            line = f'\r\033[K{line[:get_terminal_size().columns - 1]}'
        self._stream.write(line if self._live else f'{line}\n')
        self._stream.flush()


def describe(recording: Recording) -> str:
    """Time, distance to the singing pillar, directions, gate, rate, latency; under 80 columns.

    Directions are off the heading, positive to the left; pillars by initial (r, g, b).
    """
    if not recording.poses.items:
        return 'waiting for the first pose'
    now, (x, y, _) = recording.poses.times[-1], recording.poses.items[-1]
    goal = sample_layout_goal(recording.seed)
    distance = math.hypot(goal[0] - x, goal[1] - y) - BEACON_RADIUS
    heard = heard_at(recording, now)
    heard_text = 'none' if math.isnan(heard) else f'{math.degrees(heard):+.0f}°'
    seen = ' '.join(f'{name[0]}{math.degrees(angle):+.0f}°'
                    for name, angle in seen_at(recording, now).items()) or 'none'
    tick = recording.ticks.items[-1] if recording.ticks.items else None
    return (f'{recording.status.get("time", 0.0):5.1f} s {distance:5.2f} m to go  '
            f'heard {heard_text:4}  seen {seen:14.14}  {tick.gate if tick else "-":7} '
            f'{_number(recent_rate(recording), "4.1f")} Hz '
            f'{_number(recent_latency(recording), "3.0f")} ms')


def _number(value: float, form: str) -> str:
    """A dash of the same width while there is nothing to measure."""
    text = format(value, form)
    return '-'.rjust(len(text)) if math.isnan(value) else text


@lru_cache(maxsize=4)
def sample_layout_goal(seed: int) -> tuple[float, float]:
    """Where the singing pillar of a seed stands, m."""
    goal = sample_layout(seed).goal
    return goal.x, goal.y


def recent_rate(recording: Recording, seconds: float = 2.0) -> float:
    """Mean rate of the commands of the last seconds, Hz; NaN before the second one."""
    wall = recording.command_wall
    return rate(wall[bisect_left(wall, wall[-1] - round(seconds * 1e9)):]) if wall else math.nan


def recent_latency(recording: Recording) -> float:
    """Median camera-to-command latency of the last second, ms; NaN before the first."""
    known = recording.latencies()[-15:]
    return float(np.median(known)) * 1e3 if len(known) else math.nan
