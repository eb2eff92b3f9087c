from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
import pytest

from liquidspike_ros.nodes.diagnostics import sensor_entry
from liquidspike_ros.nodes.topic_graph import Finding
from liquidspike_ros.robot import LidarSpec
from liquidspike_ros.sensing.synchronizer import SensorHealth

NOW = 10**12
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
GOOD = {'accepted': 50, 'last_arrival': NOW - 50_000_000}


@pytest.mark.parametrize(('required', 'problems', 'usable', 'health', 'rate', 'level', 'text'), [
    (False, (), 1, GOOD, 10.0, OK, '10.0 Hz'),
    (False, (), 1, GOOD, 5.0, WARN, 'expected 10 Hz'),
    (False, (), 0, {}, 0.0, WARN, 'no publisher'),
    (True, (), 0, {}, 0.0, ERROR, 'no publisher'),
    (False, ('/scan: got A from /b, expected C',), 0, {}, 0.0, ERROR, 'got A from /b'),
    (False, (), 1, {'dropped': 3, 'last_reason': 'ranges: empty'}, 0.0, ERROR, 'ranges: empty'),
    (False, (), 1, {**GOOD, 'last_arrival': NOW - 10**9, 'last_reason': 'stamp: 5 s in the future'},
     0.0, ERROR, 'in the future'),
    (False, (), 1, {**GOOD, 'zero_stamps': 50}, 10.0, WARN, '50 stamps of zero'),
    (False, (), 1, {**GOOD, 'last_arrival': NOW - 10**9}, 0.0, WARN, 'silent for 1.00 s'),
    (True, (), 1, {**GOOD, 'last_arrival': NOW - 10**9}, 0.0, ERROR, 'silent'),
    (False, (), 1, {**GOOD, 'frozen': True}, 10.0, WARN, 'frozen'),
])
def test_every_condition_of_a_sensor_has_its_level(
        required, problems, usable, health, rate, level, text) -> None:
    entry = sensor_entry('policy', 'robot', 'lidar', LidarSpec(required=required),
                         Finding('/scan', usable, problems), SensorHealth(**health), rate, NOW)
    assert entry.name == 'policy: lidar'
    assert entry.level == level
    assert text in entry.message


def test_the_qos_that_was_chosen_is_told() -> None:
    entry = sensor_entry('policy', 'robot', 'lidar', LidarSpec(), Finding('/scan', 1, ()),
                         SensorHealth(**GOOD), 10.0, NOW, reliability='reliable')
    assert {value.key: value.value for value in entry.values}['reliability'] == 'reliable'
