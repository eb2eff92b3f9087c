"""What the figures of a recording say of its units, its labels and its sensors."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from liquidspike_ros.robot import CommandSpec, RobotSpec
from liquidspike_ros.sensing.synchronizer import SensorHealth
from liquidspike_ros.training.bags import Event
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.recording_facts import (
    AudioMeter,
    disagreements,
    imu_facts,
    label_problems,
    refusals,
)

TURNS = np.sin(np.arange(100) / 5)


def imu(gravity, turn):
    return np.c_[np.zeros((100, 2)), turn, np.tile(gravity, (100, 1))]


@pytest.mark.parametrize(('gravity', 'turn', 'words'), [
    ((0, 0, 9.8), TURNS, ''),
    ((9.8, 0, 0), TURNS, ''),              # mounted on its side is a mounting
    ((0, 0, 0.99), TURNS, 'in g?'),
    ((0, 0, 0.0), TURNS, 'with gravity in it'),
    ((0, 0, 40.0), TURNS, 'averages 40.00'),
    ((0, 0, -9.8), TURNS, 'upside down'),
    ((0, 0, -1.0), TURNS, 'in g?; imu: z averages -1.00: upside down'),
    ((0, 0, 9.8), TURNS * 57.3, 'in °/s?'),
    ((0, 0, 9.8), -TURNS, 'z points down?'),
    ((0, 0, 9.8), TURNS * 0.8, ''),
])
def test_units_and_mounting_of_an_imu(gravity, turn, words):
    facts, problems = imu_facts(imu(gravity, turn), TURNS)
    assert words in '; '.join(problems)
    assert bool(problems) == bool(words)
    assert facts['gravity'] == pytest.approx(list(gravity), abs=1e-3)


def test_degrees_show_without_any_command():
    assert 'in °/s?' in imu_facts(imu((0, 0, 9.8), TURNS * 57.3), None)[1][0]


def test_a_few_ticks_are_no_judgement():
    assert imu_facts(imu((0, 0, 1.0), TURNS)[:5], None) == ({}, [])


def test_recordings_of_one_robot_that_disagree():
    up, down, side = ({'gravity': g} for g in ((0, 0, 9.8), (0, 0, -9.8), (9.8, 0, 0.1)))
    assert disagreements({'a': up, 'b': up, 'c': side, 'd': {}}) == []
    (line,) = disagreements({'a': up, 'b': down, 'c': up})
    assert '1 of 3 recordings (b)' in line
    assert '(b)' in disagreements({'a': up, 'b': down})[0]


def test_labels_beyond_the_limits_are_counted_once_each():
    used = np.array([[0.3, 0.0], [0.7, 0.0], [0.9, 3.0], [0.6, 2.0]])
    facts, problems = label_problems([], used, np.ones(4), CommandSpec(), DataConfig())
    assert facts['clipped'] == 0.5
    assert facts['range'] == {'linear.x': [0.3, 0.9], 'angular.z': [0.0, 3.0]}
    assert problems == ['labels: 50% beyond the limits of the robot file, clipped (linear.x 0.3 '
                        'to 0.9, limits -0.2 to 0.6, angular.z 0 to 3, limits -2 to 2)']


def test_refusals_carry_the_reason_and_its_count():
    reader = SimpleNamespace(
        report=SimpleNamespace(choice=SimpleNamespace(sensors={('/scan', 'T'): 'lidar'})),
        rejected=Counter({'/scan': 2}), reasons={'/scan': 'cut short'})
    health = {'lidar': SensorHealth(accepted=1, dropped=7, reasons={'stamp: old': 5, 'data: x': 2}),
              'imu': SensorHealth(accepted=9)}
    assert refusals(reader, health) == {
        'lidar': '9 of 10 refused: 5 × stamp: old; 2 × data: x; 2 × not decoded (cut short)'}
    health = {'lidar': SensorHealth(dropped=40, reasons={'stamp: 4280 s': 40})}
    reader.rejected.clear()
    assert refusals(reader, health) == {'lidar': '40 of 40 refused: stamp: 4280 s'}


@pytest.mark.parametrize(('kind', 'size', 'rate'), [
    ('std_msgs/msg/Int16MultiArray', 640, 16000), ('audio_common_msgs/msg/AudioData', 1280, 16000),
    ('audio_common_msgs/msg/AudioData', 640, 8000)])
def test_the_rate_of_audio_is_measured_over_gaps(kind, size, rate):
    meter = AudioMeter(RobotSpec())
    times = [k * 20_000_000 for k in range(100)] + [5 * 10**9 + k * 20_000_000 for k in range(100)]
    events = [Event(t, 'audio', kind, SimpleNamespace(data=bytes(size))) for t in times]
    assert list(meter.watch(events)) == events
    assert meter.rates() == {'audio': rate}
    assert bool(meter.problems()) == (rate != 16000)
