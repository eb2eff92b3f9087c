"""The ears hear where the pillar is, how far it is, and nothing when it is silent."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from liquidspike_ros.sim.directions import heard_direction
from liquidspike_ros.sim.microphones import CHUNK, Microphones, SAMPLE_RATE, Song

CHUNK_NS = 20_000_000


def layout(x: float = 0.0, y: float = 0.0) -> SimpleNamespace:
    """All that hearing needs of a layout: the singing pillar, here at (x, y)."""
    return SimpleNamespace(goal=SimpleNamespace(x=x, y=y))


def listen(seed: int, pose: tuple[float, float, float], chunks: int = 150) -> np.ndarray:
    """PCM ``[n, 2]`` heard standing still, in full scale."""
    ears = Microphones(seed, layout())
    pcm = [ears.render(k * CHUNK_NS, pose) for k in range(chunks)]
    return np.concatenate(pcm) / 32768.0


def chirping(seed: int, pose: tuple[float, float, float]) -> np.ndarray:
    """The loud part of three seconds, ``[n, 2]``."""
    song = Song(seed)
    start, duration = song.chirps(0.0)[0, :2]
    first, last = (int((start + s) * SAMPLE_RATE) for s in (0.06, duration - 0.02))
    return listen(seed, pose)[first:last]


@pytest.mark.parametrize('degrees', [-80, -45, -20, -5, 0, 5, 20, 45, 80])
def test_inter_aural_delay_matches_the_geometry(degrees: int) -> None:
    # The source lies at the origin; the robot stands 2 m from it and looks `degrees` past it.
    pose = (-2.0, 0.0, -math.radians(degrees))
    angle = heard_direction(chirping(3, pose)[-1600:].T.astype(np.float32))
    # Away from the sides one fractional lag is about a degree; the sides are flatter.
    assert math.degrees(angle) == pytest.approx(degrees, abs=3 if abs(degrees) < 60 else 8)


def test_delay_is_a_fraction_of_a_sample_exactly() -> None:
    """Left and right are the same song at two retarded times, to the microphone noise."""
    pose = (-3.0, 0.0, -0.5)
    heard = chirping(4, pose)
    spectrum = np.fft.rfft(heard * np.hanning(len(heard))[:, None], axis=0)
    frequency = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE)
    cross = spectrum[:, 0] * np.conj(spectrum[:, 1])
    loud = np.abs(cross) > 0.2 * np.abs(cross).max()
    left = np.hypot(3.0 + 0.09 * math.sin(-0.5), 0.09 * math.cos(-0.5))
    right = np.hypot(3.0 - 0.09 * math.sin(-0.5), 0.09 * math.cos(-0.5))
    expected = (right - left) / 343.0
    rotated = cross * np.exp(-2j * np.pi * frequency * expected)
    assert np.abs(np.angle(rotated[loud])).max() < 0.1


def test_level_falls_with_distance() -> None:
    near, far = (np.sqrt(np.mean(chirping(5, (-r, 0.0, 0.0)) ** 2)) for r in (1.0, 4.0))
    assert near / far == pytest.approx(4.0, rel=0.05)


def test_the_near_ear_is_louder_and_brighter() -> None:
    heard = chirping(6, (-2.0, 0.0, math.pi / 2))  # the source is to the right
    level = heard.std(axis=0)
    brightness = np.diff(heard, axis=0).std(axis=0) / level
    assert level[1] > 1.5 * level[0]
    assert brightness[1] > 1.05 * brightness[0]


def test_behind_is_quieter_and_duller_than_ahead() -> None:
    ahead, behind = chirping(6, (-2.0, 0.0, 0.0)), chirping(6, (-2.0, 0.0, math.pi))
    assert np.std(ahead) > 1.3 * np.std(behind)
    tilt = [np.std(np.diff(s[:, 0])) / np.std(s[:, 0]) for s in (ahead, behind)]
    assert tilt[0] > 1.03 * tilt[1]


def test_gaps_are_silent_and_chirps_are_not() -> None:
    song = Song(7)
    heard = listen(7, (-2.0, 0.0, 0.0))
    level = np.abs(heard.reshape(-1, CHUNK, 2)).max(axis=(1, 2))
    for start, duration, *_ in song.chirps(2.5):
        if start + duration > 2.5:
            break
        inside = int((start + 0.5 * duration) / 0.02)
        after = int((start + duration + 0.05) / 0.02)
        assert level[inside] > 0.05
        assert level[after] < 0.01
        assert song.sounding(start + 0.5 * duration)
        assert not song.sounding(start + duration + 0.05)


@pytest.mark.parametrize('seed', range(20))
def test_song_keeps_to_its_ranges(seed: int) -> None:
    chirps = Song(seed).chirps(60.0)
    start, duration, base, sweep = chirps.T
    gaps = start[1:] - (start + duration)[:-1]
    assert duration.min() >= 0.25
    assert duration.max() <= 0.35
    assert gaps.min() >= 0.2
    assert gaps.max() <= 1.8
    assert (gaps > 0.7).any()
    assert min(base.min(), (base + sweep * duration).min()) >= 500.0
    # The octave above every chirp stays below the Nyquist frequency.
    assert 2.0 * max(base.max(), (base + sweep * duration).max()) < SAMPLE_RATE / 2


def test_the_same_seed_is_heard_bit_for_bit() -> None:
    pose = (-1.0, 2.0, 0.3)
    assert np.array_equal(listen(8, pose), listen(8, pose))
    assert not np.array_equal(listen(8, pose), listen(9, pose))


def test_no_clicks_between_chunks_while_driving_and_turning() -> None:
    """A jump of delay at a chunk border would show as a second difference far above the rest."""
    ears, song = Microphones(10, layout()), Song(10)
    poses = [(-3.0 + 0.012 * k, 0.3, 0.04 * k) for k in range(150)]
    heard = np.concatenate([ears.render(k * CHUNK_NS, p) for k, p in enumerate(poses)]) / 32768.0
    change = np.abs(np.diff(heard, n=2, axis=0)).max(axis=1)
    for start, duration, *_ in song.chirps(2.8):
        first, last = (math.ceil((start + s) / 0.02) for s in (0.04, duration - 0.02))
        for border in range(first, min(last, 149)):
            around = change[border * CHUNK - 200:border * CHUNK + 200].max()
            assert change[border * CHUNK - 3:border * CHUNK + 2].max() <= 1.02 * around


def test_touching_distance_does_not_clip() -> None:
    for yaw in np.linspace(-math.pi, math.pi, 8):
        assert np.abs(listen(11, (-0.3, 0.0, float(yaw)))).max() < 0.999


def test_chunk_shape_and_type() -> None:
    pcm = Microphones(12, layout()).render(0, (1.0, 1.0, 0.0))
    assert pcm.shape == (CHUNK, 2)
    assert pcm.dtype == np.int16
    assert pcm.flags.c_contiguous
