"""The gate's calls one by one; whole stories are told in test/faults."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest

from liquidspike_ros.control.action import TickResult
from liquidspike_ros.control.safety import (
    ACTIVE,
    CAPPED,
    SafetyConfig,
    SafetyError,
    SafetyGate,
    STOP,
    UNARMED,
)
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

ROBOT = RobotSpec()
PERIOD = ROBOT.period


def seen(*masked, dt=PERIOD, jumped=False):
    names = list(ROBOT.sensors)
    return Observation(stamp=0, dt=dt, values={}, present={n: n not in masked for n in names},
                       age=dict.fromkeys(names, 0.01), clock_jumped=jumped)


def gives(v=1.0, w=0.0, finite=True):
    return TickResult(np.array([v, w]), finite)


def hear(gate, now, without=(), **options):
    for name in ROBOT.sensors:
        if name not in without:
            gate.on_sample(now, name, **options)


def tick(gate, now, obs=None, result=None, **options):
    hear(gate, now)
    return gate.on_result(now, obs or seen(), result or gives(), **options)


@pytest.fixture
def gate():
    gate = SafetyGate(ROBOT)
    tick(gate, 0.0)
    assert gate.arm(0.0) == ''
    return gate


def test_starts_unarmed_and_publishes_nothing():
    gate = SafetyGate(ROBOT)
    decision = tick(gate, 0.0)
    assert decision.state == UNARMED
    assert not decision.publish
    assert not gate.watchdog(0.05).publish
    assert (decision.command == 0).all()


class TestArming:
    def test_refused_before_any_sample_naming_every_sensor(self):
        assert SafetyGate(ROBOT).arm(0.0) == (
            'camera: no sample yet; imu: no sample yet; lidar: no sample yet; audio: no sample yet')

    def test_refused_before_any_result(self):
        gate = SafetyGate(ROBOT)
        hear(gate, 0.0)
        assert 'no policy result' in gate.arm(0.0)

    def test_refused_when_the_last_result_is_old(self):
        gate = SafetyGate(ROBOT)
        tick(gate, 0.0)
        hear(gate, 0.15)
        assert 'no policy result for 0.1 s' in gate.arm(0.15)

    def test_refused_while_all_sensors_are_masked(self):
        gate = SafetyGate(ROBOT)
        tick(gate, 0.0, seen(*ROBOT.sensors))
        assert gate.arm(0.0).startswith('camera: required sensor masked')

    def test_refused_while_one_is_missing_unless_waived(self):
        gate, tolerant = (SafetyGate(ROBOT, SafetyConfig(arm_without=names))
                          for names in ((), ('audio',)))
        for each in (gate, tolerant):
            hear(each, 0.0, without=('audio',))
            each.on_result(0.0, seen('audio'), gives())
        assert gate.arm(0.0) == 'audio: no sample yet'
        assert tolerant.arm(0.0) == ''
        assert tolerant.watchdog(0.01).state == CAPPED

    def test_refused_with_the_figure_of_what_is_late_or_frozen(self):
        gate = SafetyGate(ROBOT)
        hear(gate, 0.0)
        hear(gate, 0.3, without=('imu', 'lidar'))
        gate.on_sample(0.3, 'lidar', frozen=True)
        assert gate.arm(0.3) == (
            'imu: silent for 0.30 s, expected a sample younger than 0.1 s; '
            'lidar: frozen: the same payload for over 0.5 s of moving')

    def test_a_waiver_of_an_unknown_name_is_refused(self):
        with pytest.raises(SafetyError, match=r"arm_without: got 'sonar', expected some of camera"):
            SafetyGate(ROBOT, SafetyConfig(arm_without=('sonar',)))

    def test_refused_where_nothing_sees_outside_unless_waived(self):
        blind = replace(ROBOT, trigger='imu', camera=replace(ROBOT.camera, enabled=False),
                        lidar=replace(ROBOT.lidar, enabled=False))
        obs = replace(seen(), present={'imu': True, 'audio': True}, age={'imu': 0, 'audio': 0})
        for names, refusal in (((), 'no enabled sensor sees'), (('outside',), '')):
            gate = SafetyGate(blind, SafetyConfig(arm_without=names))
            for name in blind.sensors:
                gate.on_sample(0.0, name)
            gate.on_result(0.0, obs, gives())
            assert gate.arm(0.0).startswith(refusal)
            assert gate.armed is not bool(refusal)

    def test_refused_with_another_publisher_unless_allowed(self):
        gate, tolerant = (SafetyGate(ROBOT, SafetyConfig(allow_other_publishers=allow))
                          for allow in (False, True))
        tick(gate, 0.0)
        tick(tolerant, 0.0)
        assert 'cmd_vel: 1 other publisher' in gate.arm(0.0, other_publishers=1)
        assert tolerant.arm(0.0, other_publishers=1) == ''

    def test_refused_after_a_result_that_is_not_finite(self):
        gate = SafetyGate(ROBOT)
        tick(gate, 0.0, result=gives(finite=False))
        assert 'not finite' in gate.arm(0.0)

    def test_arming_twice_changes_nothing(self, gate):
        tick(gate, PERIOD)
        assert gate.arm(PERIOD) == ''
        assert gate.watchdog(PERIOD).command[0] > 0


class TestDriving:
    def test_each_result_is_published_once(self, gate):
        assert tick(gate, PERIOD).publish
        assert not gate.watchdog(PERIOD + 0.01).publish

    def test_acceleration_is_limited_by_true_elapsed_time(self, gate):
        first = tick(gate, 0.05).command[0]
        gate.watchdog(0.07)  # looking does not drive
        second = tick(gate, 0.13).command[0]
        assert (first, second) == pytest.approx((0.05 * 1.5, 0.13 * 1.5))

    def test_a_long_pause_gives_no_long_run_up(self, gate):
        slow = SafetyGate(ROBOT, SafetyConfig(watchdog=1.0, silence_timeout=2.0))
        tick(slow, 0.0)
        slow.arm(0.0)
        assert tick(slow, 0.9).command[0] == pytest.approx(0.6)
        assert tick(gate, 30.0).command[0] == pytest.approx(0.1 * 1.5)

    def test_limits_hold_whatever_the_policy_wants(self, gate):
        for k in range(1, 30):
            decision = tick(gate, k * PERIOD, result=gives(99.0, -99.0))
        assert decision.command.tolist() == [0.6, -2.0]
        assert decision.state == ACTIVE
        assert decision.reason == ''

    def test_braking_has_its_own_limit(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        slower = tick(gate, 20 * PERIOD, result=gives(0.0)).command[0]
        assert slower == pytest.approx(0.6 - 2.5 * PERIOD)

    def test_optional_sensor_masked_caps_the_speed_under_the_braking_limit(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        decision = tick(gate, 20 * PERIOD, seen('audio'))
        assert decision.state == CAPPED
        assert decision.reason == 'audio masked'
        assert decision.command[0] == pytest.approx(0.6 - 2.5 * PERIOD)
        assert tick(gate, 21 * PERIOD, seen('audio')).command[0] == pytest.approx(0.3)
        assert tick(gate, 22 * PERIOD).state == ACTIVE

    def test_the_cap_of_other_actions_lies_around_their_safe_value(self):
        arm = replace(ROBOT.command, kind='float64_multi_array', names=('joint',), lower=(0.0,),
                      upper=(4.0,), safe=(1.0,), max_acceleration=(100.0,),
                      max_deceleration=(100.0,), stop_deceleration=(100.0,))
        gate = SafetyGate(replace(ROBOT, command=arm))
        result = TickResult(np.array([1.0]), True)
        tick(gate, 0.0, result=result)
        gate.arm(0.0)
        assert tick(gate, 0.06, seen('audio'), result).command[0] == pytest.approx(2.5)


class TestSensorsBetweenTicks:
    """Ages are judged whenever the watchdog looks, whatever the last tick has seen."""

    def drive(self, gate, until):
        for k in range(1, round(until / PERIOD)):
            tick(gate, k * PERIOD)
        return k * PERIOD

    def test_a_required_sensor_that_went_is_noticed_without_a_tick(self, gate):
        now = self.drive(gate, 1.0)
        for step in range(1, 30):
            hear(gate, now + step * 0.01, without=('lidar',))
            gate._result_at = now + step * 0.01  # results go on
            decision = gate.watchdog(now + step * 0.01)
            if step == 10:
                assert decision.state == ACTIVE
            if step == 20:
                assert (decision.command == 0).all(), 'it stands before the sensor is too old'
        assert decision.state == STOP
        assert decision.reason.startswith('lidar: required sensor silent for 0.29 s')

    def test_optional_eyes_may_go_one_by_one_but_not_all(self):
        robot = replace(ROBOT, camera=replace(ROBOT.camera, required=False),
                        lidar=replace(ROBOT.lidar, required=False))
        gate = SafetyGate(robot)
        tick(gate, 0.0)
        assert gate.arm(0.0) == ''
        assert tick(gate, 0.06, seen('camera')).state == CAPPED
        decision = tick(gate, 0.12, seen('camera', 'lidar'))
        assert decision.state == STOP
        assert decision.reason == 'nothing that sees outside is alive (camera, lidar)'
        for step in range(30):
            hear(gate, 0.2 + step / 100, without=('camera', 'lidar'))
        assert gate.watchdog(0.5).reason == 'nothing that sees outside is alive (camera, lidar)'

    def test_all_that_sees_may_be_waived_by_name(self):
        gate = SafetyGate(ROBOT, SafetyConfig(arm_without=('camera', 'lidar')))
        hear(gate, 0.0, without=('camera', 'lidar'))
        gate.on_result(0.0, seen('camera', 'lidar'), gives())
        assert gate.arm(0.0) == ''
        assert gate.watchdog(0.01).state == CAPPED

    def test_data_that_got_stale_while_the_policy_was_slow_moves_nothing(self, gate):
        self.drive(gate, 0.5)
        old = replace(seen(), age=dict.fromkeys(ROBOT.sensors, 0.15))
        decision = tick(gate, 0.5, old, latency=0.06)
        assert decision.state == STOP
        assert 'age 0.21 s by the time of the result' in decision.reason

    def test_a_constant_lag_within_the_max_age_slows_nothing_down(self, gate):
        gate.reset()
        for step in range(1, 300):
            for name, every in {'camera': 6, 'imu': 1, 'lidar': 10, 'audio': 2}.items():
                if step % every == 0:
                    gate.on_sample(step / 100, name, 0.08)
            if step == 20:
                assert gate.arm(0.2) == ''
            if step % 6 == 0:
                decision = gate.on_result(step / 100, seen(), gives())
            gate.watchdog(step / 100)
        assert decision.state == ACTIVE
        assert decision.command[0] == pytest.approx(0.6)

    def test_a_waived_sensor_that_is_there_counts_as_optional(self):
        gate = SafetyGate(ROBOT, SafetyConfig(arm_without=('lidar',)))
        tick(gate, 0.0)
        assert gate.arm(0.0) == ''
        assert tick(gate, 0.06).state == ACTIVE
        assert tick(gate, 0.12, seen('lidar')).state == CAPPED
        gate.waive(())
        assert tick(gate, 0.18, seen('lidar')).state == STOP


class TestOnStop:
    ARM = {'kind': 'float64_multi_array', 'names': ('joint',), 'lower': (-4.0,), 'upper': (4.0,),
           'safe': (1.0,), 'max_acceleration': (100.0,), 'max_deceleration': (100.0,),
           'stop_deceleration': (100.0,)}

    def stopped(self, on_stop, **changes):
        command = replace(ROBOT.command, **{**self.ARM, 'on_stop': on_stop, **changes})
        gate = SafetyGate(replace(ROBOT, command=command))
        result = TickResult(np.array([0.75]), True)
        tick(gate, 0.0, result=result)
        assert gate.arm(0.0) == ''
        before = gate.watchdog(0.01)
        for k in range(1, 10):
            tick(gate, k * PERIOD, result=result)
        decisions = [gate.watchdog(9 * PERIOD + 0.2 + step / 50) for step in range(20)]
        return before, decisions[-1], gate.deactivate(2.0)

    @pytest.mark.parametrize(('on_stop', 'rest'), [('safe', 1.0), ('zero', 0.0), ('hold', 3.0)])
    def test_it_ends_where_the_robot_file_says(self, on_stop, rest):
        _, stopped, last = self.stopped(on_stop)
        assert stopped.state == STOP
        assert stopped.publish
        assert stopped.command.tolist() == last.command.tolist() == [rest]

    def test_a_robot_that_holds_is_sent_nothing_before_its_first_result(self):
        command = replace(ROBOT.command, **{**self.ARM, 'on_stop': 'hold'})
        gate = SafetyGate(replace(ROBOT, command=command))
        tick(gate, 0.0, result=TickResult(np.array([0.75]), True))
        gate.arm(0.0)
        assert not gate.watchdog(0.01).publish
        assert not gate.watchdog(0.5).publish
        assert not gate.deactivate(0.6).publish

    def test_twists_end_in_zero_whatever_safe_says(self):
        command = replace(ROBOT.command, safe=(0.3, 0.5))
        gate = SafetyGate(replace(ROBOT, command=command))
        tick(gate, 0.0)
        gate.arm(0.0)
        tick(gate, 0.06)
        assert gate.watchdog(1.0).command.tolist() == [0.0, 0.0]
        assert gate.deactivate(1.1).command.tolist() == [0.0, 0.0]


class TestLowerLimits:
    def test_they_hold_from_the_next_result_on(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        gate.lower_limits((-0.1, -1.0), (0.2, 1.0))
        for k in range(20, 30):
            command = tick(gate, k * PERIOD, result=gives(1.0, -1.0)).command
        assert command.tolist() == pytest.approx([0.2, -1.0])

    @pytest.mark.parametrize(('lower', 'upper'), [
        ((-0.2, -2.0), (0.7, 2.0)), ((-0.3, -2.0), (0.6, 2.0)), ((0.1, -2.0), (0.6, 2.0)),
        ((-0.2, -2.0), (math.nan, 2.0)), ((-0.2,), (0.6,))])
    def test_they_only_go_down_and_leave_room_for_a_stop(self, gate, lower, upper):
        with pytest.raises(SafetyError, match='command limits'):
            gate.lower_limits(lower, upper)


def test_a_failure_outside_the_policy_latches_at_rest(gate):
    for k in range(1, 20):
        tick(gate, k * PERIOD)
    decision = gate.trip('watchdog: RuntimeError: broken')
    assert (decision.state, decision.publish) == ('FAULT', True)
    assert (decision.command == 0).all()
    assert tick(gate, 20 * PERIOD).state == 'FAULT'
    gate.disarm(21 * PERIOD)
    tick(gate, 21 * PERIOD)
    assert gate.arm(21 * PERIOD) == ''


class TestStopping:
    def test_a_stop_streams_zeros_with_every_call(self, gate):
        decision = gate.watchdog(0.2)
        assert decision.state == STOP
        assert decision.publish
        assert gate.watchdog(0.22).publish

    def test_a_stop_brakes_from_where_it_was_seen(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        now = 19 * PERIOD
        gate.watchdog(now + 0.09)
        assert gate.watchdog(now + 0.11).command[0] == pytest.approx(0.6 - 10 * 0.02)

    def test_required_sensor_stops_and_optional_one_does_not(self, gate):
        assert tick(gate, 0.06, seen('imu')).state == CAPPED
        decision = tick(gate, 0.12, seen('lidar'))
        assert decision.state == STOP
        assert decision.reason.startswith('lidar: required sensor masked')
        assert tick(gate, 0.18).state == ACTIVE

    def test_disarm_brakes_streams_zeros_and_falls_silent(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        now = 19 * PERIOD
        first = gate.disarm(now + 0.01)
        assert first.state == UNARMED
        assert first.publish
        assert 0 < first.command[0] < 0.6
        assert gate.watchdog(now + 0.1).publish
        last = gate.watchdog(now + 0.3)
        assert last.publish
        assert (last.command == 0).all()
        assert not gate.watchdog(now + 0.31).publish

    @pytest.mark.parametrize('quiet_after', [0.0, 0.2])
    def test_a_disarmed_robot_that_brakes_for_long_is_still_told_zero(self, quiet_after):
        slow = replace(ROBOT, command=replace(ROBOT.command, stop_deceleration=(0.5, 5.0)))
        gate = SafetyGate(slow, SafetyConfig(quiet_after=quiet_after))
        tick(gate, 0.0)
        assert gate.arm(0.0) == ''
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        decisions = [gate.disarm(19 * PERIOD)]
        decisions += [gate.watchdog(19 * PERIOD + step * 0.01) for step in range(1, 200)]
        sent = [decision.command[0] for decision in decisions if decision.publish]
        assert len(sent) > 100
        assert sent[-1] == 0
        assert sent.count(0) == pytest.approx(1 + quiet_after / 0.01, abs=1)

    def test_deactivation_is_zero_at_once(self, gate):
        for k in range(1, 20):
            tick(gate, k * PERIOD)
        decision = gate.deactivate(19 * PERIOD)
        assert decision.publish
        assert (decision.command == 0).all()
        assert not gate.armed
        assert not gate.watchdog(19 * PERIOD).publish


def test_a_nan_action_is_caught_even_if_called_finite(gate):
    decision = tick(gate, PERIOD, result=gives(math.nan))
    assert decision.state == STOP
    assert np.isfinite(decision.command).all()


def test_timeouts_follow_slow_robots_by_themselves():
    slow = SafetyGate(replace(ROBOT, rate=10.0))
    assert slow.watchdog_timeout == pytest.approx(0.15)
    single = replace(ROBOT, trigger='lidar', camera=replace(ROBOT.camera, enabled=False),
                     imu=replace(ROBOT.imu, enabled=False),
                     audio=replace(ROBOT.audio, enabled=False))
    assert SafetyGate(single).silence_timeout == pytest.approx(0.2)
    assert (SafetyGate(ROBOT).watchdog_timeout, SafetyGate(ROBOT).silence_timeout) == (0.1, 0.1)


@pytest.mark.parametrize(('setting', 'value'), [
    ('watchdog', -0.1), ('optional_speed_cap', 1.1), ('overload_share', -1), ('fault_count', 0),
    ('rearm_ticks', -1), ('silence_timeout', math.nan)])
def test_row_19_settings_out_of_range_are_named(setting, value):
    with pytest.raises(SafetyError, match=f'safety.{setting}: got .*, expected '):
        SafetyConfig(**{setting: value})


def test_row_19_a_watchdog_below_the_period_is_refused():
    with pytest.raises(SafetyError, match=r'safety\.watchdog: got 0\.05, expected more than a con'):
        SafetyGate(ROBOT, SafetyConfig(watchdog=0.05))
