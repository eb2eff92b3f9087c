"""What a few seconds of samples tell of units, axes and rates; nothing about robots that move."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from liquidspike_ros.robot import AudioSpec, CameraSpec, ImuSpec, LidarSpec
from liquidspike_ros.sensing.observation import Sample
from liquidspike_ros.sensing.plausibility import make_plausibility

NS = 1_000_000_000
RATE = 100
RNG = np.random.default_rng(0)
TIMES = np.arange(8 * RATE) / RATE
STILL = np.zeros((len(TIMES), 3))
UP = STILL + (0, 0, 9.81)


def noise(size):
    return RNG.normal(size=STILL.shape) * size


def judge_imu(angular, linear, spec=None, *, seconds=8.0, start=0):
    judge = make_plausibility(spec or ImuSpec())
    for i, (turn, push) in enumerate(zip(angular, linear, strict=True)):
        if TIMES[i] <= seconds:
            data = np.concatenate((turn, push)).astype(np.float32)
            judge.add(Sample(0, data), start + round(TIMES[i] * NS))
    return judge.finding


def sway(amplitude, hertz):
    return np.sin(2 * np.pi * hertz * TIMES)[:, None] * amplitude


TILT = np.array([math.sin(0.7), 0, math.cos(0.7)]) * 9.81
QUIET = {
    'at rest': (noise(0.01), UP + noise(0.05)),
    'a simulator without noise': (STILL, UP),
    'a gentle drive': (sway([0, 0, 1.5], 0.3), UP + sway([2, 1, 0], 0.2)),
    'accelerating all the time': (STILL, UP + (2.5, 0, 0)),
    'turning on the spot fast': (STILL + (0, 0, 6), UP + (3, 0, 0)),
    'vibrating': (noise(3.0), UP + noise(20.0)),
    'a walking robot': (sway([2, 1, 1], 2), UP + sway([4, 2, 9], 2) + noise(2)),
    'on a steep slope': (noise(0.1), STILL + TILT),
    'a drone that rolls and pitches': (sway([5, 5, 1], 1), UP + sway([3, 3, 4], 1)),
}
ODD = {
    'in g': (noise(0.01), UP / 9.81 + noise(0.01), r'\(.* 1\.00\) m/s².* 9\.81: in g\? set '
             r'sensors\.imu\.acceleration_unit: g$'),
    'in g, driving': (sway([0, 0, 1], 0.3), UP / 9.81 + sway([0.2, 0.1, 0], 0.2), 'in g'),
    'upside down': (noise(0.01), -UP, r'-9\.81\).*upside down, or z down \(NED\)\? '
                    r'sensors\.imu\.rotation: \[3\.1416, 0\.0000, 0\.0000\]'),
    'no gravity': (noise(0.01), noise(0.05), 'gravity taken out'),
    'no acceleration': (noise(0.01), STILL, 'exactly 0, 0, 0 for 2'),
    'half of it': (noise(0.01), UP / 2, 'expected about 9.81: another unit'),
    'in feet': (noise(0.01), UP * 3.28, 'another unit'),
    'in degrees': (sway([0, 0, 30], 0.3) + noise(1), UP, r'angular_velocity: 1\d\.\d rad/s .*'
                   r'in °/s\? set sensors\.imu\.angular_velocity_unit: deg/s'),
}


@pytest.mark.parametrize('name', QUIET)
def test_no_word_about(name):
    for seconds in (1.9, 2.5, 8.0):
        assert judge_imu(*QUIET[name], seconds=seconds) == ''


@pytest.mark.parametrize('name', ODD)
def test_found_with_figures(name):
    angular, linear, reason = ODD[name]
    assert judge_imu(angular, linear, seconds=1.9) == ''  # not before two seconds of data
    finding = judge_imu(angular, linear, seconds=2.2)
    assert re.search(reason, finding), finding
    assert len(finding) < 300
    assert '\n' not in finding


@pytest.mark.parametrize(('axis', 'sign'), [(0, 1), (0, -1), (1, 1), (1, -1), (2, -1)])
def test_the_rotation_it_names_puts_gravity_up(axis, sign, msgs):
    from liquidspike_ros.sensing.imu import convert_imu

    linear = STILL.copy()
    linear[:, axis] = sign * 9.81
    finding = judge_imu(STILL, linear)
    text = finding.partition('sensors.imu.rotation: [')[2].partition(']')[0]
    rotation = tuple(float(angle) for angle in text.split(', '))
    sample = convert_imu(msgs.imu((0, 0, 0), tuple(linear[0])), ImuSpec(rotation=rotation))
    assert sample.data[3:] == pytest.approx([0, 0, 9.81], abs=1e-2)


def test_settings_that_are_wrong_themselves():
    assert 'acceleration_unit: m/s2' in judge_imu(STILL, UP * 9.81, ImuSpec(acceleration_unit='g'))
    assert 'is sensors.imu.rotation right?' in judge_imu(
        STILL, -UP, ImuSpec(rotation=(math.pi, 0, 0)))


@pytest.mark.parametrize('rest', [math.nan, 0.0])
def test_halves_in_turns_are_judged_by_their_own_samples(rest):
    angular, linear = noise(0.1), UP.copy()
    linear[::2], angular[1::2] = rest, rest
    assert judge_imu(angular, linear) == ''
    assert 'upside down' in judge_imu(angular, -linear)


def test_a_gyroscope_alone_is_declared_and_no_finding():
    assert judge_imu(noise(0.1), STILL * math.nan) == ''


@pytest.mark.parametrize(('half', 'name'), [(0, 'angular_velocity'), (1, 'linear_acceleration')])
def test_a_half_that_stopped_while_the_other_goes_on(half, name):
    angular, linear = noise(0.1), UP.copy()
    (angular, linear)[half][3 * RATE:] = math.nan
    assert judge_imu(angular, linear, seconds=4.0) == ''
    assert f'{name}: not measured for 2.0 s, though it was before' in judge_imu(angular, linear)


def test_a_finding_goes_when_later_seconds_look_right():
    judge = make_plausibility(ImuSpec())
    findings = []
    for i in range(8 * RATE):
        push = -9.81 if i < 3 * RATE else 9.81
        judge.add(Sample(0, np.array([0, 0, 0, 0, 0, push], np.float32)), i * NS // RATE)
        findings.append(judge.finding)
    assert 'upside down' in findings[3 * RATE]
    assert findings[-1] == ''


def test_a_gap_or_a_clock_that_jumps_starts_anew():
    judge = make_plausibility(ImuSpec())
    data = np.array([0, 0, 0, 0, 0, -9.81], np.float32)
    for arrival in (*range(0, 150), *range(1000, 1150), *range(500, 650)):
        judge.add(Sample(0, data), arrival * NS // RATE)
        assert judge.finding == ''


SOUND = AudioSpec(channels=2, sample_rate=16000)


def judge_audio(spec, rate, *, chunk=320, seconds=8.0, jitter=0.0, sound=None):
    """Chunks of the model's rate as ``rate`` frames a second deliver them; every finding."""
    judge, findings = make_plausibility(spec), []
    for i in range(int(seconds * rate / chunk)):
        data = RNG.normal(size=(spec.channels, chunk)) * 0.1 if sound is None else sound(chunk)
        late = RNG.uniform(0, jitter)
        judge.add(Sample(0, data.astype(np.float32)), round((i * chunk / rate + late) * NS))
        findings.append(judge.finding)
    return findings


