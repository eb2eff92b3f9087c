from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liquidspike_ros.sensing.schedule import TickSchedule

MS = 1_000_000
PERIOD = 100 * MS


def play(robot, samples, until, step=1):
    """Ticks in ms of a node whose timer looks every ``step`` ms; samples as (ms, sensor)."""
    schedule, ticks = TickSchedule(robot), []
    events = [(ms, 1, sensor) for ms, sensor in samples]
    events += [(ms, 0, '') for ms in range(0, until + 1, step)]
    for ms, _, sensor in sorted(events):
        while (tick := schedule.on_time(ms * MS)) is not None:
            ticks.append(tick / MS)
        if sensor and (tick := schedule.on_sample(sensor, ms * MS, ms * MS)) is not None:
            ticks.append(tick / MS)
    return ticks


def camera(*times):
    return [(ms, 'camera') for ms in times]


def imu(start, stop):
    return [(ms, 'imu') for ms in range(start, stop, 10)]


def test_trigger_makes_the_tick_at_its_arrival(robot):
    assert play(robot, camera(5, 104, 207, 303), 350) == [5, 104, 207, 303]


def test_other_sensors_make_none(robot):
    assert play(robot, imu(0, 100), 100) == []


def test_nothing_ticks_before_the_first_sample(robot):
    assert play(robot, [], 500) == []


def test_late_trigger_is_replaced_by_the_clock_and_taken_up_again(robot):
    ticks = play(robot, camera(0, 100, 340, 440) + imu(0, 500), 500)
    assert ticks == [0, 100, 225, 325, 440]  # 340 belongs to the tick after 325


def test_dead_trigger_from_the_start_blocks_nothing(robot):
    assert play(robot, imu(50, 600), 600) == [175, 275, 375, 475, 575]


@pytest.mark.parametrize('phase', range(0, 100, 7))
def test_returning_trigger_is_in_phase_again_after_three_ticks(robot, phase):
    times = [1000 + phase + 100 * k for k in range(8)]
    ticks = play(robot, camera(0, *times) + imu(0, 1800), 1800)
    assert ticks[-5:] == times[-5:]
    assert max(np.diff(ticks)) <= 125


@pytest.mark.parametrize('step', [1, 7, 33])
def test_timer_jitter_changes_no_tick(robot, step):
    samples = camera(0, 100, 340, 440, 900) + imu(0, 1000)
    assert play(robot, samples, 1000, step) == play(robot, samples, 1000)


def test_fast_trigger_is_thinned_to_the_control_rate(robot):
    ticks = play(robot, camera(*range(0, 2000, 50)), 2000)
    assert set(np.diff(ticks)) == {100}


def test_flooding_trigger_ticks_at_most_at_one_and_a_half_times_the_rate(robot):
    ticks = play(robot, camera(*range(0, 2000, 10)), 2000)
    assert min(np.diff(ticks)) >= 70


def test_silence_of_everything_ends_the_ticks_after_a_second(robot):
    ticks = play(robot, camera(0, 100), 5000)
    assert ticks[-1] <= 1100
    assert len(ticks) > 9


def test_backward_jump_starts_again(robot):
    schedule = TickSchedule(robot)
    assert schedule.on_sample('camera', 0, 5000 * MS) == 5000 * MS
    assert schedule.on_sample('camera', 0, 1000 * MS) == 1000 * MS
    assert schedule.on_time(1100 * MS) is None
    assert schedule.on_time(1125 * MS) == 1125 * MS


def test_plain_clock(robot):
    ticks = play(replace(robot, trigger='timer'), camera(*range(20, 600, 90)), 600)
    assert ticks == [120, 220, 320, 420, 520]


def test_reset_waits_for_a_sample_again(robot):
    schedule = TickSchedule(robot)
    schedule.on_sample('imu', 0, 0)
    schedule.reset()
    assert schedule.on_time(10 * PERIOD) is None
