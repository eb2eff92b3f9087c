"""The bag path and the live path are the same calls, and give the same observations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liquidspike_ros.sensing.converters import convert
from liquidspike_ros.sensing.observation import InvalidSample
from liquidspike_ros.sensing.schedule import TickSchedule
from liquidspike_ros.sensing.stream import Intake, MOTION, observe
from liquidspike_ros.sensing.synchronizer import Synchronizer

MS = 1_000_000
T0 = 50_000_000 * MS
TYPES = {'camera': 'sensor_msgs/msg/Image', 'imu': 'sensor_msgs/msg/Imu',
         'lidar': 'sensor_msgs/msg/LaserScan', 'audio': 'std_msgs/msg/Int16MultiArray'}


def record(msgs, seconds=4.0, seed=0, dead=()):
    """What a robot with jittery topics would record; ``dead``: (sensor, from s, to s)."""
    rng = np.random.default_rng(seed)
    events = []
    for sensor, period, latency in (('camera', 100, 12), ('imu', 10, 1), ('lidar', 100, 6),
                                    ('audio', 20, 2)):
        for stamp in np.arange(T0, T0 + seconds * 1e9, period * MS).astype(np.int64):
            t = int(stamp)
            message = {
                'camera': lambda t=t: msgs.image(
                    rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), t=t),
                'imu': lambda t=t: msgs.imu(rng.normal(size=3), rng.normal(size=3), t=t),
                'lidar': lambda t=t: msgs.scan(rng.uniform(0.1, 9, 16), t=t),
                'audio': lambda: msgs.audio(rng.integers(-9999, 9999, 40)),
            }[sensor]()
            arrival = t + latency * MS + int(rng.integers(0, 4 * MS))
            if not any(s == sensor and a <= (t - T0) / 1e9 < b for s, a, b in dead):
                events.append((arrival, sensor, TYPES[sensor], message))
    return sorted(events, key=lambda event: event[0])


DEAD = [(), [('camera', 1.0, 2.5)], [('imu', 0.0, 9.0), ('audio', 2.0, 3.0)],
        [(sensor, 1.0, 3.0) for sensor in TYPES]]


@pytest.mark.parametrize('dead', DEAD)
def test_stream_equals_hand_driven_calls(msgs, robot, dead):
    events = record(msgs, dead=dead)
    sync, schedule, expected = Synchronizer(robot), TickSchedule(robot), []
    for now, sensor, type_name, message in events:
        while (tick := schedule.on_time(now)) is not None:
            expected.append(sync.snapshot(tick))
        try:
            sample = convert(message, type_name, robot.sensors[sensor])
            sync.add(sensor, sample, now)
        except InvalidSample:
            continue
        tick = schedule.on_sample(sensor, sample.stamp, now)
        if tick is not None:
            expected.append(sync.snapshot(tick))
    observed = list(observe(events, robot))
    assert len(observed) >= 28
    assert all(a.equals(b) for a, b in zip(observed, expected, strict=True))


@pytest.mark.parametrize('dead', DEAD)
@pytest.mark.parametrize('timer', [1 * MS, 9 * MS, 41 * MS])
def test_live_with_a_timer_and_late_snapshots_equals_the_bag(msgs, robot, dead, timer):
    """A node looks at the clock now and then, and infers some time after the tick."""
    events = record(msgs, dead=dead)
    intake, due, live = Intake(robot), [], []
    clock = events[0][0] - 300 * MS
    rng = np.random.default_rng(1)
    for now, sensor, type_name, message in events:
        while clock < now:
            due += intake.time(clock)
            if due and rng.random() < 0.5:
                live += [intake.synchronizer.snapshot(tick) for tick in due]
                due.clear()
            clock += timer
        due += intake.time(now)
        # Inference keeps up with ticks: at most one is waiting when the next message comes.
        while len(due) > 1 or (due and now - due[0] > 40 * MS):
            live.append(intake.synchronizer.snapshot(due.pop(0)))
        tick = intake.message(now, sensor, type_name, message)
        due += [] if tick is None else [tick]
    live += [intake.synchronizer.snapshot(tick) for tick in due]
    bag = list(observe(events, robot))
    assert all(a.equals(b) for a, b in zip(live, bag, strict=True))


def test_simulated_clock_with_equal_arrival_times(msgs, robot):
    """All arrivals rounded to 50 ms: ties are cut by order, not by time."""
    events = [(now // (50 * MS) * (50 * MS) + 50 * MS, *rest) for now, *rest in record(msgs)]
    events.sort(key=lambda event: event[0])
    intake, due, live = Intake(robot), [], []
    for now, sensor, type_name, message in events:
        due += intake.time(now)
        tick = intake.message(now, sensor, type_name, message)
        due += [] if tick is None else [tick]
        if due and now >= due[0] + 50 * MS:
            live.append(intake.synchronizer.snapshot(due.pop(0)))
    bag = list(observe(events, robot))
    assert len(live) >= 30
    assert all(a.equals(b) for a, b in zip(live, bag, strict=False))


def test_unusable_messages_are_left_out_and_counted(msgs, robot):
    events = record(msgs, seconds=1.0)
    broken = [(now + 1, sensor, 'std_msgs/msg/String', None) for now, sensor, _, _ in events]
    both = sorted(events + broken, key=lambda event: event[0])
    plain = list(observe(events, robot))
    assert all(a.equals(b) for a, b in zip(observe(both, robot), plain, strict=True))
    intake = Intake(robot)
    with pytest.raises(InvalidSample, match=r'got std_msgs/msg/String'):
        intake.message(T0, 'imu', 'std_msgs/msg/String', None)
    assert intake.synchronizer.health()['imu'].dropped == 1
    assert 'std_msgs/msg/String' in intake.synchronizer.health()['imu'].last_reason


def test_sensors_that_are_off_are_skipped(msgs, robot):
    deaf = replace(robot, audio=replace(robot.audio, enabled=False))
    observations = list(observe(record(msgs, seconds=1.0), deaf))
    assert set(observations[0].values) == {'camera', 'imu', 'lidar'}


def test_a_dead_trigger_leaves_ticks_on_the_rest(msgs, robot):
    observations = list(observe(record(msgs, dead=[('camera', 1.0, 3.0)]), robot))
    blind = [obs for obs in observations if not obs.present['camera']]
    assert len(blind) >= 15
    assert all(obs.present['imu'] and obs.present['lidar'] for obs in blind)
    assert max(obs.dt for obs in observations) <= 0.1251


def test_a_looping_bag_starts_afresh(msgs, robot):
    events = record(msgs, seconds=2.0)
    observations = list(observe(events * 2, robot))
    jumps = [i for i, obs in enumerate(observations) if obs.clock_jumped]
    first = list(observe(events, robot))
    assert jumps == [len(first)]
    again = observations[len(first):]
    assert all(replace(a, clock_jumped=False).equals(b) for a, b in zip(again, first, strict=True))


def test_more_than_a_second_of_silence_starts_afresh_and_is_no_jump(msgs, robot):
    dead = [(sensor, 1.0, 3.0) for sensor in TYPES]
    observations = list(observe(record(msgs, dead=dead), robot))
    afresh = [obs for obs in observations if obs.restarted]
    assert len(afresh) == 1
    assert (afresh[0].after_silence, afresh[0].clock_jumped) == (True, False)
    assert afresh[0].stamp > T0 + 3000 * MS
    before = [obs for obs in observations if T0 + 1300 * MS < obs.stamp < T0 + 2900 * MS]
    assert before
    assert not any(any(obs.present.values()) for obs in before)


def test_motion_decides_whether_a_payload_that_repeats_is_frozen(msgs, robot):
    image = np.full((8, 8, 3), 9, np.uint8)
    events = [(now, sensor, kind, msgs.image(image, t=now) if sensor == 'camera' else message)
              for now, sensor, kind, message in record(msgs)]
    assert all(obs.present['camera'] for obs in list(observe(events, robot))[1:])
    moving = sorted([*events, (T0 + 1000 * MS, MOTION, '', True)], key=lambda event: event[0])
    lost = [obs.stamp - T0 for obs in observe(moving, robot) if not obs.present['camera']]
    assert lost
    assert 1500 * MS < lost[0] < 1800 * MS
    assert lost[-1] > 3800 * MS


def test_reset_is_as_new(msgs, robot):
    events = record(msgs, seconds=0.5)
    intake = Intake(robot)
    for now, sensor, type_name, message in events:
        intake.time(now)
        intake.message(now, sensor, type_name, message)
    intake.reset()
    assert intake.time(events[-1][0] + 500 * MS) == []
    assert intake.synchronizer.snapshot(events[-1][0]).age['imu'] == float('inf')