@pytest.mark.parametrize('chunk', [160, 320, 4000, 8000])
@pytest.mark.parametrize('drift', [0.97, 1.0, 1.03])
def test_the_declared_rate_is_no_finding(chunk, drift):
    assert set(judge_audio(SOUND, 16000 * drift, chunk=chunk, jitter=0.03)) == {''}


@pytest.mark.parametrize('rate', [48000, 32000, 8000, 5333])
def test_another_rate_shows_in_bytes_per_second(rate):
    findings = judge_audio(SOUND, rate, jitter=0.005)
    assert findings[int(1.9 * rate / 320)] == ''
    got = int(findings[-1].removeprefix('data: ').partition(' ')[0])
    assert got == pytest.approx(rate * 4, rel=0.02)
    assert 'expected 64000 (16000 Hz × 2 channels, S16LE)' in findings[-1]
    assert 'sensors.audio.source_rate' in findings[-1]


def test_44_1_khz_in_place_of_48_is_found_after_two_windows():
    spec = AudioSpec(sample_rate=16000, source_rate=48000, source_channels=1, channels=1)
    findings = judge_audio(spec, 16000 * 44.1 / 48, jitter=0.01)
    assert findings[int(3.5 * 16000 / 320 * 44.1 / 48)] == ''
    assert 'expected 96000 (48000 Hz × 1 channels' in findings[-1]


def test_chunks_in_bursts_are_no_finding():
    judge, findings = make_plausibility(SOUND), []
    for burst in range(40):
        for _ in range(10):
            judge.add(Sample(0, np.zeros((2, 320), np.float32)), burst * NS // 5)
            findings.append(judge.finding)
    assert set(findings) == {''}


def test_silence_and_gaps_are_no_finding():
    judge = make_plausibility(SOUND)
    for i in range(2000):  # speech only when somebody speaks
        if i % 300 < 120:
            judge.add(Sample(0, np.zeros((2, 320), np.float32)), i * NS // 50)
            assert judge.finding == ''


def test_noise_at_full_scale_is_no_sound():
    def coded(chunk):
        return RNG.integers(-32768, 32768, (2, chunk)) / 32768

    assert 'noise at 0.5' in judge_audio(SOUND, 16000, sound=coded)[-1]
    assert judge_audio(SOUND, 16000, sound=lambda n: coded(n) * 0.5)[-1] == ''
    assert judge_audio(SOUND, 16000, sound=lambda n: np.ones((2, n)) * np.sign(
        np.sin(np.arange(n) / 9)))[-1] == ''


@pytest.mark.parametrize('spec', [CameraSpec(), LidarSpec()])
def test_other_sensors_say_all_by_themselves(spec):
    judge = make_plausibility(spec)
    judge.add(Sample(0, np.zeros(spec.shape)), 0)
    assert judge.finding == ''
