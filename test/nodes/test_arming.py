"""What an operator reads when arming is refused."""

from __future__ import annotations

import pytest

from liquidspike_ros.nodes.arming import (
    arming_refusal,
    ClockFacts,
    LONGEST,
    Missing,
    why_not_alive,
)
from liquidspike_ros.nodes.topic_graph import Finding
from liquidspike_ros.robot import LidarSpec
from liquidspike_ros.sensing.synchronizer import SensorHealth

SPEC = LidarSpec()
HERE, NOBODY = Finding('/scan', 1, ()), Finding('/scan', 0, ())
OTHER = Finding('/scan', 0, ('/scan: got std_msgs/msg/String from /x, expected LaserScan',))
BASE = Finding('/cmd_vel', 1, ())
OLD = {'dropped': 35, 'last_refusal': 9, 'lag': 1699.5,
       'last_reason': 'stamp: 1699.500 s old on arrival, expected at most max_age 0.2'}
WALL, SIM = ClockFacts(simulated=False, published=False), ClockFacts(simulated=True, published=True)


@pytest.mark.parametrize(('finding', 'health', 'clock', 'words'), [
    (NOBODY, {}, WALL, ['/scan: no publisher, expected sensor_msgs/msg/LaserScan']),
    (OTHER, {}, WALL, ['got std_msgs/msg/String from /x']),
    (HERE, {}, WALL, ['/scan: no sample yet']),
    (HERE, OLD, WALL, ['35 of 35 refused: stamp: 1699.500 s old', 'synchronise the clocks']),
    (HERE, OLD, ClockFacts(simulated=False, published=True), ['set use_sim_time:=true']),
    (HERE, OLD, ClockFacts(simulated=True, published=False), ['nobody publishes /clock']),
    (HERE, {**OLD, 'lag': -3.0}, SIM, ['synchronise the clocks']),
    (HERE, {'accepted': 9, 'last_arrival': 7, 'dropped': 1, 'last_reason': 'ranges: empty'}, WALL,
     ['no sample yet']),  # an old refusal is not why it is silent now
    (HERE, {'accepted': 9, 'dropped': 3, 'last_refusal': 9, 'last_reason': 'ranges: empty'}, WALL,
     ['3 of 12 refused: ranges: empty']),
])
def test_a_sensor_that_is_not_alive_has_its_reason_figure_and_remedy(finding, health, clock, words):
    text = str(why_not_alive(SPEC, finding, SensorHealth(**health), 'no sample yet', clock))
    for word in words:
        assert word in text


def test_a_sensor_that_is_alive_has_none():
    assert not why_not_alive(SPEC, HERE, SensorHealth(**OLD), '', WALL)


def test_samples_that_mean_something_else_are_a_reason_although_they_come():
    found = SensorHealth(accepted=900, finding='linear_acceleration: in g?')
    assert str(why_not_alive(SPEC, HERE, found, '', WALL)) == '/scan: linear_acceleration: in g?'


def refusal(sensors, listeners=BASE, waived=(), outside=('camera', 'lidar')):
    missing = {name: Missing(*why.split('|')) for name, why in sensors.items()}
    return arming_refusal(missing, listeners, frozenset(waived), lambda name: name in outside)


def test_all_dead_sensors_are_named_with_the_way_to_waive_them():
    text = refusal({'camera': '/image: no publisher', 'imu': '', 'lidar': '/scan: no sample yet'})
    assert text == ('camera: /image: no publisher; lidar: /scan: no sample yet '
                    '(waive by name: safety.arm_without: [camera, lidar])')
    assert refusal({'camera': '/image: no publisher', 'lidar': ''}, waived=['camera']) == ''


def test_what_has_a_remedy_is_not_offered_to_be_waived():
    text = refusal({'camera': 'stamp: 9 s old|set use_sim_time:=true', 'lidar': '/scan: none'})
    assert text.endswith('; set use_sim_time:=true (waive by name: safety.arm_without: [lidar])')
    text = refusal({'camera': 'stamp: 9 s old|set use_sim_time:=true', 'lidar': ''})
    assert 'waive' not in text


def test_a_remedy_that_helps_several_is_said_once():
    text = refusal({'camera': 'stamp: old|set use_sim_time', 'imu': '',
                    'lidar': 'stamp: older|set use_sim_time'})
    assert text == 'camera: stamp: old; lidar: stamp: older; set use_sim_time'


def test_nobody_who_listens_or_another_type_bars_arming():
    deaf = Finding('/cmd_vel', 0, ())
    wrong = Finding('/cmd_vel', 1, ('/cmd_vel: /base listens for TwistStamped, we send Twist',))
    assert '/cmd_vel: nobody listens' in refusal({'lidar': ''}, deaf)
    assert 'TwistStamped' in refusal({'lidar': ''}, wrong)
    assert refusal({'lidar': ''}, deaf, waived=['listener']) == ''


def test_blind_robots_need_a_waiver():
    assert 'no enabled sensor sees' in refusal({'imu': ''})
    assert refusal({'imu': ''}, waived=['outside']) == ''


def test_many_long_reasons_stay_one_readable_line():
    sensors = {f'sensor_{k}': f'/topic_{k}: ' + 'because ' * 50 for k in range(6)}
    text = refusal({**sensors, 'lidar': ''})
    assert len(text) <= LONGEST + 10
    assert all(name in text for name in sensors)
