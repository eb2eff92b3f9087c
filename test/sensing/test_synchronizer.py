from __future__ import annotations

from dataclasses import replace
import math
import threading

import numpy as np
import pytest

from liquidspike_ros.sensing.observation import InvalidSample, Sample
from liquidspike_ros.sensing.synchronizer import Synchronizer

MS = 1_000_000
T0 = 1_000_000 * MS


def frame(value, t=None):
    return Sample(0 if t is None else T0 + t * MS, np.full((8, 8, 3), value, np.uint8))


def inertial(value, t):
    return Sample(T0 + round(t * MS), np.full(6, value, np.float32))


def scan(value, t):
    return Sample(T0 + t * MS, np.stack((np.arange(8) * 0 + value, np.ones(8))).astype(np.float32))


def sound(*values):
    return Sample(0, np.array([values, values], np.float32))


def at(ms):
    return T0 + round(ms * MS)


@pytest.fixture
def sync(robot):
    return Synchronizer(robot)


class TestNewest:
    def test_newest_frame_with_its_age(self, sync):
        sync.add('camera', frame(1, 0), at(5))
        sync.add('camera', frame(2, 10), at(15))
        obs = sync.snapshot(at(30))
        assert obs.values['camera'].max() == 2
        assert obs.age['camera'] == pytest.approx(0.020)
        assert obs.present['camera']

    def test_frames_out_of_order_keep_the_newest(self, sync):
        sync.add('camera', frame(2, 10), at(15))
        sync.add('camera', frame(1, 0), at(16))
        assert sync.snapshot(at(30)).values['camera'].max() == 2

    def test_held_until_its_max_age_then_masked_with_zeros(self, sync):
        sync.add('camera', frame(3, 0), at(0))
        held, lost = sync.snapshot(at(200)), sync.snapshot(at(201))
        assert held.present['camera']
        assert held.values['camera'].max() == 3
        assert not lost.present['camera']
        assert lost.values['camera'].max() == 0
        assert lost.age['camera'] == pytest.approx(0.201)

    def test_what_never_came_is_masked_and_infinitely_old(self, sync, robot):
        obs = sync.snapshot(at(0))
        assert obs.age == dict.fromkeys(robot.sensors, math.inf)
        assert not any(obs.present.values())
        for name, spec in robot.sensors.items():
            assert obs.values[name].shape == spec.shape
            assert not obs.values[name].any()

    def test_one_dead_topic_blocks_nothing(self, sync):
        sync.add('lidar', scan(2, 0), at(0))
        obs = sync.snapshot(at(50))
        assert obs.present == {'camera': False, 'imu': False, 'lidar': True, 'audio': False}

    def test_values_are_read_only(self, sync):
        sync.add('camera', frame(1, 0), at(0))
        with pytest.raises(ValueError, match='read-only'):
            sync.snapshot(at(1)).values['camera'][0] = 3


