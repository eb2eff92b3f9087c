"""FAULTS rows 1–4 and 6–8 as timelines on the pure gate: what is fed in, what state comes out.

One letter is one control period (1/15 s). Fed in:
``k`` all well, ``n`` output or state not finite, ``-`` no policy result (it hangs), ``_`` nothing
at all (no sample either), ``o`` optional sensor masked, ``r`` required sensor masked, ``l`` LiDAR
silent, ``c`` camera silent, ``w`` IMU silent, ``f`` LiDAR frozen, ``j`` clock jumped, ``s`` slow
(this result took two periods), ``d`` disarm, ``a`` arm, ``z`` deactivate.

Out, the worst state within that period:
U unarmed, K driving, C capped, W warning, S stop, F fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import re

import numpy as np
import pytest

from liquidspike_ros.control.action import TickResult
from liquidspike_ros.control.safety import SafetyConfig, SafetyGate, STATES
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

ROBOT = RobotSpec()
SILENT = {'_': tuple(ROBOT.sensors), 'l': ('lidar',), 'c': ('camera',), 'w': ('imu',)}
PERIOD, WATCH = ROBOT.period, 0.01
LETTERS = dict(zip(STATES, 'UKCWSF', strict=True))


@dataclass
class Played:
    states: str = ''
    published: list[tuple[float, float]] = field(default_factory=list)  # (time, speed)
    reasons: list[str] = field(default_factory=list)


def hear(gate: SafetyGate, now: float, *, without: tuple[str, ...] = (), frozen: str = '') -> None:
    for name in ROBOT.sensors:
        if name not in without:
            gate.on_sample(now, name, frozen=name == frozen)


def play(story: str, robot: RobotSpec = ROBOT, armed: bool = True,
         config: SafetyConfig | None = None) -> Played:
    gate, played = SafetyGate(robot, config), Played()
    heard = dict.fromkeys(robot.sensors, -PERIOD)
    names = list(robot.sensors)

    def note(now, decision):
        assert np.isfinite(decision.command).all()
        assert (np.abs(decision.command) <= np.asarray(robot.command.scale) + 1e-9).all()
        if decision.publish:
            played.published.append((now, float(decision.command[0])))
        played.reasons.append(decision.reason)
        return LETTERS[decision.state]

    def feed(letter, now):
        if letter == 'd':
            return note(now, gate.disarm(now))
        if letter == 'z':
            return note(now, gate.deactivate(now))
        if letter == 'a':
            gate.arm(now)
        if letter == '-':
            return note(now, gate.watchdog(now))
        masked = {'o': ['audio'], 'r': ['lidar'], 'f': ['lidar']}.get(letter, [])
        masked += [n for n in names if now - heard[n] > robot.sensors[n].max_age]
        obs = Observation(stamp=0, dt=PERIOD * (2 if letter == 's' else 1), values={},
                          present={n: n not in masked for n in names},
                          age={n: now - heard[n] for n in names}, clock_jumped=letter == 'j')
        result = TickResult(np.array([1.0, 0.0]), letter != 'n')
        return note(now, gate.on_result(now, obs, result))

    if armed:
        hear(gate, -PERIOD)
        feed('k', -PERIOD)
        assert gate.arm(-PERIOD) == ''
    for i, letter in enumerate(story):
        start, worst = i * PERIOD, ''
        for step in range(round(PERIOD / WATCH)):
            now = start + step * WATCH
            silent = SILENT.get(letter, ())
            hear(gate, now, without=silent, frozen='lidar' if letter == 'f' else '')
            heard.update({n: now for n in names if n not in silent})
            first = step == 0 and letter not in '_-'
            state = feed(letter, now) if first else note(now, gate.watchdog(now))
            worst = max(worst, state, key=lambda s: 'UKCWSF'.index(s) if s else -1)
        played.states += worst
    return played


def story(*lines: str) -> pytest.param:
    fed, expected = lines
    return pytest.param(fed, expected, id=fed)


@pytest.mark.parametrize(('fed', 'expected'), [
    # 1: one bad result stops, the next good one drives; three within 10 s latch until disarmed
    story('kknkk',
          'KKSKK'),
    story('kknknkkkk-kknkkkk',
          'KKSKSKKKKSKKFFFFF'),
    story('n' + 'k' * 150 + 'nkn' + 'k',  # three, but over more than 10 s
          'S' + 'K' * 150 + 'SKS' + 'K'),
    story('nnnkkkdkakk',
          'SSFFFFUUKKK'),
    # 2: a result that does not come is noticed after 100 ms, and the robot drives on afterwards
    story('kkk---kk',
          'KKKSSSKK'),
    # 4: sensors masked: an optional one caps the speed, a required one stops
    story('kkookk',
          'KKCCKK'),
    story('kkrrkk',
          'KKSSKK'),
    story('kkk___kkk',
          'KKKSSSKKK'),
    # 4: a silent one is held to its max age (200 ms, IMU 100 ms); C: slowing down before that
    story('kkkllllkk',
          'KKKKCCSKK'),
    story('kkkcccckk',
          'KKKKCCSKK'),
    story('kkkwwwwkk',
          'KKKKKCCKK'),
    # 4: frozen is masked
    story('kkkffkk',
          'KKKSSKK'),
    # 6: after a clock jump ten healthy ticks in a row
    story('kkj' + 'k' * 12,
          'KKS' + 'S' * 9 + 'KKK'),
    story('kkjkkkr' + 'k' * 12,
          'KKSSSSS' + 'S' * 9 + 'KKK'),
    # 8: deactivated: nothing but an explicit arm brings it back
    story('kkzkkkakk',
          'KKUUUUKKK'),
    story('kkdkkkk',
          'KKUUUUU'),
])
def test_timeline(fed, expected):
    assert play(fed).states == expected


def test_unarmed_nothing_is_ever_published():
    played = play('kkknnnrro__--jkkk', armed=False)
    assert set(played.states) <= {'U', 'F'}
    assert played.published == []


def test_row_1_no_command_comes_from_a_bad_result():
    """The speed only falls from the bad result on, and the reason says why."""
    played = play('k' * 10 + 'n-')
    after = [speed for now, speed in played.published if now >= 10 * PERIOD]
    assert after[0] <= 0.6
    assert (np.diff(after) <= 0).all()
    assert after[-1] == 0
    assert 'policy: output or state is not finite' in played.reasons


def test_row_2_the_watchdog_streams_zeros_and_says_why():
    played = play('k' * 10 + '----')
    last_result = 9 * PERIOD
    stopped = [now for now, speed in played.published if speed == 0]
    assert min(stopped) - last_result < 0.2
    streamed = [now for now in stopped if now > 12 * PERIOD]
    assert np.diff(streamed).max() < 0.05
    assert 'no policy result for 0.1 s' in played.reasons


@pytest.mark.parametrize('offset', ['', 'k', 'kk'])
def test_all_sensors_cut_gives_zero_within_200_ms_from_full_speed(offset):
    played = play('k' * 10 + offset + '____')
    cut = (10 + len(offset)) * PERIOD - WATCH  # the last sample
    before = [speed for now, speed in played.published if now <= cut]
    assert before[-1] == pytest.approx(0.6)
    assert min(now for now, speed in played.published if now > cut and speed == 0) - cut <= 0.2
    assert all(speed == 0 for now, speed in played.published if now > cut + 0.2)
    assert 'no sample from any sensor for 0.1 s' in played.reasons


def test_all_sensors_cut_while_the_policy_keeps_ticking_on_held_data():
    """Held data is still fresh for the masks; silence alone stops the robot."""
    gate = SafetyGate(ROBOT)
    names = list(ROBOT.sensors)
    obs = Observation(stamp=0, dt=PERIOD, values={}, present=dict.fromkeys(names, True),
                      age=dict.fromkeys(names, 0.0))
    speeds = {}
    for step in range(200):
        now = step * WATCH
        if now <= 1.0:
            hear(gate, now)
        decision = gate.watchdog(now)
        if step % 7 == 0:
            decision = gate.on_result(now, obs, TickResult(np.array([1.0, 0.0]), True))
            gate.arm(now)
        speeds[now] = decision.command[0]
    assert speeds[1.0] == pytest.approx(0.6)
    assert all(speed == 0 for now, speed in speeds.items() if now >= 1.2)


def test_row_3_single_late_results_are_no_overload():
    fed = ('k' * 7 + 's') * 6
    assert set(play(fed).states) == {'K'}


def test_row_3_overload_is_warned_of_for_a_second_and_then_stops():
    played = play('k' * 15 + 's' * 25)
    assert re.fullmatch(r'K{18,19}W{15}S+', played.states)
    assert 'overload: more than 20% of deadlines missed' in played.reasons


def test_row_3_overload_ends_when_the_policy_keeps_up_again():
    played = play('k' * 15 + 's' * 30 + 'k' * 30)
    assert played.states[40] == 'S'
    assert played.states.endswith('K' * 10)


def test_row_3_who_cannot_keep_up_is_not_armed():
    fed = 's' * 8 + 'a' + 'k' * 15 + 'ak'
    assert play(fed, armed=False).states == 'U' * 24 + 'KK'


def test_row_7_a_second_publisher_bars_arming():
    gate = SafetyGate(ROBOT)
    names = list(ROBOT.sensors)
    hear(gate, 0.0)
    gate.on_result(0.0, Observation(stamp=0, dt=PERIOD, values={}, age=dict.fromkeys(names, 0.0),
                                    present=dict.fromkeys(names, True)),
                   TickResult(np.zeros(2), True))
    assert '2 other publisher(s)' in gate.arm(0.0, other_publishers=2)
    assert not gate.armed
    assert gate.arm(0.0, other_publishers=0) == ''


def test_row_8_zero_is_the_last_thing_published():
    played = play('k' * 10 + 'zkkkk')
    assert played.published[-1] == (pytest.approx(10 * PERIOD), 0.0)


def test_time_going_backwards_harms_nothing():
    """A steady clock does not go back; should it, the gate neither raises nor speeds up."""
    gate = SafetyGate(ROBOT)
    names = list(ROBOT.sensors)
    obs = Observation(stamp=0, dt=PERIOD, values={}, present=dict.fromkeys(names, True),
                      age=dict.fromkeys(names, 0.0))
    result = TickResult(np.array([1.0, 0.0]), True)
    speed = 0.0
    for now in (0.0, 0.05, 0.1, 0.02, 0.0, -5.0, -4.99):
        hear(gate, now)
        decision = gate.on_result(now, obs, result)
        gate.arm(now)
        assert decision.command[0] - speed <= 0.1 * 1.5 + 1e-9
        speed = decision.command[0]
