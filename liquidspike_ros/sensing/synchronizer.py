"""All sensors on one time line: samples in, one ``Observation`` a tick out.

The live node and the bag reader use the same object in the same way. It reads no clock: every
call is told the time, so a recording gives exactly what the robot saw.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import AUDIO_TYPES, AudioSpec, LidarSpec, RobotSpec, SensorSpec
from .buffers import Entry, make_buffer, NANOSECONDS
from .observation import InvalidSample, Observation, Sample

FUTURE_TOLERANCE = 0.1  # s a stamp may lie ahead of its arrival
JUMP = 1.0  # s without any sample after which the clock is taken to have jumped

_UNSTAMPED = AUDIO_TYPES[:2]  # types without a header: stamp 0 is no fault of the driver


@dataclass(frozen=True, kw_only=True)
class SensorHealth:
    """Counters of one sensor since construction; all bounded.

    Attributes:
        accepted: Samples taken.
        dropped: Samples refused, here or by the converter.
        zero_stamps: Samples whose stamp was zero and became their arrival time.
        overflows: Samples that fell out of a full buffer unread (flood, or no ticks).
        frozen: Whether the newest sample repeats a payload older than ``max_frozen``.
        last_arrival: ROS time of the last accepted sample, ns; 0 if none.
        last_reason: Why the last refused sample was refused.
    """

    accepted: int = 0
    dropped: int = 0
    zero_stamps: int = 0
    overflows: int = 0
    frozen: bool = False
    last_arrival: int = 0
    last_reason: str = ''


class _Channel:
    """One sensor: its buffer, its counters and whether its payload changes."""

    def __init__(self, spec: SensorSpec) -> None:
        self.spec = spec
        self.buffer = make_buffer(spec)
        self.health = SensorHealth()
        self.zeros: NDArray[Any] = np.zeros(
            spec.shape, np.uint8 if len(spec.shape) == 3 else np.float32)
        self._previous: NDArray[Any] | None = None
        self._changed = 0

    def forget(self) -> None:
        self.buffer.clear()
        self._previous = None

    def is_frozen(self, data: NDArray[Any], now: int) -> bool:
        """Whether the same payload keeps coming for longer than ``max_frozen``.

        A payload that says "nothing" (silence, a scan without a return) may repeat for ever.
        """
        if self._previous is None or not np.array_equal(data, self._previous):
            self._previous, self._changed = data, now
            return False
        if not self.spec.max_frozen or now - self._changed <= self.spec.max_frozen * NANOSECONDS:
            return False
        return not self._says_nothing(data)

    def _says_nothing(self, data: NDArray[Any]) -> bool:
        if isinstance(self.spec, AudioSpec):
            return not data.any()
        if isinstance(self.spec, LidarSpec):
            return bool((data[0] == data[0].max()).all() and data[1].all())
        return False


class Synchronizer:
    """Snapshots what was sensed up to a control tick.

    The camera and LiDAR give their newest sample, the IMU everything since the last tick,
    the microphones their last window; each on its own, so a dead topic blocks nothing. What is
    older than its ``max_age`` or frozen is masked. A clock that goes back, or more than a second
    without any sample (which a forward jump looks like), clears all buffers and marks the next
    observation with ``clock_jumped``.

    Thread-safe: ``add`` may run in an executor's thread and ``snapshot`` in the inference thread.
    ``now`` must be read and passed in the order of the calls to ``add``.
    """

    def __init__(self, robot: RobotSpec, *, future_tolerance: float = FUTURE_TOLERANCE,
                 jump: float = JUMP) -> None:
        self._robot = robot
        self._future = round(future_tolerance * NANOSECONDS)
        self._jump = round(jump * NANOSECONDS)
        self._lock = threading.Lock()
        self._channels = {name: _Channel(spec) for name, spec in robot.sensors.items()}
        self._sequence = 0
        self._arrivals: deque[int] = deque(maxlen=4096)  # of the last samples, by sequence
        self._marks: dict[int, int] = {}
        self._last_arrival: int | None = None
        self._tick: int | None = None
        self._jumped = False
        self._jumps = 0

    @property
    def clock_jumped(self) -> bool:
        """Whether the clock jumped and no snapshot has told so yet."""
        return self._jumped

    @property
    def jumps(self) -> int:
        """Clock jumps since construction."""
        return self._jumps

    def add(self, sensor: str, sample: Sample, now: int) -> None:
        """Take a sample that arrived at ``now`` (ns of ROS time).

        Raises:
            InvalidSample: The stamp is older than the sensor's ``max_age``, or in the future.
            KeyError: The robot has no such enabled sensor.
        """
        with self._lock:
            channel = self._channels[sensor]
            self._watch_clock(now)
            try:
                stamp = self._stamp(channel, sample, now)
            except InvalidSample as error:
                self._refuse(channel, str(error))
                raise
            self._sequence += 1
            self._arrivals.append(now)
            frozen = channel.is_frozen(sample.data, now)
            channel.buffer.add(Entry(self._sequence, now, stamp, sample.data, frozen))
            channel.health = replace(channel.health, accepted=channel.health.accepted + 1,
                                     frozen=frozen, last_arrival=now)

    def reject(self, sensor: str, reason: str) -> None:
        """Count a message that the converter refused."""
        with self._lock:
            self._refuse(self._channels[sensor], reason)

    def mark(self, tick: int) -> None:
        """Fix that everything added so far, and nothing later, belongs to the tick at ``tick``.

        Optional: lets another thread take the snapshot a little later and still get the same,
        even where a simulated clock gives many samples one arrival time.
        """
        with self._lock:
            self._marks[tick] = self._sequence
            while len(self._marks) > 16:
                del self._marks[next(iter(self._marks))]

    def snapshot(self, now: int) -> Observation:
        """What had arrived by the tick at ``now`` (ns of ROS time), as one observation.

        Samples that arrived later stay for the next tick, so it does not matter how long after
        the tick this is called. ``dt`` is the true time since the previous snapshot and the
        nominal period for the first one.
        """
        with self._lock:
            if self._tick is not None and now < self._tick:
                self._restart()
            elapsed = (self._robot.period if self._tick is None
                       else (now - self._tick) / NANOSECONDS)
            limit = self._limit(now)
            values, present, age = {}, {}, {}
            for name, channel in self._channels.items():
                found = channel.buffer.read(limit)
                age[name] = math.inf if found is None else found[0].age(now)
                present[name] = (found is not None and not found[0].frozen
                                 and age[name] <= channel.spec.max_age)
                values[name] = (found[1] if found is not None and present[name]
                                else channel.zeros)
            jumped, self._jumped, self._tick = self._jumped, False, now
        return Observation(stamp=now, dt=elapsed, values=values, present=present, age=age,
                           clock_jumped=jumped)

    def health(self) -> dict[str, SensorHealth]:
        """Counters per sensor."""
        with self._lock:
            return {name: replace(channel.health, overflows=channel.buffer.overflows)
                    for name, channel in self._channels.items()}

    def reset(self) -> None:
        """Forget all samples, as at the start; counters stay."""
        with self._lock:
            self._clear()
            self._jumped = False

    def _clear(self) -> None:
        for channel in self._channels.values():
            channel.forget()
        self._marks.clear()
        self._arrivals.clear()
        self._last_arrival = self._tick = None

    def _restart(self) -> None:
        self._clear()
        self._jumped = True
        self._jumps += 1

    def _watch_clock(self, now: int) -> None:
        last = self._last_arrival
        if last is not None and not 0 <= now - last <= self._jump:
            self._restart()
        self._last_arrival = now

    def _limit(self, now: int) -> int:
        """Sequence number of the last sample that belongs to the tick at ``now``."""
        limit = self._marks.get(now)
        self._marks = {tick: number for tick, number in self._marks.items() if tick > now}
        if limit is not None:
            return limit
        later = 0
        for arrival in reversed(self._arrivals):
            if arrival <= now:
                break
            later += 1
        return self._sequence - later

    def _stamp(self, channel: _Channel, sample: Sample, now: int) -> int:
        if sample.stamp == 0:
            if channel.spec.type not in _UNSTAMPED:
                channel.health = replace(channel.health,
                                         zero_stamps=channel.health.zero_stamps + 1)
            return now
        if sample.stamp - now > self._future:
            raise InvalidSample(f'stamp: {(sample.stamp - now) / NANOSECONDS:.3f} s in the future, '
                                f'expected at most {self._future / NANOSECONDS:g}')
        if now - sample.stamp > channel.spec.max_age * NANOSECONDS:
            raise InvalidSample(f'stamp: {(now - sample.stamp) / NANOSECONDS:.3f} s old on '
                                f'arrival, expected at most max_age {channel.spec.max_age:g}')
        return sample.stamp

    @staticmethod
    def _refuse(channel: _Channel, reason: str) -> None:
        channel.health = replace(channel.health, dropped=channel.health.dropped + 1,
                                 last_reason=reason)
