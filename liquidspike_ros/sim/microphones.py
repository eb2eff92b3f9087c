"""What the robot's two ears hear of the singing pillar.

The song is a known function of time, so each ear evaluates it at the retarded time
``t − r(t) / c`` of every sample: the inter-aural delay (and the Doppler shift of driving) is exact
to a fraction of a sample, without any resampling filter. Level follows ``1 / r`` and a head shadow.
Sound passes through obstacles: they shadow nothing and nothing echoes.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .arena import Layout

SAMPLE_RATE = 16000
CHUNK = 320
EAR_DISTANCE = 0.18
SPEED_OF_SOUND = 343.0

_EAR_ANGLES = np.array([[1.0], [-1.0]]) * math.radians(60.0)  # [2, 1]: the ears look forward a bit
_SHADOW = 0.25  # the far side loses half of its level …
_SHADOW_CUTOFF = 1200.0  # … and, in first order, what lies above this, Hz
_LEVEL_AT_1_M = 0.2  # of full scale: 20 m are still above the noise, 0.25 m do not clip
_CLOSEST = 0.25  # 1 / r is held below this distance, m
_NOISE = 0.001  # of full scale, rms
_RAMP = 0.012  # raised-cosine rise and fall of a chirp, s
_OVERTONE = 0.4  # the octave above: its loss tells front from back within one chirp

# Columns of the song table.
_START, _DURATION, _BASE, _SWEEP = range(4)


class Song:
    """The chirps of one episode: linear sweeps within 500–3600 Hz with silence in between.

    Every episode has its own base pitch and sweep; each chirp varies them a little. Gaps last
    0.2–0.6 s, and one in eight 1.0–1.8 s: long enough that only memory bridges it.

    Args:
        seed: Of the episode.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 0x50A6])
        self._base = float(self._rng.uniform(900.0, 1900.0))
        self._sweep = float(self._rng.uniform(0.3, 0.8) * self._rng.choice([-0.5, 1.0]))
        self._end = float(self._rng.uniform(0.0, 0.4))
        self._chirps: NDArray[np.float64] = np.empty((0, 4))

    def chirps(self, until: float) -> NDArray[np.float64]:
        """Start (s), duration (s), base pitch (Hz), sweep (Hz/s) of all chirps, ``[n, 4]``.

        Args:
            until: Time up to which the song is needed, s.
        """
        while self._end <= until or not len(self._chirps):
            rows = [self._next_chirp() for _ in range(64)]
            self._chirps = np.concatenate([self._chirps, np.array(rows)])
        return self._chirps

    def _next_chirp(self) -> tuple[float, float, float, float]:
        rng = self._rng
        start = self._end
        duration = float(rng.uniform(0.25, 0.35))
        base = self._base * float(rng.uniform(0.95, 1.05))
        gap = rng.uniform(1.0, 1.8) if rng.random() < 0.125 else rng.uniform(0.2, 0.6)
        self._end = start + duration + float(gap)
        return start, duration, base, base * self._sweep / duration

    def sounding(self, time: float) -> bool:
        """Whether the pillar sings at ``time`` (s)."""
        return bool(_find(self.chirps(time), np.array([time]))[1][0])


def _find(
    chirps: NDArray[np.float64], time: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """The chirp of each time: its row ``[..., 4]``, whether it sounds, time since its start."""
    index = np.maximum(np.searchsorted(chirps[:, _START], time, side='right') - 1, 0)
    rows = chirps[index]
    since = time - rows[..., _START]
    return rows, (since >= 0.0) & (since < rows[..., _DURATION]), since


@dataclass(frozen=True)
class _Ears:
    """Where the ears are, per sample: distance to the source (m) and cos of its angle off-ear."""

    distance: NDArray[np.float64]  # [2, n]
    facing: NDArray[np.float64]  # [2, n]


class Microphones:
    """Two microphones, left and right, on a robot that may move.

    Args:
        seed: Of the episode: song and microphone noise follow from it alone.
        layout: The arena; its singing beacon is the only source.
    """

    def __init__(self, seed: int, layout: Layout) -> None:
        self.song = Song(seed)
        self._noise = np.random.default_rng([seed, 0x01CE])
        self._source = (layout.goal.x, layout.goal.y)
        self._last: tuple[int, tuple[float, float, float]] | None = None

    def render(self, t_ns: int, pose: tuple[float, float, float]) -> NDArray[np.int16]:
        """Hear one chunk of 20 ms.

        The robot is taken to move evenly from the pose of the previous chunk to this one, so that
        neither delay nor level jumps between chunks.

        Args:
            t_ns: Start of the chunk, ns.
            pose: x (m), y (m), yaw (rad) at the end of the chunk.

        Returns:
            PCM ``[320, 2]`` at 16 kHz; channel 0 is the left ear.
        """
        chunk_ns = CHUNK * 1_000_000_000 // SAMPLE_RATE
        previous = pose
        if self._last is not None and self._last[0] == t_ns - chunk_ns:
            previous = self._last[1]
        self._last = (t_ns, pose)
        ears = self._ears(previous, pose)
        time = t_ns * 1e-9 + np.arange(CHUNK) / SAMPLE_RATE
        heard = self._sound(time - ears.distance / SPEED_OF_SOUND, ears)
        heard = heard + self._noise.normal(0.0, _NOISE, heard.shape)
        return np.clip(np.rint(heard * 32767.0), -32768, 32767).astype(np.int16).T.copy()

    def _ears(
        self, start: tuple[float, float, float], end: tuple[float, float, float]
    ) -> _Ears:
        share = np.arange(1, CHUNK + 1) / CHUNK
        turn = math.remainder(end[2] - start[2], math.tau)
        yaw = start[2] + share * turn
        side = np.array([[0.5], [-0.5]]) * EAR_DISTANCE
        dx = self._source[0] - (start[0] + share * (end[0] - start[0])) + side * np.sin(yaw)
        dy = self._source[1] - (start[1] + share * (end[1] - start[1])) - side * np.cos(yaw)
        bearing = np.arctan2(dy, dx) - yaw
        return _Ears(np.hypot(dx, dy), np.cos(bearing - _EAR_ANGLES))

    def _sound(self, time: NDArray[np.float64], ears: _Ears) -> NDArray[np.float64]:
        """Pressure at the ears ``[2, n]`` for emission times ``[2, n]`` (s)."""
        rows, on, since = _find(self.song.chirps(float(time.max())), time)
        if not on.any():
            return np.zeros_like(time)
        base, sweep, left = rows[..., _BASE], rows[..., _SWEEP], rows[..., _DURATION] - since
        phase = math.tau * (base + 0.5 * sweep * since) * since
        pitch = base + sweep * since
        ramp = np.clip(np.minimum(since, left) / _RAMP, 0.0, 1.0)
        behind = 0.5 * (1.0 - ears.facing)
        # The chirp's pitch is known at every instant, so the shadow's low-pass is a plain gain.
        dull = (behind / _SHADOW_CUTOFF * pitch) ** 2
        wave = np.sin(phase) / np.sqrt(1.0 + dull)
        wave += _OVERTONE * np.sin(2.0 * phase) / np.sqrt(1.0 + 4.0 * dull)
        level = _LEVEL_AT_1_M / np.maximum(ears.distance, _CLOSEST)
        level *= (1.0 - 2.0 * _SHADOW * behind) * np.sin(0.5 * math.pi * ramp) ** 2
        return np.where(on, level * wave, 0.0)