class TestTicks:
    def test_dt_is_the_true_time_and_nominal_at_first(self, sync):
        assert sync.snapshot(at(0)).dt == pytest.approx(0.1)
        assert sync.snapshot(at(130)).dt == pytest.approx(0.13)

    def test_what_arrives_after_the_tick_waits_for_the_next(self, sync):
        sync.add('camera', frame(1, 0), at(0))
        sync.add('camera', frame(2, 60), at(60))
        assert sync.snapshot(at(50)).values['camera'].max() == 1
        assert sync.snapshot(at(70)).values['camera'].max() == 2

    def test_a_marked_tick_parts_samples_of_one_arrival_time(self, sync):
        sync.add('camera', frame(1, 0), at(0))
        sync.mark(at(0))
        sync.add('camera', frame(2, 0), at(0))
        assert sync.snapshot(at(0)).values['camera'].max() == 1
        assert sync.snapshot(at(10)).values['camera'].max() == 2

    def test_late_snapshots_equal_prompt_ones(self, robot):
        rng = np.random.default_rng(3)
        prompt, late = Synchronizer(robot), Synchronizer(robot)
        observations, delayed, waiting = [], [], []
        for k in range(300):
            now = at(k * 7)
            for sync in (prompt, late):
                sync.add('imu', Sample(now, np.full(6, k, np.float32)), now)
                sync.add('audio', sound(*np.full(7, k / 300)), now)
            if k % 13 == 0:
                image = Sample(now, rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
                for sync in (prompt, late):
                    sync.add('camera', image, now)
                    sync.mark(now)
                observations.append(prompt.snapshot(now))
                waiting.append((k + 5, now))
            if waiting and waiting[0][0] <= k:
                delayed.append(late.snapshot(waiting.pop(0)[1]))
        assert len(delayed) > 20
        assert all(a.equals(b) for a, b in zip(observations, delayed, strict=False))


class TestInertialWindow:
    def test_constant(self, sync):
        for k in range(10):
            sync.add('imu', inertial(4, k * 10), at(k * 10))
        assert np.allclose(sync.snapshot(at(95)).values['imu'], 4)

    def test_windows_join_without_gap_or_overlap(self, robot):
        """The mean of all windows is the integral over all samples: none lost, none twice."""
        sync, rng = Synchronizer(robot), np.random.default_rng(5)
        values, stamps, total = rng.normal(size=60), np.arange(60) * 10.0, 0.0
        last = None
        for k, (value, stamp) in enumerate(zip(values, stamps, strict=True)):
            sync.add('imu', inertial(value, stamp), at(stamp + 2))
            if k % 7 == 6:
                window = sync.snapshot(at(stamp + 3)).values['imu'][0]
                if last is not None:
                    total += window.mean() * (stamp - last) / 1000
                else:
                    first = k
                last = stamp
        means = (values[first:55] + values[first + 1:56]) / 2
        expected = (means * np.diff(stamps[first:56])).sum() / 1000
        assert total == pytest.approx(expected, abs=1e-6)

    def test_a_late_sample_comes_with_the_next_window(self, sync):
        sync.add('imu', inertial(0, 0), at(0))
        sync.add('imu', inertial(0, 20), at(20))
        sync.snapshot(at(20))
        sync.add('imu', inertial(9, 10), at(25))
        sync.add('imu', inertial(0, 40), at(40))
        assert sync.snapshot(at(40)).values['imu'].max() > 1

    def test_no_new_sample_repeats_the_newest_while_it_is_fresh(self, sync):
        sync.add('imu', inertial(1, 0), at(0))
        sync.add('imu', inertial(3, 10), at(10))
        sync.snapshot(at(10))
        held, lost = sync.snapshot(at(60)), sync.snapshot(at(120))
        assert held.present['imu']
        assert (held.values['imu'] == 3).all()
        assert not lost.present['imu']
        assert (lost.values['imu'] == 0).all()

    def test_one_new_sample_gives_the_line_to_it(self, sync):
        sync.add('imu', inertial(0, 0), at(0))
        assert (sync.snapshot(at(0)).values['imu'] == 0).all()
        sync.add('imu', inertial(10, 50), at(50))
        assert np.allclose(sync.snapshot(at(50)).values['imu'][0], [1, 3, 5, 7, 9])

    def test_a_gap_is_not_bridged(self, sync):
        sync.add('imu', inertial(0, 0), at(0))
        sync.snapshot(at(0))
        sync.add('imu', inertial(10, 300), at(300))
        assert (sync.snapshot(at(300)).values['imu'] == 10).all()

    def test_duplicate_stamps_are_finite(self, sync):
        for _ in range(3):
            sync.add('imu', inertial(2, 0), at(1))
        assert np.allclose(sync.snapshot(at(2)).values['imu'], 2)
        sync.add('imu', inertial(2, 0), at(3))
        assert np.allclose(sync.snapshot(at(4)).values['imu'], 2)


class TestSound:
    def test_last_window_with_silence_before_it(self, sync):
        sync.add('audio', sound(0.1, 0.2), at(0))
        sync.add('audio', sound(0.3), at(2))
        value = sync.snapshot(at(3)).values['audio']
        assert np.allclose(value[:, -3:], [[0.1, 0.2, 0.3]] * 2)
        assert not value[:, :-3].any()

    def test_window_slides_over_chunks_of_any_size(self, sync):
        stream, at_ms = np.arange(1, 1001) / 1000, 0
        for size in (1, 50, 3, 300, 7, 128, 111, 400):
            chunk, stream = stream[:size], stream[size:]
            sync.add('audio', sound(*chunk), at(at_ms))
            at_ms += 5
        value = sync.snapshot(at(at_ms)).values['audio'][0]
        assert np.allclose(value, np.arange(873, 1001) / 1000)

    def test_same_sound_may_be_read_by_two_ticks(self, sync):
        sync.add('audio', sound(0.5), at(0))
        assert np.array_equal(sync.snapshot(at(1)).values['audio'],
                              sync.snapshot(at(2)).values['audio'])

    def test_after_a_gap_the_window_starts_from_silence(self, sync):
        sync.add('audio', sound(0.5, 0.5), at(0))
        sync.add('audio', sound(0.1), at(101))
        value = sync.snapshot(at(102)).values['audio'][0]
        assert value[-1] == np.float32(0.1)
        assert not value[:-1].any()

    def test_gap_masks(self, sync):
        sync.add('audio', sound(0.5), at(0))
        assert sync.snapshot(at(100)).present['audio']
        assert not sync.snapshot(at(101)).present['audio']


class TestStamps:
    def test_stale_on_arrival_is_dropped(self, sync):
        with pytest.raises(InvalidSample, match=r'0\.201 s old on arrival'):
            sync.add('camera', frame(1, 0), at(201))
        assert sync.health()['camera'].dropped == 1
        assert '0.201 s old' in sync.health()['camera'].last_reason
        assert not sync.snapshot(at(202)).present['camera']

    def test_future_is_dropped_beyond_the_tolerance(self, sync):
        sync.add('camera', frame(1, 100), at(0))
        with pytest.raises(InvalidSample, match=r'0\.101 s in the future'):
            sync.add('camera', frame(1, 101), at(0))

    def test_a_stamp_ahead_of_arrival_buys_no_time(self, sync):
        sync.add('camera', frame(1, 90), at(0))
        assert sync.snapshot(at(50)).age['camera'] == pytest.approx(0.05)
        assert not sync.snapshot(at(201)).present['camera']

    def test_zero_stamp_becomes_arrival_and_is_counted(self, sync):
        sync.add('camera', frame(1), at(7))
        sync.add('audio', sound(1), at(7))
        assert sync.snapshot(at(10)).age['camera'] == pytest.approx(0.003)
        assert sync.health()['camera'].zero_stamps == 1
        assert sync.health()['audio'].zero_stamps == 0  # its type has no stamp


class TestReasons:
    def test_reasons_are_counted_by_kind_with_their_newest_figures(self, sync):
        for late in (300, 400, 500):
            with pytest.raises(InvalidSample):
                sync.add('camera', frame(1, 0), at(late))
        sync.reject('camera', 'encoding: got 16UC1', at(501))
        health = sync.health()['camera']
        assert health.reasons == {
            'stamp: 0.500 s old on arrival, expected at most max_age 0.2': 3,
            'encoding: got 16UC1': 1}
        assert health.last_refusal == at(501)
        assert health.lag > 0.3

    def test_there_is_no_end_of_reasons_but_an_end_of_memory(self, sync):
        for k in range(100):
            sync.reject('imu', 'field ' + 'x' * k)
        reasons = sync.health()['imu'].reasons
        assert len(reasons) <= 13
        assert sum(reasons.values()) == sync.health()['imu'].dropped == 100
        assert reasons['other reasons'] == 88


def test_what_cannot_be_meant_is_found_over_seconds(sync):
    for ms in range(0, 2600, 10):
        sync.add('imu', Sample(at(ms), np.array([0, 0, 0.1, 0, 0, 1.0], np.float32)), at(ms))
    assert 'in g?' in sync.health()['imu'].finding
    assert sync.snapshot(at(2600)).present['imu'], 'it is said, not masked'


class TestFrozen:
    def play(self, sync, sensor, sample, until, moving=True):
        sync.motion(moving, at(0))
        for ms in range(0, until, 50):
            sync.add(sensor, replace(sample, stamp=at(ms)), at(ms))
        return sync.snapshot(at(until))

    def test_same_payload_for_more_than_half_a_second_is_masked(self, sync):
        assert self.play(sync, 'camera', frame(1), 550).present['camera']
        obs = self.play(Synchronizer(sync._robot), 'camera', frame(1), 600)
        assert not obs.present['camera']
        assert not obs.values['camera'].any()

    def test_a_robot_that_stands_may_see_the_same_for_ever(self, sync):
        assert self.play(sync, 'camera', frame(1), 5000, moving=False).present['camera']

    def test_what_is_frozen_does_not_thaw_by_standing(self, sync):
        self.play(sync, 'camera', frame(1), 1500)
        sync.motion(False, at(1500))
        sync.add('camera', frame(1, 1520), at(1520))
        assert not sync.snapshot(at(1521)).present['camera']

    def test_a_change_unmasks(self, sync):
        self.play(sync, 'camera', frame(1), 1500)
        assert sync.health()['camera'].frozen
        sync.add('camera', frame(2, 1510), at(1510))
        assert sync.snapshot(at(1511)).present['camera']
        assert not sync.health()['camera'].frozen

    @pytest.mark.parametrize(('sensor', 'sample', 'present'), [
        ('imu', inertial(1, 0), False), ('lidar', scan(2, 0), True), ('audio', sound(0, 0), True),
        ('audio', sound(0.1, 0.2), False),
    ])
    def test_saying_nothing_is_not_frozen(self, sync, sensor, sample, present):
        assert self.play(sync, sensor, sample, 1500).present[sensor] is present

    def test_can_be_turned_off(self, robot):
        camera = replace(robot.camera, max_frozen=0.0)
        obs = self.play(Synchronizer(replace(robot, camera=camera)), 'camera', frame(1), 1500)
        assert obs.present['camera']


class TestClock:
    def test_backward_jump_clears_everything_and_tells_once(self, sync):
        sync.add('camera', frame(1, 500), at(500))
        sync.add('audio', sound(0.5), at(500))
        sync.snapshot(at(500))
        sync.add('audio', sound(0.25), at(499))
        assert sync.clock_jumped
        obs = sync.snapshot(at(499))
        assert obs.clock_jumped
        assert obs.dt == pytest.approx(0.1)
        assert not obs.present['camera']
        assert obs.values['audio'][0, -2:].tolist() == [0, 0.25]
        assert not sync.snapshot(at(510)).clock_jumped
        assert sync.jumps == 1

    @pytest.mark.parametrize(('gap', 'silent'), [(1000, False), (1001, True), (3_600_000, True)])
    def test_more_than_a_second_without_samples_starts_afresh(self, sync, gap, silent):
        sync.add('imu', inertial(1, 0), at(0))
        sync.snapshot(at(0))
        sync.add('imu', inertial(1, gap), at(gap))
        obs = sync.snapshot(at(gap))
        assert obs.restarted is obs.after_silence is silent
        assert not obs.clock_jumped
        assert not sync.snapshot(at(gap + 10)).restarted

    def test_who_knows_of_a_jump_says_so(self, sync):
        sync.add('camera', frame(1, 0), at(0))
        sync.jump()
        sync.add('imu', inertial(1, 60_000), at(60_000))
        obs = sync.snapshot(at(60_000))
        assert (obs.clock_jumped, obs.after_silence) == (True, False)
        assert not obs.present['camera']

    def test_a_tick_before_the_last_one_is_a_jump_too(self, sync):
        sync.snapshot(at(100))
        assert sync.snapshot(at(50)).clock_jumped

    def test_reset_is_no_jump(self, sync):
        sync.add('camera', frame(1, 500), at(500))
        sync.reset()
        obs = sync.snapshot(at(100))
        assert not obs.clock_jumped
        assert obs.age['camera'] == math.inf


def test_flood_without_ticks_is_bounded_and_counted(sync):
    rng = np.random.default_rng(0)
    for k in range(20_000):
        now = at(k * 0.5)
        sync.add('imu', Sample(now, np.full(6, k, np.float32)), now)
        sync.add('camera', Sample(now, rng.integers(0, 9, (8, 8, 3), dtype=np.uint8)), now)
        sync.add('audio', Sample(0, rng.random((2, 300), np.float32)), now)
        sync.mark(now)
    channels = sync._channels
    assert len(channels['imu'].buffer._entries) <= 200
    assert len(channels['camera'].buffer._entries) <= 8
    assert channels['audio'].buffer._length <= 4 * 128 + 300
    assert len(sync._marks) <= 16
    assert len(sync._arrivals) <= 4096
    assert sync.health()['imu'].overflows > 19_000
    assert sync.snapshot(at(10_000)).present['imu']


def test_adding_and_snapshots_from_two_threads(robot):
    """Every IMU sample is delivered exactly once, whatever the interleaving."""
    sync, seen, done = Synchronizer(robot), [], threading.Event()
    buffer = sync._channels['imu'].buffer
    original = buffer._resample
    buffer._resample = lambda before, fresh: (
        seen.extend(entry.sequence for entry in fresh), original(before, fresh))[1]

    def feed():
        for k in range(1, 3000):
            sync.add('imu', inertial(1, k), at(k))
            if k % 50 == 0:
                ready.wait()
        done.set()

    ready = threading.Barrier(2)
    thread = threading.Thread(target=feed)
    thread.start()
    for k in range(1, 60):
        ready.wait(timeout=10)
        sync.snapshot(at(k * 50))
    thread.join(timeout=10)
    assert done.is_set()
    sync.snapshot(at(3000))
    assert seen == list(range(1, 3000))
