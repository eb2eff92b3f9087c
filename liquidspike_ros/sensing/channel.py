"""One sensor between converter and policy: its samples, counters, and whether it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import AUDIO_TYPES, AudioSpec, LidarSpec, SensorSpec
from ..untrusted.text import without_numbers
from .buffers import BufferedSample, make_buffer, NANOSECONDS
from .observation import InvalidSample, Sample
from .plausibility import make_plausibility

MOST_REASONS = 12  # kinds of refusal told apart for one sensor
LAG_SHARE = 0.1  # weight of the newest message in the mean lag
_UNSTAMPED = AUDIO_TYPES[:2]  # types without a header: stamp 0 is no fault of the driver


@dataclass(frozen=True, kw_only=True)
class SensorHealth:
    """Counters of one sensor since construction; all bounded.

    Attributes:
        accepted: Samples taken.
        dropped: Samples refused, here or by the converter.
        zero_stamps: Samples whose stamp was zero and became their arrival time.
        overflows: Samples that fell out of a full buffer unread (flood, or no ticks).
        frozen: Whether the newest sample repeats a payload that should have changed by now.
        last_arrival: ROS time of the last accepted sample, ns; 0 if none.
        last_refusal: ROS time of the last refused message, ns; 0 if none.
        last_reason: Why the last refused message was refused.
        reasons: How often messages were refused, by reason. Reasons that differ in their numbers
            only are one; it shows the newest.
        finding: What makes the accepted samples implausible (units, gravity, bytes per second),
            with the figures; empty where nothing does.
        lag: Running mean of arrival minus stamp over all stamped messages, refused ones too, s;
            NaN before the first.
    """

    accepted: int = 0
    dropped: int = 0
    zero_stamps: int = 0
    overflows: int = 0
    frozen: bool = False
    last_arrival: int = 0
    last_refusal: int = 0
    last_reason: str = ''
    reasons: Mapping[str, int] = field(default_factory=dict)
    finding: str = ''
    lag: float = math.nan


class Channel:
    """Buffer and counters of one sensor; the synchroniser's lock protects it.

    Args:
        spec: The sensor.
        future: How far a stamp may lie ahead of its arrival, ns.
    """

    def __init__(self, spec: SensorSpec, future: int) -> None:
        self.spec, self.buffer = spec, make_buffer(spec)
        self.zeros: NDArray[Any] = np.zeros(
            spec.shape, np.uint8 if len(spec.shape) == 3 else np.float32)
        self._future = future
        self._max_age = round(spec.max_age * NANOSECONDS)
        self._accepted = self._dropped = self._zero_stamps = 0
        self._last_arrival = self._last_refusal = 0
        self._last_reason = ''
        self._reasons: dict[str, tuple[str, int]] = {}
        self._lag = math.nan
        self._plausibility = make_plausibility(spec)
        self._frozen = False
        self._payload = b''
        self._changed = 0

    def add(
        self, sequence: int, sample: Sample, now: int, moving_since: int | None
    ) -> BufferedSample:
        """Take a sample that arrived at ``now``.

        Args:
            sequence: Its running number over all sensors.
            sample: The sample.
            now: Arrival, ns of ROS time.
            moving_since: Since when the robot has been moving, ns; None while it stands.
        """
        stamp = sample.stamp or now
        self._accepted += 1
        self._last_arrival = now
        self._watch_payload(sample.data, now, moving_since)
        self._plausibility.add(sample, now)
        entry = BufferedSample(sequence, now, stamp, sample.data, self._frozen)
        self.buffer.add(entry)
        return entry

    def check_stamp(self, stamp: int, now: int) -> None:
        """Judge the stamp of a sample that arrived at ``now``; 0 stands for the arrival.

        Raises:
            InvalidSample: It is older than the sensor's ``max_age``, or in the future.
        """
        if stamp == 0:
            self._zero_stamps += self.spec.type not in _UNSTAMPED
            return
        behind = now - stamp
        lag = behind / NANOSECONDS
        self._lag = lag if math.isnan(self._lag) else self._lag + LAG_SHARE * (lag - self._lag)
        if -behind > self._future:
            raise InvalidSample(f'stamp: {-lag:.3f} s in the future, expected at most '
                                f'{self._future / NANOSECONDS:g}')
        if behind > self._max_age:
            raise InvalidSample(f'stamp: {lag:.3f} s old on arrival, expected at most max_age '
                                f'{self.spec.max_age:g}')

    def refuse(self, reason: str, now: int) -> None:
        """Count a message that was refused."""
        self._dropped += 1
        self._last_reason, self._last_refusal = reason, now
        kind = without_numbers(reason)
        if kind not in self._reasons and len(self._reasons) >= MOST_REASONS:
            kind, reason = '', 'other reasons'
        self._reasons[kind] = reason, self._reasons.get(kind, ('', 0))[1] + 1

    def forget(self) -> None:
        """Drop all samples; counters stay."""
        self.buffer.clear()
        self._payload, self._frozen = b'', False

    def health(self) -> SensorHealth:
        """The counters as they stand."""
        return SensorHealth(
            accepted=self._accepted, dropped=self._dropped, zero_stamps=self._zero_stamps,
            overflows=self.buffer.overflows, frozen=self._frozen, lag=self._lag,
            last_arrival=self._last_arrival, last_refusal=self._last_refusal,
            last_reason=self._last_reason, reasons=dict(self._reasons.values()),
            finding=self._plausibility.finding)

    def _watch_payload(self, data: NDArray[Any], now: int, moving_since: int | None) -> None:
        """Note whether the same payload has been coming for too long while the robot moved.

        A robot that stands may see, feel and hear the same for ever, and a noise-free simulator
        does. What was found frozen stays so until it changes: it would thaw otherwise as soon as
        the robot has stopped for it. "Nothing" (silence, a scan without a return) may repeat.
        """
        payload = data.tobytes()
        if payload != self._payload:
            self._payload, self._changed, self._frozen = payload, now, False
        elif not self._frozen and moving_since is not None and self.spec.max_frozen:
            since = max(self._changed, moving_since)
            self._frozen = (now - since > self.spec.max_frozen * NANOSECONDS
                            and not self._says_nothing(data))

    def _says_nothing(self, data: NDArray[Any]) -> bool:
        if isinstance(self.spec, AudioSpec):
            return not data.any()
        if isinstance(self.spec, LidarSpec):
            return bool((data[0] == data[0].max()).all() and data[1].all())
        return False
