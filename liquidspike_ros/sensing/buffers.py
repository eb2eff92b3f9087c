"""What is kept of one sensor between ticks: bounded, and read up to a given arrival only."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..robot import AudioSpec, ImuSpec, SensorSpec
from .imu_halves import Halves
from .resampling import window_means

Array = NDArray[Any]
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BufferedSample:
    """One accepted sample.

    Attributes:
        sequence: Running number of acceptance, over all sensors.
        arrival: When it came, ns.
        stamp: When it was acquired, ns (the arrival where the message does not say).
        data: As in ``Sample``.
        frozen: Whether the same payload has been repeating for longer than ``max_frozen``.
    """

    sequence: int
    arrival: int
    stamp: int
    data: Array
    frozen: bool

    def age(self, now: int) -> float:
        """Seconds since acquisition; a stamp ahead of its arrival buys no time."""
        return (now - min(self.stamp, self.arrival)) / NANOSECONDS


class Buffer(Protocol):
    """Collects entries; ``read`` moves on to sequence number ``limit``."""

    overflows: int

    def add(self, entry: BufferedSample) -> None:
        """Keep an entry."""

    def read(self, limit: int) -> tuple[BufferedSample, Array] | None:
        """The newest entry up to ``limit`` and the value for the policy; None if none ever came."""

    def clear(self) -> None:
        """Forget everything."""


class NewestBuffer:
    """Camera and LiDAR: the newest sample by stamp."""

    def __init__(self, depth: int = 8) -> None:
        self._entries: deque[BufferedSample] = deque(maxlen=depth)
        self._held: BufferedSample | None = None
        self.overflows = 0

    def add(self, entry: BufferedSample) -> None:
        """Keep an entry; the oldest goes where there is no room."""
        self.overflows += len(self._entries) == self._entries.maxlen
        self._entries.append(entry)

    def read(self, limit: int) -> tuple[BufferedSample, Array] | None:
        """The newest sample up to ``limit``, or the one held from before."""
        while self._entries and self._entries[0].sequence <= limit:
            entry = self._entries.popleft()
            if self._held is None or entry.stamp >= self._held.stamp:
                self._held = entry
        return None if self._held is None else (self._held, self._held.data)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._held = None


class WindowBuffer:
    """IMU: every sample since the last read, resampled to ``[6, window]``.

    Each sample is delivered exactly once, in the first read after its arrival, so one that was
    late is part of the next window. The window ends at the newest stamp and starts where the one
    before ended, so that windows join without gap or overlap; the first one, and the first after
    more than ``max_age`` without samples, starts one sample period before its first sample. Cells
    are means of the linear interpolation. One new sample gives the line to it from the one before;
    none repeats the newest value, which is masked once it is older than ``max_age``.

    Angular velocity and acceleration each go by the samples that measured them (``Halves``): one
    without a sample in this window holds its newest value for ``max_age`` and then reads zeros.
    """

    def __init__(self, spec: ImuSpec) -> None:
        self._spec = spec
        self._entries: deque[BufferedSample] = deque(maxlen=max(64, math.ceil(2 * spec.rate)))
        self._last: BufferedSample | None = None
        self._halves = Halves(round(spec.max_age * NANOSECONDS))
        self._known: list[tuple[int, Array] | None] = [None, None]  # newest stamp and value [3]
        self.overflows = 0

    def add(self, entry: BufferedSample) -> None:
        """Keep an entry; the oldest goes where there is no room."""
        self.overflows += len(self._entries) == self._entries.maxlen
        self._entries.append(entry)

    def read(self, limit: int) -> tuple[BufferedSample, Array] | None:
        """The window from the last read up to ``limit``."""
        fresh = []
        while self._entries and self._entries[0].sequence <= limit:
            fresh.append(self._entries.popleft())
        fresh.sort(key=lambda entry: entry.stamp)
        before = self._last
        if fresh and (before is None or fresh[-1].stamp >= before.stamp):
            self._last = fresh[-1]
        if self._last is None:
            return None
        if not fresh:
            held = np.concatenate([self._held(half, self._last.stamp) for half in (0, 1)])
            return self._last, np.repeat(held[:, None], self._spec.window, axis=1)
        return self._last, self._resample(before, fresh)

    def _held(self, half: int, stamp: int) -> Array:
        """Newest value of a half ``[3]`` at the time ``stamp``; zeros where it is too old."""
        known = self._known[half]
        if known is None or stamp - known[0] > self._spec.max_age * NANOSECONDS:
            return np.zeros(3, np.float32)
        return known[1]

    def _resample(self, before: BufferedSample | None, fresh: list[BufferedSample]) -> Array:
        base, stamps = fresh[0].stamp, [entry.stamp for entry in fresh]
        times = np.array([stamp - base for stamp in stamps], np.float64) / NANOSECONDS
        values = np.stack([entry.data for entry in fresh], axis=1)
        start, stop = -1.0 / self._spec.rate, float(times[-1])
        if before is not None:
            since = (before.stamp - base) / NANOSECONDS
            if -self._spec.max_age <= since <= 0:
                start = since
        # Duplicate of the sample before, or a late one on its own: there is no span to cover.
        start = min(start, stop - 0.1 / self._spec.rate)
        measured = self._halves.split(stamps, values)
        both = slice(0, 6) if measured.all() and self._together() else None
        rows = [both] if both else [slice(0, 3), slice(3, 6)]
        parts = [self._part(part, base, times, values, measured[part.start // 3], (start, stop))
                 for part in rows]
        for half in (0, 1):
            if (at := np.flatnonzero(measured[half])).size:
                self._keep(half, stamps[at[-1]], values[3 * half:3 * half + 3, at[-1]])
        return np.concatenate(parts).astype(np.float32)

    def _together(self) -> bool:
        """Whether the newest values of both halves are of one and the same sample."""
        stamps = [None if known is None else known[0] for known in self._known]
        return stamps[0] == stamps[1]

    def _part(self, rows: slice, base: int, times: Array, values: Array, measured: Array,
              span: tuple[float, float]) -> Array:
        """Window of some rows, all of one half or of both where they have the same samples."""
        halves = range(rows.start // 3, rows.stop // 3)
        if not measured.any():
            stamp = base + round(times[-1] * NANOSECONDS)
            held = np.concatenate([self._held(half, stamp) for half in halves])
            return np.repeat(held[:, None], self._spec.window, axis=1)
        times, values = times[measured], values[rows, measured].astype(np.float64)
        known = [self._known[half] for half in halves]
        if known[0] is not None:
            # The line starts at the sample before, where that is near enough.
            since = (known[0][0] - base) / NANOSECONDS
            if times[0] - self._spec.max_age <= since <= times[0]:
                before = np.concatenate([value for _, value in filter(None, known)])
                times = np.concatenate(([since], times))
                values = np.concatenate((before[:, None], values), axis=1)
        return window_means(times, values, *span, self._spec.window)

    def _keep(self, half: int, stamp: int, value: Array) -> None:
        known = self._known[half]
        if known is None or stamp >= known[0]:
            self._known[half] = (stamp, value.copy())

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._last = None
        self._known = [None, None]
        self._halves.forget()


class RingBuffer:
    """Audio: the last ``window`` samples received, silence where there are none yet.

    After a gap of more than ``max_age`` the window starts from silence again: sound from before the
    gap joined to sound after it would be a click that nobody made.
    """

    def __init__(self, spec: AudioSpec) -> None:
        self._spec = spec
        self._entries: deque[BufferedSample] = deque()
        self._starts: set[int] = set()
        self._length = 0
        self.overflows = 0

    def add(self, entry: BufferedSample) -> None:
        """Keep an entry; the oldest goes where there is no room."""
        window = self._spec.window
        if self._entries and entry.arrival - self._entries[-1].arrival > (
                self._spec.max_age * NANOSECONDS):
            self._starts.add(entry.sequence)
        if entry.data.shape[1] > window:
            entry = BufferedSample(entry.sequence, entry.arrival, entry.stamp,
                          entry.data[:, -window:].copy(), entry.frozen)
        self._entries.append(entry)
        self._length += entry.data.shape[1]
        # Four windows: a reader that is up to three windows late still finds its own.
        while self._length - self._entries[0].data.shape[1] >= 4 * window:
            gone = self._entries.popleft()
            self._length -= gone.data.shape[1]
            self._starts.discard(gone.sequence)

    def read(self, limit: int) -> tuple[BufferedSample, Array] | None:
        """The last window up to ``limit``; may be read again."""
        newest: BufferedSample | None = None
        value = np.zeros(self._spec.shape, np.float32)
        end = self._spec.window
        for entry in reversed(self._entries):
            if entry.sequence > limit:
                continue
            newest = newest or entry
            size = min(entry.data.shape[1], end)
            value[:, end - size:end] = entry.data[:, entry.data.shape[1] - size:]
            end -= size
            if end == 0 or entry.sequence in self._starts:
                break
        return None if newest is None else (newest, value)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._starts.clear()
        self._length = 0


def make_buffer(spec: SensorSpec) -> Buffer:
    """The buffer that serves a sensor of this kind."""
    if isinstance(spec, ImuSpec):
        return WindowBuffer(spec)
    if isinstance(spec, AudioSpec):
        return RingBuffer(spec)
    return NewestBuffer()
