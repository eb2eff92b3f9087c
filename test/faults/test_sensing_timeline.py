"""FAULTS rows 4–6, 10–15 and 20 as timelines on the pure sensing code.

One letter is one control period (100 ms) of one sensor's messages, the other sensors being well.
``k`` is a good message; what the others are is told by ``SPOIL``. Out, per tick: ``P`` present,
``m`` masked, ``j`` masked or not, but the clock jumped. Ticks are those of a plain 10 Hz clock.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import math
from types import SimpleNamespace as Message
from typing import Any

import numpy as np
import pytest

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import InvalidSample, Observation
from liquidspike_ros.sensing.stream import Intake

MS = 1_000_000
T0 = 10_000_000 * MS
TYPES = {'camera': 'sensor_msgs/msg/Image', 'imu': 'sensor_msgs/msg/Imu',
         'lidar': 'sensor_msgs/msg/LaserScan', 'audio': 'std_msgs/msg/Int16MultiArray'}
ROBOT = RobotSpec.from_dict({
    'rate': 10.0, 'trigger': 'timer',
    'sensors': {'camera': {'width': 8, 'height': 8, 'rate': 10.0, 'max_age': 0.15},
                'imu': {'rate': 10.0, 'window': 3, 'max_age': 0.15},
                'lidar': {'beams': 8, 'rate': 10.0, 'max_age': 0.15},
                'audio': {'sample_rate': 1000, 'window': 128, 'rate': 10.0, 'max_age': 0.15}},
})
RNG = np.random.default_rng(0)


def header(t: int) -> Message:
    return Message(stamp=Message(sec=t // 10**9, nanosec=t % 10**9))


def good(sensor: str, t: int) -> Message:
    values = RNG.normal(size=6)
    return {
        'camera': lambda: Message(
            header=header(t), width=8, height=8, step=24, encoding='rgb8', is_bigendian=0,
            data=RNG.integers(0, 256, 192, dtype=np.uint8)),
        'imu': lambda: Message(
            header=header(t), angular_velocity=Message(x=values[0], y=values[1], z=values[2]),
            linear_acceleration=Message(x=values[3], y=values[4], z=values[5]),
            angular_velocity_covariance=[0.0] * 9, linear_acceleration_covariance=[0.0] * 9),
        'lidar': lambda: Message(
            header=header(t), angle_min=-math.pi, angle_max=math.pi - math.pi / 4,
            angle_increment=math.pi / 4, range_min=0.1, range_max=9.0,
            ranges=RNG.uniform(1, 8, 8).astype(np.float32)),
        'audio': lambda: Message(layout=Message(dim=[], data_offset=0),
                                 data=RNG.integers(-99, 99, 200, dtype=np.int16)),
    }[sensor]()


def put(**fields: Any) -> Callable[[Message], None]:
    return lambda message: vars(message).update(fields)


def restamp(offset_ms: int | None) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        stamp = message.header.stamp
        t = 0 if offset_ms is None else stamp.sec * 10**9 + stamp.nanosec + offset_ms * MS
        message.header = header(t)
    return change


def spoil_vector(name: str, axis: str, value: float) -> Callable[[Message], None]:
    return lambda message: setattr(getattr(message, name), axis, value)


NAN, INF = math.nan, math.inf
SPOIL: dict[str, dict[str, Callable[[Message], None]]] = {
    'camera': {
        'f': put(data=np.full(192, 7, np.uint8)), 'o': restamp(-300), 'u': restamp(150),
        'z': restamp(None), 's': put(step=23, data=bytes(200)), 'd': put(data=b'12'),
        'w': put(width=2**31),
        'e': put(encoding='nv99'), '1': put(encoding='16UC1', step=16, data=bytes(128)),
        'b': put(encoding='bgr8'), 'p': put(step=30, data=bytes(RNG.integers(0, 256, 240, 'u1'))),
    },
    'imu': {
        'n': spoil_vector('angular_velocity', 'y', NAN), 'i': spoil_vector(
            'linear_acceleration', 'x', INF), 'h': spoil_vector('angular_velocity', 'z', 99.0),
        'c': put(angular_velocity_covariance=[-1.0] * 9),
        'x': put(angular_velocity_covariance=[-1.0] * 9,
                 linear_acceleration_covariance=[-1.0] * 9),
    },
    'lidar': {
        'n': put(ranges=[NAN] * 8), '+': put(ranges=[INF] * 8), '-': put(ranges=[-INF] * 8),
        '0': put(angle_increment=0.0), 'c': put(ranges=[1.0] * 5),
        '9': put(ranges=[9.5] * 8), 'h': put(ranges=[1.0, NAN, INF, -INF, 99, 2, 3, 4]),
    },
    'audio': {'3': put(data=np.ones(3, np.int16)), '0': put(data=np.zeros(0, np.int16)),
              'L': put(data=RNG.integers(-99, 99, 2000, dtype=np.int16))},
}


def play(sensor: str, story: str, moves: str = '') -> tuple[str, list[Observation], Intake]:
    """Messages come 30 ms after each tick, stamped 10 ms before they arrive.

    ``moves``: an ``m`` for each period in which the robot is told to move.
    """
    intake, letters, observations = Intake(ROBOT), '', []

    def deliver(now: int, name: str, message: Message) -> None:
        with contextlib.suppress(InvalidSample):
            intake.message(now, name, TYPES[name], message)

    for k, letter in enumerate(story):
        now = T0 + k * 100 * MS
        intake.motion(now, moves[k:k + 1] == 'm')
        for tick in intake.time(now):
            obs = intake.synchronizer.snapshot(tick)
            observations.append(obs)
            letters += 'j' if obs.clock_jumped else 'P' if obs.present[sensor] else 'm'
        for name in TYPES:
            message = good(name, now - 10 * MS)
            if name == sensor:
                if letter == '_':
                    continue
                if letter != 'k':
                    SPOIL[sensor][letter](message)
            deliver(now, name, message)
    return letters, observations, intake


@pytest.mark.parametrize(('sensor', 'story', 'expected'), [
    # 4: silent: held to max_age (the tick right after a missing message), then masked
    ('camera', 'kkk___kkk', 'PPPmmmPP'),
    ('imu', 'kkk___kkk', 'PPPmmmPP'),
    ('lidar', 'kkk___kkk', 'PPPmmmPP'),
    ('audio', 'kkk___kkk', 'PPPmmmPP'),
    # 4: what repeats while the robot stands is no fault
    ('camera', 'kk' + 'f' * 14 + 'kkk', 'P' * 18),
    # 5: stale or future stamps are dropped, zero stamps become arrival times
    ('camera', 'kkookk', 'PPmmP'),
    ('camera', 'kkuukk', 'PPmmP'),
    ('camera', 'kkzzkk', 'PPPPP'),
    # 10
    ('imu', 'kknihkkk', 'PPmmmPP'),
    ('imu', 'kkccxxkk', 'PPPPmmP'),
    # 11: no return and too close are measurements, all NaN is a lost sensor
    ('lidar', 'kknn++--kk', 'PPmmPPPPP'),
    ('lidar', 'kk00cckk', 'PPmmmmP'),
    ('lidar', 'kk9hhkk', 'PPmPPP'),
    # 12, 13
    ('camera', 'kksdwkk', 'PPmmmP'),
    ('camera', 'kke1kk', 'PPmmP'),
    ('camera', 'kkbpkk', 'PPPPP'),
    # 15
    ('audio', 'kk30kk', 'PPmmP'),
    ('audio', 'kkLLkk', 'PPPPP'),
])
def test_timeline(sensor, story, expected):
    letters, observations, _ = play(sensor, story)
    assert letters == expected
    for obs in observations:
        assert all(obs.present[name] for name in TYPES if name != sensor), 'nothing else suffers'
        for name, spec in ROBOT.sensors.items():
            assert obs.values[name].shape == spec.shape
            assert np.isfinite(obs.values[name]).all()
            assert obs.present[name] or not obs.values[name].any()


@pytest.mark.parametrize(('moves', 'story', 'expected'), [
    # 4: the same for more than half a second of moving
    ('mmmmmmmmmmmmm', 'kkfffffffkkkk', 'PPPPPPPPmPPP'),
    # only moving counts: a start after a long rest gives the sensor half a second
    ('......mmmmmmm', 'kffffffffffff', 'PPPPPPPPPPPP'),
    ('....mmmmmmmmm', 'kffffffffffff', 'PPPPPPPPPPmm'),
    # stopping for it does not thaw it; a change does
    ('mmmmmmmmm......', 'kffffffffffffkk', 'PPPPPPPmmmmmmP'),
])
def test_row_4_frozen_counts_while_the_robot_moves(moves, story, expected):
    letters, _, _ = play('camera', story, moves)
    assert letters == expected


def test_row_5_refusals_and_zero_stamps_are_counted():
    _, _, intake = play('camera', 'kkouzzk')
    health = intake.synchronizer.health()['camera']
    assert (health.accepted, health.dropped, health.zero_stamps) == (5, 2, 2)
    assert 'in the future' in health.last_reason


def test_row_6_a_clock_that_goes_back_clears_the_buffers():
    intake, letters = Intake(ROBOT), ''
    times = [T0 + k * 100 * MS for k in range(5)] + [T0 - 5000 * MS + k * 100 * MS
                                                     for k in range(4)]
    for now in times:
        for tick in intake.time(now):
            obs = intake.synchronizer.snapshot(tick)
            letters += 'j' if obs.clock_jumped else 'P' if obs.present['camera'] else 'm'
        for name in TYPES:
            intake.message(now, name, TYPES[name], good(name, now))
    assert letters == 'PPPPjPP'
    assert intake.synchronizer.jumps == 1


def test_row_14_an_empty_cloud_is_a_valid_view_of_nothing():
    robot = RobotSpec.from_dict({
        'rate': 10.0, 'trigger': 'lidar',
        'sensors': {'lidar': {'beams': 8, 'type': 'sensor_msgs/msg/PointCloud2'},
                    **{name: {'enabled': False} for name in ('camera', 'imu', 'audio')}}})
    intake = Intake(robot)
    cloud = Message(header=header(T0), height=1, width=0, fields=[], is_bigendian=False,
                    point_step=16, row_step=0, data=b'', is_dense=True)
    tick = intake.message(T0, 'lidar', 'sensor_msgs/msg/PointCloud2', cloud)
    obs = intake.synchronizer.snapshot(tick)
    assert obs.present['lidar']
    assert (obs.values['lidar'] == [[8.0] * 8, [1.0] * 8]).all()


@pytest.mark.slow
def test_row_20_a_flood_leaves_memory_where_it_was():
    import tracemalloc

    intake = Intake(ROBOT)

    def flood(count: int, start: int) -> None:
        for k in range(start, start + count):
            now = T0 + k * 10 * MS  # ten times the nominal rate
            for tick in intake.time(now):
                intake.synchronizer.snapshot(tick)
            for name in TYPES:
                intake.message(now, name, TYPES[name], good(name, now))

    flood(1500, 0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    flood(5000, 1500)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # Before its start nothing is traced, so what is held now counts in full: it is all there is.
    assert grown < 2_000_000
