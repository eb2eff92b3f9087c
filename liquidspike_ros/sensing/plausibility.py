"""Whether accepted samples can mean what the robot file says: units, gravity, bytes per second.

No single sample tells; a few seconds do. What is found is one line with the figures and the setting
that would mend it. It stays until later seconds look right, so that a robot that was carried to its
place upside down is not refused for good.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ..robot import AudioSpec, ImuSpec, SensorSpec
from .observation import Sample
from .sample_formats import FORMATS

WINDOW = 2.0  # s of data that are judged together
GAP = 1.0  # s without a sample after which the window starts anew
GRAVITY = 9.81
# Shares of gravity that the mean may have: vibration has none, and few robots gain 6 m/s in 2 s.
_GRAVITY_RANGE = (0.7, 1.3)
_UPRIGHT = 0.5  # cosine of the tilt up to which z counts as up
_TURNING = 10.0  # rad/s that no robot turns at on average; at 10 °/s most do
_LEAST = 20  # samples to judge
_NANOSECONDS = 1e-9
# Frames per second, received against declared: at once, and where two windows in turn say so.
_FAR, _NEAR, _EVEN = (0.8, 1.25), (0.94, 1.06), 0.01
_FULL_NOISE, _ROUGH = 0.45, 1.2  # of full scale; step against size (white noise: 1.41)


class Plausibility(Protocol):
    """Judges the samples of one sensor."""

    finding: str

    def add(self, sample: Sample, arrival: int) -> None:
        """Take an accepted sample that arrived at ``arrival`` ns."""


class Unjudged:
    """For sensors whose samples say all by themselves."""

    finding = ''

    def add(self, sample: Sample, arrival: int) -> None:
        """Nothing to judge."""


class _Window:
    """Cuts the samples into windows of at least ``WINDOW`` s without gaps."""

    def __init__(self) -> None:
        self._start = self._last = -1

    def elapsed(self, arrival: int) -> float | None:
        """Seconds in the window with the sample at ``arrival``; None where a new one starts."""
        last, self._last = self._last, arrival
        if last < 0 or not 0 <= arrival - last <= GAP / _NANOSECONDS:
            self._start = arrival
            return None
        return (arrival - self._start) * _NANOSECONDS

    def restart(self) -> None:
        """The sample just taken ends this window and starts the next one."""
        self._start = self._last


class ImuPlausibility:
    """Mean acceleration is gravity, upwards; angular velocity is in rad/s.

    Halves that a sample did not measure (NaN, or an accelerometer at exactly 0, 0, 0 between others
    that are not) are left out.
    """

    def __init__(self, spec: ImuSpec) -> None:
        self._spec = spec
        self._window = _Window()
        self.finding = ''
        self._measured = [False, False]  # whether each half ever was: gyroscope, accelerometer
        self._clear()

    def _clear(self) -> None:
        self._pushes = self._turns = self._zeros = 0
        self._push, self._turn = [0.0, 0.0, 0.0], 0.0

    def add(self, sample: Sample, arrival: int) -> None:
        """Take an accepted sample that arrived at ``arrival`` ns."""
        elapsed = self._window.elapsed(arrival)
        if elapsed is None:
            self._clear()
        self._sum(*sample.data.tolist())
        if elapsed is not None and elapsed >= WINDOW and (
                max(self._pushes, self._turns, self._zeros) >= _LEAST):
            findings = (self._judge_acceleration(elapsed), self._judge_turning(elapsed),
                        *self._judge_halves(elapsed))
            self.finding = '; '.join(filter(None, findings))
            self._clear()
            self._window.restart()

    def _sum(self, wx: float, wy: float, wz: float, ax: float, ay: float, az: float) -> None:
        if wx == wx:  # not NaN
            self._turns += 1
            self._turn += math.sqrt(wx * wx + wy * wy + wz * wz)
        if ax == ay == az == 0.0:
            self._zeros += 1
        elif ax == ax:
            self._pushes += 1
            push = self._push
            push[0] += ax
            push[1] += ay
            push[2] += az

    def _judge_halves(self, seconds: float) -> list[str]:
        """A half that was measured and no longer is, while the other one goes on."""
        counts = (self._turns, self._pushes + self._zeros)
        gone = [f'{name}: not measured for {seconds:.1f} s, though it was before'
                for name, count, before in zip(
                    ('angular_velocity', 'linear_acceleration'), counts, self._measured,
                    strict=True) if before and not count]
        self._measured = [bool(count) or before for count, before in zip(
            counts, self._measured, strict=True)]
        return gone

    def _judge_acceleration(self, seconds: float) -> str:
        if self._pushes < _LEAST:
            return '' if self._pushes or self._zeros < _LEAST else (
                f'linear_acceleration: exactly 0, 0, 0 for {seconds:.1f} s, expected gravity '
                f'({GRAVITY:g} m/s²): not measured, or gravity taken out?')
        mean = [total / self._pushes for total in self._push]
        size = math.hypot(*mean)
        got = (f'linear_acceleration: mean ({mean[0]:.2f}, {mean[1]:.2f}, {mean[2]:.2f}) m/s², '
               f'{size:.2f} in all, over {seconds:.1f} s, expected')
        low, high = (GRAVITY * share for share in _GRAVITY_RANGE)
        if low <= size <= high:
            return '' if mean[2] >= _UPRIGHT * size else (
                f'{got} gravity upwards (z about +{GRAVITY:g}): {self._turned(mean, size)}')
        return f'{got} about {GRAVITY:g}: {self._unit(size)}'

    def _unit(self, size: float) -> str:
        low, high = _GRAVITY_RANGE
        if self._spec.acceleration_unit == 'm/s2' and low <= size <= high:
            return 'in g? set sensors.imu.acceleration_unit: g'
        if self._spec.acceleration_unit == 'g' and low <= size / GRAVITY**2 <= high:
            return 'in m/s² already? set sensors.imu.acceleration_unit: m/s2'
        return 'gravity taken out?' if size < low else 'another unit?'

    def _turned(self, mean: list[float], size: float) -> str:
        if any(self._spec.rotation):
            return 'is sensors.imu.rotation right?'
        axis = max(range(3), key=lambda i: abs(mean[i]))
        half = math.copysign(math.pi / 2, mean[axis])
        angles = [(0.0, -half, 0.0), (half, 0.0, 0.0), (math.pi, 0.0, 0.0)][axis]
        setting = ', '.join(f'{angle:.4f}' for angle in angles)
        what = ('upside down, or z down (NED)?' if axis == 2
                else f'is {"-" if mean[axis] < 0 else ""}{"xyz"[axis]} of the sensor up?')
        return f'{what} sensors.imu.rotation: [{setting}] turns it'

    def _judge_turning(self, seconds: float) -> str:
        mean = self._turn / max(self._turns, 1)
        if self._turns < _LEAST or mean <= _TURNING:
            return ''
        advice = ('set sensors.imu.angular_velocity_unit: deg/s'
                  if self._spec.angular_velocity_unit == 'rad/s' else 'another unit?')
        return (f'angular_velocity: {mean:.1f} rad/s on average over {seconds:.1f} s, expected at '
                f'most {_TURNING:g}: in °/s? {advice}')


class AudioPlausibility:
    """As many samples a second arrive as are declared, and they are not noise at full scale."""

    def __init__(self, spec: AudioSpec) -> None:
        self._spec = spec
        self._window = _Window()
        self._whole = (spec.source_rate in (0, spec.sample_rate)
                       and spec.source_channels in (0, spec.channels))
        self._share = 1.0  # of the declared frames, in the window before
        self.finding = ''
        self._clear()

    def _clear(self) -> None:
        self._frames = self._chunks = 0
        self._square = self._size = self._step = 0.0

    def add(self, sample: Sample, arrival: int) -> None:
        """Take an accepted sample that arrived at ``arrival`` ns."""
        elapsed = self._window.elapsed(arrival)
        if elapsed is None:  # when the first one began is not known
            self._clear()
            self._share = 1.0
            return
        sound = sample.data[0]
        self._frames += sound.size
        self._chunks += 1
        if self._whole:
            self._square += float(np.dot(sound, sound))
            self._size += float(np.abs(sound).sum())
            self._step += float(np.abs(sound[1:] - sound[:-1]).sum())
        if elapsed >= WINDOW and self._chunks >= 4:
            self.finding = self._judge_rate(elapsed) or self._judge_noise()
            self._clear()
            self._window.restart()

    def _judge_rate(self, seconds: float) -> str:
        spec = self._spec
        before, share = self._share, self._frames / seconds / spec.sample_rate
        self._share = share
        # A busy machine loses now more, now less; a rate that is declared wrong is off evenly.
        even = abs(share - before) <= _EVEN
        steady = even and not _NEAR[0] <= share <= _NEAR[1] and not _NEAR[0] <= before <= _NEAR[1]
        if _FAR[0] <= share <= _FAR[1] and not steady:
            return ''
        rate = spec.source_rate or spec.sample_rate
        channels = spec.source_channels or spec.channels
        declared = rate * channels * FORMATS[spec.sample_format].size
        return (f'data: {share * declared:.0f} bytes/s over {seconds:.1f} s, expected {declared} '
                f'({rate} Hz × {channels} channels, {spec.sample_format}): another rate '
                f'({share * rate:.0f} Hz? sensors.audio.source_rate), channel count '
                '(source_channels) or sample_format'
                + (', or messages lost' if share < 1 else '') + '?')

    def _judge_noise(self) -> str:
        loud = math.sqrt(self._square / max(self._frames, 1))
        rough = self._step / self._size if self._size else 0.0
        if loud < _FULL_NOISE or rough < _ROUGH:
            return ''
        return (f'data: noise at {loud:.2f} of full scale, expected sound: coded (MP3, Opus), or '
                f'another sensors.audio.sample_format than {self._spec.sample_format}?')


def make_plausibility(spec: SensorSpec) -> Plausibility:
    """What judges the samples of this sensor."""
    if isinstance(spec, ImuSpec):
        return ImuPlausibility(spec)
    if isinstance(spec, AudioSpec):
        return AudioPlausibility(spec)
    return Unjudged()
