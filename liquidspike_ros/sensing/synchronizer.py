"""All sensors on one time line: samples in, one ``Observation`` a tick out.

The live node and the bag reader use the same object in the same way. It reads no clock: every
call is told the time, so a recording gives exactly what the robot saw.
"""

from __future__ import annotations

from collections import deque
import math
import threading

from ..robot import RobotSpec
from .buffers import BufferedSample, NANOSECONDS
from .channel import Channel, SensorHealth
from .observation import InvalidSample, Observation, Sample

__all__ = ['FUTURE_TOLERANCE', 'JUMP', 'SensorHealth', 'Synchronizer']

FUTURE_TOLERANCE = 0.1  # s a stamp may lie ahead of its arrival
JUMP = 1.0  # s without any sample after which what was sensed before is forgotten


class Synchronizer:
    """Snapshots what was sensed up to a control tick.

    The camera and LiDAR give their newest sample, the IMU everything since the last tick,
    the microphones their last window; each on its own, so a dead topic blocks nothing. What is
    older than its ``max_age`` or frozen is masked. A clock that goes back, or one of which the
    caller says that it ``jump``ed forward, and more than a second without any sample clear all
    buffers and mark the next observation. A jump and a silence look alike on ROS time; who has
    a steady clock beside it (``nodes``) can tell them apart, and a recording gives silence.

    Thread-safe: ``add`` may run in an executor's thread and ``snapshot`` in the inference thread.
    ``now`` must be read and passed in the order of the calls to ``add``.
    """

    def __init__(self, robot: RobotSpec, *, future_tolerance: float = FUTURE_TOLERANCE,
                 jump: float = JUMP) -> None:
        self._robot = robot
        self._longest_silence = round(jump * NANOSECONDS)
        self._lock = threading.Lock()
        future = round(future_tolerance * NANOSECONDS)
        self._channels = {name: Channel(spec, future) for name, spec in robot.sensors.items()}
        self._sequence = 0
        self._arrivals: deque[int] = deque(maxlen=4096)  # of the last samples, by sequence
        self._marks: dict[int, int] = {}
        self._last_arrival: int | None = None
        self._tick: int | None = None
        self._moving_since: int | None = None
        self._jumped = self._silent = False
        self._jumps = 0

    @property
    def clock_jumped(self) -> bool:
        """Whether the clock jumped and no snapshot has told so yet."""
        return self._jumped

    @property
    def jumps(self) -> int:
        """Clock jumps since construction."""
        return self._jumps

    def add(self, sensor: str, sample: Sample, now: int) -> BufferedSample:
        """Take a sample that arrived at ``now`` (ns of ROS time); returns it as it is kept.

        Raises:
            InvalidSample: The stamp is older than the sensor's ``max_age``, or in the future.
            KeyError: The robot has no such enabled sensor.
        """
        with self._lock:
            channel = self._channels[sensor]
            self._watch_clock(now)
            try:
                channel.check_stamp(sample.stamp, now)
            except InvalidSample as error:
                channel.refuse(str(error), now)
                raise
            self._sequence += 1
            self._arrivals.append(now)
            return channel.add(self._sequence, sample, now, self._moving_since)

    def reject(self, sensor: str, reason: str, now: int = 0) -> None:
        """Count a message that the converter refused at ``now`` (ns of ROS time)."""
        with self._lock:
            self._channels[sensor].refuse(reason, now)

    def motion(self, moving: bool, now: int) -> None:
        """Tell whether the robot is commanded to move, from ``now`` (ns of ROS time) on.

        What a sensor says may repeat while the robot stands, not while it moves.
        """
        with self._lock:
            if not moving:
                self._moving_since = None
            elif self._moving_since is None:
                self._moving_since = now

    def jump(self) -> None:
        """The clock jumped: forget what was sensed on the old time line."""
        with self._lock:
            self._restart(jumped=True)

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
                self._restart(jumped=True)
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
            jumped, silent = self._jumped, self._silent and not self._jumped
            self._jumped, self._silent, self._tick = False, False, now
        return Observation(stamp=now, dt=elapsed, values=values, present=present, age=age,
                           clock_jumped=jumped, after_silence=silent)

    def health(self) -> dict[str, SensorHealth]:
        """Counters per sensor."""
        with self._lock:
            return {name: channel.health() for name, channel in self._channels.items()}

    def reset(self) -> None:
        """Forget all samples, as at the start; counters stay."""
        with self._lock:
            self._clear()
            self._jumped = self._silent = False
            self._moving_since = None

    def _clear(self) -> None:
        for channel in self._channels.values():
            channel.forget()
        self._marks.clear()
        self._arrivals.clear()
        self._last_arrival = self._tick = None

    def _restart(self, *, jumped: bool) -> None:
        self._clear()
        if jumped:
            self._jumped, self._moving_since = True, None
            self._jumps += 1
        else:
            self._silent = True

    def _watch_clock(self, now: int) -> None:
        last = self._last_arrival
        if last is not None and not 0 <= now - last <= self._longest_silence:
            self._restart(jumped=now < last)
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
