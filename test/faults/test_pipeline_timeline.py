"""Sensing and control together, from messages to speed, on injected time.

Every 10 ms the robot takes what arrived, ticks, and calls its watchdog, as the node does. The
policy always wants full speed.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from types import SimpleNamespace as Message

import numpy as np
import pytest

from liquidspike_ros.control.action import TickResult
from liquidspike_ros.control.safety import SafetyGate
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.stream import Intake

MS = 1_000_000
T0 = 5_000_000 * MS
ROBOT = RobotSpec.from_dict({
    'rate': 15.0, 'sensors': {'camera': {'width': 8, 'height': 8}, 'lidar': {'beams': 8},
                              'imu': {'rate': 100.0}, 'audio': {'window': 1600}}})
EVERY = {'camera': (67, 8), 'imu': (10, 1), 'lidar': (100, 3), 'audio': (20, 2)}
TYPES = {name: spec.type for name, spec in ROBOT.sensors.items()}
RNG = np.random.default_rng(0)


def message(sensor: str, t: int) -> Message:
    header = Message(stamp=Message(sec=t // 10**9, nanosec=t % 10**9))
    vector = Message(**dict(zip('xyz', RNG.normal(size=3), strict=True)))
    return {
        'camera': lambda: Message(header=header, width=8, height=8, step=24, encoding='rgb8',
                                  is_bigendian=0, data=RNG.integers(0, 256, 192, dtype=np.uint8)),
        'imu': lambda: Message(header=header, angular_velocity=vector, linear_acceleration=vector,
                               angular_velocity_covariance=[0.0] * 9,
                               linear_acceleration_covariance=[0.0] * 9),
        'lidar': lambda: Message(header=header, angle_min=-math.pi, angle_max=math.pi * 3 / 4,
                                 angle_increment=math.pi / 4, range_min=0.1, range_max=9.0,
                                 ranges=RNG.uniform(1, 8, 8)),
        'audio': lambda: Message(layout=Message(dim=[], data_offset=0),
                                 data=RNG.integers(-99, 99, 640, dtype=np.int16)),
    }[sensor]()


def drive(seconds: float, cut: Callable[[str, float], bool],
          clock: Callable[[float], float] = lambda t: t) -> dict[float, tuple[float, str]]:
    """Speed and state every 10 ms; ``cut(sensor, time)`` says what does not arrive.

    ``clock`` maps true (steady) time to ROS time.
    """
    intake, gate, log = Intake(ROBOT), SafetyGate(ROBOT), {}
    for step in range(round(seconds * 100)):
        steady = step / 100
        ros = T0 + round(clock(steady) * 1000) * MS
        due = intake.time(ros)
        for sensor, (period, phase) in EVERY.items():
            if step * 10 % period < 10 and not cut(sensor, steady):
                tick = intake.message(ros, sensor, TYPES[sensor], message(sensor, ros - phase * MS))
                gate.on_sample(steady, sensor, intake.newest.age(ros), frozen=intake.newest.frozen)
                due += [] if tick is None else [tick]
        if due:  # newest only
            obs = intake.synchronizer.snapshot(due[-1])
            decision = gate.on_result(steady, obs, TickResult(np.array([1.0, 0.5]), True))
            if step < 100:
                gate.arm(steady)
        else:
            decision = gate.watchdog(steady)
        log[steady] = (float(decision.command[0]), decision.state)
    return log


def test_all_is_well():
    log = drive(3.0, lambda sensor, t: False)
    assert {state for t, (_, state) in log.items() if t > 1.0} == {'ACTIVE'}
    assert log[2.9][0] == pytest.approx(0.6)


@pytest.mark.parametrize('sensor', ['imu', 'audio'])
def test_an_optional_sensor_cut_leaves_the_robot_driving_on_the_rest_at_half_speed(sensor):
    log = drive(6.0, lambda name, t: name == sensor and 2.0 <= t < 4.0)
    during = {state for t, (_, state) in log.items() if 2.4 < t < 4.0}
    assert during == {'CAPPED'}
    assert log[3.5][0] == pytest.approx(0.3)
    assert log[5.5] == (pytest.approx(0.6), 'ACTIVE')


@pytest.mark.parametrize('sensor', ['camera', 'lidar'])
@pytest.mark.parametrize('moment', [2.0, 2.03, 2.06, 2.1])
def test_a_required_sensor_cut_gives_zero_within_200_ms_of_its_last_sample(sensor, moment):
    last = max(k * 0.01 for k in range(round(moment * 100) + 1)
               if k * 10 % EVERY[sensor][0] < 10)
    log = drive(6.0, lambda name, t: name == sensor and moment < t < 4.0)
    assert log[round(last, 2)][0] == pytest.approx(0.6)
    assert all(speed == 0 for t, (speed, _) in log.items() if last + 0.2 <= t < 4.0)
    assert {state for t, (_, state) in log.items() if 2.4 < t < 4.0} == {'STOP'}
    back = min(t for t, (speed, _) in log.items() if t > 4.0 and speed > 0)
    assert back - 4.0 < 0.2


def test_sensors_that_keep_their_time_never_slow_the_robot_down():
    log = drive(20.0, lambda name, t: False)
    assert {state for t, (_, state) in log.items() if t > 1.0} == {'ACTIVE'}
    assert min(speed for t, (speed, _) in log.items() if t > 1.5) == pytest.approx(0.6)


@pytest.mark.parametrize('moment', [2.0, 2.03, 2.06, 2.1])
def test_all_sensors_cut_gives_zero_within_200_ms_and_restoring_them_resumes(moment):
    log = drive(6.0, lambda name, t: moment < t < 3.5)
    assert log[round(moment - 0.01, 2)][0] == pytest.approx(0.6)
    assert all(speed == 0 for t, (speed, _) in log.items() if moment + 0.2 <= t < 3.5)
    assert all(state == 'STOP' for t, (_, state) in log.items() if moment + 0.2 <= t < 3.5)
    # A silence of over a second is no clock jump: no ten healthy ticks first.
    back = min(t for t, (speed, _) in log.items() if t > 3.5 and speed > 0)
    assert back - 3.5 < 0.25
    assert log[5.5] == (pytest.approx(0.6), 'ACTIVE')


def test_a_short_blackout_resumes_at_once():
    log = drive(4.0, lambda name, t: 2.0 < t < 2.5)
    assert log[2.4][0] == 0
    assert min(t for t, (speed, _) in log.items() if t > 2.5 and speed > 0) - 2.5 < 0.2


def test_a_ros_clock_that_jumps_back_stops_the_robot_on_the_steady_clock():
    log = drive(6.0, lambda name, t: False, lambda t: t if t < 2.0 else t - 1.9)
    stopped = [t for t, (speed, _) in log.items() if t > 2.0 and speed == 0]
    assert min(stopped) - 2.0 < 0.3
    assert 0.4 < max(stopped) - min(stopped) < 1.0
    assert log[5.5] == (pytest.approx(0.6), 'ACTIVE')


def test_a_ros_clock_that_stands_still_stops_nothing_but_the_policy():
    """A paused simulator: samples and ticks stop, the steady watchdog does not."""
    log = drive(4.0, lambda name, t: 2.0 < t < 3.0, lambda t: min(t, 2.0) + max(0.0, t - 3.0))
    assert all(speed == 0 for t, (speed, _) in log.items() if 2.2 <= t < 3.0)
    assert log[3.9][0] == pytest.approx(0.6)
