"""When stamps on another clock are the recording's, and when one sensor's."""

from __future__ import annotations

import pytest

from liquidspike_ros.training.time_offset import find_shift, remaining_lag, SECOND, StampTrack

START = 1_700_000_000 * SECOND


def track(lag, seconds=20.0, rate=10.0, speed=1.0, jitter=0, base=12 * SECOND):
    """A topic whose stamps lie ``lag`` ns behind, run at ``speed`` and arrive late by turns."""
    found = StampTrack()
    for k in range(int(seconds * rate)):
        elapsed = int(k * SECOND / rate)
        stamp = START - lag + int(elapsed * speed) if lag is not None else base
        found.add(START + elapsed + (jitter if k % 3 else 0), stamp)
    return found


FAR = START - 12 * SECOND


def test_all_sensors_on_another_clock_are_moved_by_the_shortest_lag():
    sensors = {'camera': track(FAR, jitter=40_000_000), 'imu': track(FAR, rate=100)}
    shift = find_shift(sensors, {})
    assert shift is not None
    assert shift.lags == (FAR,)
    assert shift(START + 5 * SECOND) == 17 * SECOND
    assert shift.sensors == ('camera', 'imu')


@pytest.mark.parametrize('lag', [0, 50_000_000, -50_000_000])
def test_lags_of_transport_are_left_alone(lag):
    assert find_shift({'camera': track(lag), 'imu': track(lag)}, {}) is None


@pytest.mark.parametrize('lag', [300_000_000, -3 * SECOND, FAR])
def test_one_sensor_that_is_off_is_left_to_be_refused(lag):
    sensors = {'camera': track(lag), 'imu': track(0), 'lidar': track(1000)}
    assert find_shift(sensors, {}) is None
    assert remaining_lag(sensors['camera'], None) == lag


def test_one_late_sensor_among_simulated_ones_is_off_by_its_own_lag():
    sensors = {'camera': track(FAR + 300_000_000), 'imu': track(FAR), 'lidar': track(FAR)}
    shift = find_shift(sensors, {})
    assert shift is not None
    assert shift.sensors == ('imu', 'lidar')
    assert remaining_lag(sensors['camera'], shift) == 300_000_000
    assert remaining_lag(sensors['imu'], shift) == 0


def test_sensors_that_disagree_are_not_moved():
    assert find_shift({'camera': track(FAR), 'lidar': track(START - 4280 * SECOND)}, {}) is None


@pytest.mark.parametrize(('lag', 'others', 'moved'), [
    (10 * SECOND, {}, False),                                  # a slow camera, for all we know
    (10 * SECOND, {'/odom': track(10 * SECOND)}, True),        # a witness on the same clock
    (10 * SECOND, {'/odom': track(0)}, False),                 # a witness against it
    (FAR, {}, True),                                           # no camera is years late
    (FAR, {'/joy': track(0)}, False),
    (FAR, {'/joy': track(0), '/clock': track(FAR)}, True),
    (FAR, {'/joy': track(0), '/clock': track(0)}, False),
    (FAR, {'/map': track(None, base=5 * SECOND)}, True),       # one stamp for ever is no witness
])
def test_the_only_stamped_sensor_needs_a_witness(lag, others, moved):
    assert (find_shift({'camera': track(lag)}, others) is not None) == moved


@pytest.mark.parametrize('speed', [0.3, 0.8, 1.5])
def test_a_simulator_at_another_speed_is_followed(speed):
    sensors = {'camera': track(FAR, speed=speed), 'imu': track(FAR, rate=100, speed=speed)}
    shift = find_shift(sensors, {})
    assert shift is not None
    for second in (0, 0.1, 7.3, 19.9):
        now = START + int(second * SECOND)
        assert shift(now) == pytest.approx(12 * SECOND + second * speed * SECOND, abs=SECOND / 50)
    assert f'at {speed:.2f} of its speed' in shift.line


def test_a_simulator_that_was_reset_goes_back_once():
    found = StampTrack()
    for k in range(400):
        found.add(START + k * SECOND // 20, (1 + k % 200) * SECOND // 20)
    shift = find_shift({'camera': found}, {'/clock': found})
    assert shift is not None
    follow = shift.follower()
    times = [follow(START + k * SECOND // 20) for k in range(400)]
    back = [k for k in range(1, 400) if times[k] < times[k - 1]]
    assert len(back) == 1
    assert abs(back[0] - 200) <= 5
    assert times[399] == pytest.approx(10 * SECOND, abs=SECOND // 4)


def test_jitter_never_makes_time_go_back():
    sensors = {'imu': track(FAR, rate=100, speed=0.7, jitter=15_000_000)}
    shift = find_shift(sensors, {})
    assert shift is not None
    follow = shift.follower()
    times = [follow(START + k * SECOND // 1000) for k in range(19_000)]
    assert times == sorted(times)


def test_zero_stamps_are_counted_and_say_nothing():
    found = StampTrack()
    for k in range(10):
        found.add(START + k, 0)
    assert (found.zeros, found.tells) == (10, False)
    assert find_shift({'camera': found}, {}) is None
