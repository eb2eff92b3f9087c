"""What the observer of a demo kept: everything the summary and the pictures are made from."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar('Item')
MOST_ITEMS, MOST_LARGE = 400_000, 60_000
"""Kept of one topic, and of pictures and scans: an hour, the longest demo, at 100 and 15 Hz."""


class Timeline(Generic[Item]):
    """Items in order of time (ns), to be asked for what was newest at a time.

    Args:
        most: Beyond so many nothing is added: a flood ends the picture, not the machine.
    """

    def __init__(self, most: int = MOST_ITEMS) -> None:
        self._most = most
        self.times: list[int] = []
        self.items: list[Item] = []

    def __len__(self) -> int:
        return len(self.items)

    def add(self, time: int, item: Item) -> None:
        """Add an item; one that comes late by a little is put in its place."""
        if len(self.items) >= self._most:
            return
        if not self.times or time >= self.times[-1]:
            self.times.append(time)
            self.items.append(item)
            return
        place = bisect_right(self.times, time)
        self.times.insert(place, time)
        self.items.insert(place, item)

    def at(self, time: int) -> Item | None:
        """The newest item not later than ``time``."""
        place = bisect_right(self.times, time)
        return self.items[place - 1] if place else None

    def between(self, begin: int, end: int) -> tuple[list[int], list[Item]]:
        """Times and items in ``(begin, end]``."""
        first, last = bisect_right(self.times, begin), bisect_right(self.times, end)
        return self.times[first:last], self.items[first:last]


@dataclass(frozen=True)
class Scan:
    """One LiDAR turn: ranges ``[N]`` in m, NaN where nothing came back; angles ``[N]`` in rad."""

    ranges: NDArray[np.float32]
    angles: NDArray[np.float32]


@dataclass(frozen=True)
class PolicyTick:
    """One step of the policy, as it publishes it.

    Attributes:
        weights: Fusion weight per modality.
        attention: ``[M, M]`` mean over heads, row attends to column; None for other strategies.
        spikes: Spike rate ``[units]`` in [0, 1] per modality.
        present: Whether the modality was fresh enough to act on.
        gate: State of the safety gate.
        camera: Stamp of the newest camera frame it saw, ns; 0 if there was none.
        sent: When this report left the policy, right after the command, ns of the system clock.
    """

    weights: dict[str, float]
    attention: NDArray[np.float32] | None
    spikes: dict[str, NDArray[np.float32]]
    present: dict[str, bool]
    gate: str = ''
    camera: int = 0
    sent: int = 0


@dataclass
class Recording:
    """A demo as seen from outside. Times are ns of simulated time unless a name says ``wall``.

    Attributes:
        seed: Of the arena.
        images: Camera frames ``[H, W, 3]`` RGB by stamp.
        scans: LiDAR turns by stamp.
        sounds: Chunks ``[2, n]`` in [−1, 1] by arrival.
        commands: Physical commands (m/s, rad/s) by arrival.
        poses: True x, y, yaw (m, m, rad) by stamp.
        ticks: Steps of the policy by the time of the tick.
        command_wall: When each command left its publisher, ns of the system clock.
        clock_wall: When simulated time (key) was announced, ns of the system clock.
        status: Newest status of the simulator.
        decided: Time of the first status with an outcome; 0 while there is none.
        cpu: Processor time over wall time per process, 1 is one core.
    """

    seed: int
    images: Timeline[NDArray[np.uint8]] = field(default_factory=lambda: Timeline(MOST_LARGE))
    scans: Timeline[Scan] = field(default_factory=lambda: Timeline(MOST_LARGE))
    sounds: Timeline[NDArray[np.float32]] = field(default_factory=Timeline)
    commands: Timeline[tuple[float, float]] = field(default_factory=Timeline)
    poses: Timeline[tuple[float, float, float]] = field(default_factory=Timeline)
    ticks: Timeline[PolicyTick] = field(default_factory=Timeline)
    command_wall: list[int] = field(default_factory=list)
    clock_wall: Timeline[int] = field(default_factory=Timeline)
    status: dict[str, Any] = field(default_factory=dict)
    decided: int = 0
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def begin(self) -> int:
        """Time of the first command that moves, ns; of the first pose if there was none."""
        for time, (v, w) in zip(self.commands.times, self.commands.items, strict=True):
            if v or w:
                return time
        return self.poses.times[0] if self.poses.times else 0

    def latencies(self) -> NDArray[np.float64]:
        """From camera stamp to command, s, one for each tick of the drive that used a new frame.

        A stamp is simulated time; it came when the simulator announced that time on /clock. The
        command of a tick is the last one that left the policy before its report on the tick.
        """
        found, seen = [], 0
        sent = sorted(self.command_wall)
        for tick in self.ticks.between(self.begin - 1, self.end)[1]:
            came, place = self.clock_wall.at(tick.camera), bisect_right(sent, tick.sent)
            if tick.camera > seen and came is not None and place:
                found.append((sent[place - 1] - came) * 1e-9)
            seen = max(seen, tick.camera)
        return np.array(found, dtype=np.float64)

    @property
    def end(self) -> int:
        """When the outcome was decided, ns; of the last pose while it is open."""
        return self.decided or (self.poses.times[-1] if self.poses.times else 0)

    @property
    def outcome(self) -> str:
        """``arrived``, ``wrong_beacon``, ``timeout``, or empty while undecided."""
        return str(self.status.get('outcome', ''))
