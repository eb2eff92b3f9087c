"""Accelerometer and gyroscope in turns: each half is held or masked by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.robot import ImuSpec, RobotSpec
from liquidspike_ros.sensing.buffers import BufferedSample, WindowBuffer
from liquidspike_ros.sensing.converters import convert
from liquidspike_ros.sensing.imu_halves import Halves
from liquidspike_ros.sensing.synchronizer import Synchronizer

MS = 1_000_000
SPEC = ImuSpec(rate=100.0, window=4, max_age=0.1)
NAN = (math.nan,) * 3
ZERO = (0.0,) * 3
GYRO, PUSH = (0.1, 0.2, 0.3), (0.0, 0.0, 9.8)


@pytest.fixture
def window():
    buffer, number = WindowBuffer(SPEC), iter(range(10**6))

    def feed(*samples):
        """Samples as (ms, angular, linear); the window read after them."""
        for ms, angular, linear in samples:
            data = np.array(angular + linear, np.float32)
            buffer.add(BufferedSample(next(number), round(ms * MS), round(ms * MS), data, False))
        return buffer.read(10**6)[1]

    return feed


def in_turns(first, last, gyro=GYRO, push=PUSH, rest=NAN):
    """Every 10 ms a sample, gyroscope and accelerometer in turns."""
    return [(10 * k, gyro, rest) if k % 2 else (10 * k, rest, push) for k in range(first, last)]


@pytest.mark.parametrize('rest', [NAN, ZERO])
def test_neither_half_is_averaged_with_what_it_did_not_measure(window, rest):
    window(*in_turns(0, 4, rest=rest))
    for start in (4, 10, 16):
        value = window(*in_turns(start, start + 6, rest=rest))
        assert np.allclose(value[:3].T, GYRO)
        assert np.allclose(value[3:].T, PUSH)


@pytest.mark.parametrize('rates', [(1, 3), (3, 1), (4, 2)])
def test_halves_of_different_rates(window, rates):
    """Several samples of the one between two of the other, as 400 Hz beside 100 Hz give."""
    fast, slow = rates
    kinds = [(GYRO, ZERO)] * fast + [(ZERO, PUSH)] * slow
    samples = [(10 * k, *kinds[k % len(kinds)]) for k in range(40)]
    window(*samples[:8])
    value = window(*samples[8:])
    assert np.allclose(value[:3].T, GYRO)
    assert np.allclose(value[3:].T, PUSH)


def test_a_line_goes_through_the_samples_of_its_half_only(window):
    turn = [(10 * k, (float(k), 0, 0), NAN) for k in range(0, 9, 2)]
    push = [(10 * k, NAN, (0, 0, 9.0)) for k in range(1, 8, 2)]
    window(*[s for s in sorted(turn + push) if s[0] <= 40])
    value = window(*[s for s in sorted(turn + push) if s[0] > 40])
    assert np.allclose(value[0], [4.5, 5.5, 6.5, 7.5])
    assert np.allclose(value[5], 9.0)


def test_a_half_that_never_came_reads_zeros(window):
    assert np.allclose(window((0, GYRO, NAN), (10, GYRO, NAN))[3:], 0)
    assert np.allclose(window((20, GYRO, NAN))[:3].T, GYRO)


def test_a_half_that_stopped_is_held_for_max_age_and_then_reads_zeros(window):
    window(*in_turns(0, 4))  # acceleration at 20 ms for the last time
    held = window((100, GYRO, NAN))
    assert np.allclose(held[3:].T, PUSH)
    gone = window((130, GYRO, NAN))
    assert (gone[3:] == 0).all()
    assert np.allclose(gone[:3].T, GYRO)
    again = window((140, NAN, PUSH))
    assert np.allclose(again[3:].T, PUSH)


def test_nothing_new_repeats_what_is_known_of_each_half(window):
    window(*in_turns(0, 4))
    value = window()
    assert np.allclose(value[:3].T, GYRO)
    assert np.allclose(value[3:].T, PUSH)


def test_an_accelerometer_at_exactly_zero_measured_nothing(window):
    window((0, GYRO, PUSH), (10, GYRO, PUSH))
    assert np.allclose(window((20, GYRO, ZERO), (30, GYRO, PUSH))[3:].T, PUSH)


def test_a_gyroscope_at_exactly_zero_is_at_rest(window):
    """A simulator without noise: whole samples, and nothing in turns."""
    window((0, GYRO, PUSH), (10, GYRO, PUSH))
    value = window((20, ZERO, PUSH), (30, ZERO, PUSH), (40, ZERO, PUSH))
    assert value[0, -1] == 0
    assert value[0, 0] > 0  # the line from the sample before


def test_in_turns_no_longer_after_max_age():
    halves = Halves(100 * MS)
    alone, doubtful = np.array(GYRO + NAN), np.array(ZERO + PUSH)
    assert halves.split([0], alone[:, None]).tolist() == [[True], [False]]
    assert halves.split([100 * MS], doubtful[:, None])[0].tolist() == [False]
    assert halves.split([101 * MS], doubtful[:, None])[0].tolist() == [True]
    halves.split([0], alone[:, None])
    halves.forget()
    assert halves.split([1], doubtful[:, None])[0].tolist() == [True]


@pytest.mark.parametrize('covariance', [-1.0, 0.0])
def test_messages_in_turns_give_whole_observations(msgs, covariance):
    robot = RobotSpec.from_dict({'trigger': 'imu', 'sensors': {
        'imu': {}, **{name: {'enabled': False} for name in ('camera', 'lidar', 'audio')}}})
    synchronizer, rest = Synchronizer(robot), [covariance] + [0.0] * 8
    for k in range(200):
        now = 10**12 + k * 5 * MS
        message = (msgs.imu((0, 0, 1), ZERO, now, linear_acceleration_covariance=rest) if k % 2
                   else msgs.imu(ZERO, PUSH, now, angular_velocity_covariance=rest))
        synchronizer.add('imu', convert(message, robot.imu.type, robot.imu), now)
        if k and k % 13 == 0:
            value = synchronizer.snapshot(now).values['imu']
            assert np.isfinite(value).all()
            if k > 13:
                assert value[2] == pytest.approx(1.0)
            assert value[5] == pytest.approx(9.8)
