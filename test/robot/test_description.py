from __future__ import annotations

import contextlib
import dataclasses
import math
from pathlib import Path

from hypothesis import given, HealthCheck, settings, strategies
import pytest

from liquidspike_ros.robot import load_robot, RobotError, RobotSpec

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('path', sorted((ROOT / 'config' / 'robots').glob('*.yaml')),
                         ids=lambda path: path.name)
def test_shipped_robot_files_load_and_survive_a_round_trip(path):
    robot = load_robot(path)
    assert RobotSpec.from_dict(robot.to_dict()) == robot


@pytest.mark.parametrize('word', ['inf', 'nan', '"inf"', 'nan,zero', 'zero'])
def test_what_no_return_looks_like_needs_no_quotes(tmp_path, word):
    """ROS and YAML take a bare inf or nan for a number."""
    path = tmp_path / 'robot.yaml'
    path.write_text('/**: {ros__parameters: {sensors: {lidar: {no_return: %s}}}}'
                    % (f'"{word}"' if ',' in word else word))
    assert load_robot(path).lidar.no_return == word.strip('"')


@pytest.mark.parametrize('path', sorted((ROOT / 'config' / 'robots').glob('*.yaml')),
                         ids=lambda path: path.name)
def test_what_sees_obstacles_is_required_by_every_shipped_file_and_by_default(path):
    for robot in (load_robot(path), RobotSpec.from_dict({})):
        for name, spec in robot.sensors.items():
            assert spec.sees_outside is (name in ('camera', 'lidar'))
            assert spec.required or not spec.sees_outside


def test_defaults_are_a_valid_robot():
    assert RobotSpec.from_dict({}) == RobotSpec()


def test_the_robot_file_to_start_from_is_the_default_robot():
    """The simulated one, whose sensors and limits are written out there to be copied."""
    robot = load_robot(ROOT / 'config' / 'robots' / 'beacon.yaml')
    assert dataclasses.replace(robot, name=RobotSpec().name) == RobotSpec()


def test_only_enabled_sensors_count_in_a_fixed_order():
    robot = RobotSpec.from_dict({'trigger': 'imu', 'sensors': {
        'audio': {}, 'imu': {}, 'camera': {'enabled': False}, 'lidar': {}}})
    assert list(robot.sensors) == ['imu', 'lidar', 'audio']


def test_shapes_of_observations():
    shapes = {name: spec.shape for name, spec in RobotSpec().sensors.items()}
    assert shapes == {'camera': (72, 96, 3), 'imu': (6, 16), 'lidar': (2, 180), 'audio': (2, 1600)}


def test_what_a_driver_writes_for_no_return_may_be_several_things():
    spec = RobotSpec.from_dict({'sensors': {'lidar': {'no_return': 'nan, zero'}}}).lidar
    assert spec.no_returns == {'nan', 'zero', 'inf'}
    assert RobotSpec().lidar.no_returns == {'inf'}


def test_lists_of_sensors_survive_a_round_trip_through_plain_types():
    robot = RobotSpec.from_dict({'sensors': {
        'imu': {'rotation': [0, 0, 1]},
        'lidar': {'type': 'sensor_msgs/msg/PointCloud2', 'transform': [0, 0, 0.2, 0, 0, 0]}}})
    plain = robot.to_dict()
    assert plain['sensors']['imu']['rotation'] == [0.0, 0.0, 1.0]
    assert RobotSpec.from_dict(plain) == robot


def test_scale_is_the_larger_limit():
    robot = RobotSpec.from_dict({'command': {'lower': [-1, -2], 'upper': [0.5, 2]}})
    assert robot.command.scale == (1.0, 2.0)
    assert robot.command.width == 2


@pytest.mark.parametrize(('values', 'message'), [
    ({'rat': 15}, r'rat: unknown key, expected one of .*rate'),
    ({'rate': 0}, r'^rate: got 0\.0, expected a number in \[0\.1, 1000\] Hz$'),
    ({'rate': math.nan}, r'rate: got nan'),
    ({'rate': '15'}, r"rate: got '15', expected float"),
    ({'rate': True}, r'rate: got True, expected float'),
    ({'trigger': 'sonar'}, r"trigger: got 'sonar', expected one of timer, camera"),
    ({'trigger': 'imu', 'sensors': {'imu': {'enabled': False}}}, r"trigger: got 'imu'"),
    ({'camera': {}}, r'camera: belongs under sensors'),
    ({'sensors': {'sonar': {}}}, r'sensors\.sonar: unknown sensor'),
    ({'sensors': []}, r'sensors: got list, expected a mapping'),
    ({'sensors': {name: {'enabled': False} for name in ('camera', 'imu', 'lidar', 'audio')}},
     r'sensors: .*at least one enabled'),
    ({'sensors': {'camera': {'width': 4}}}, r'sensors\.camera\.width: got 4'),
    ({'sensors': {'camera': {'width': 96.0}}}, r'sensors\.camera\.width: got 96\.0, expected int'),
    ({'sensors': {'camera': {'type': 'sensor_msgs/msg/Imu'}}}, r'sensors\.camera\.type: got'),
    ({'sensors': {'camera': {'topic': ''}}}, r'sensors\.camera\.topic'),
    ({'sensors': {'imu': {'max_age': math.inf}}}, r'sensors\.imu\.max_age: got inf'),
    ({'sensors': {'imu': {'max_frozen': -1}}}, r'sensors\.imu\.max_frozen: got -1'),
    ({'sensors': {'imu': {'reliability': 'best'}}},
     r"sensors\.imu\.reliability: got 'best', expected one of auto, reliable, best_effort"),
    ({'sensors': {'lidar': {'range_max': math.inf}}}, r'sensors\.lidar\.range_max'),
    ({'sensors': {'lidar': {'angle_max': 9.0}}}, r'sensors\.lidar\.angle_max: got 9\.0'),
    ({'sensors': {'lidar': {'z_max': -1.0}}}, r'sensors\.lidar\.z_max'),
    ({'sensors': {'audio': {'window': 1000}}}, r'sensors\.audio\.window: got 1000, .*1067'),
    ({'sensors': {'imu': {'acceleration_unit': 'mg'}}},
     r"sensors\.imu\.acceleration_unit: got 'mg', expected one of m/s2, g"),
    ({'sensors': {'imu': {'angular_velocity_unit': 'rpm'}}}, r'one of rad/s, deg/s'),
    ({'sensors': {'imu': {'rotation': [0, 0]}}}, r'sensors\.imu\.rotation: got \(0\.0, 0\.0\)'),
    ({'sensors': {'imu': {'rotation': [180, 0, 0]}}}, r'sensors\.imu\.rotation\[0\]: .* rad'),
    ({'sensors': {'imu': {'rotation': [math.nan, 0, 0]}}}, r'sensors\.imu\.rotation'),
    ({'sensors': {'lidar': {'no_return': 'zero,none'}}},
     r"sensors\.lidar\.no_return: got 'zero,none', expected one or more of inf, nan"),
    ({'sensors': {'lidar': {'transform': [0, 0, 1, 0, 0, 0]}}},
     r'sensors\.lidar\.transform: .* zeros where type is sensor_msgs/msg/LaserScan'),
    ({'sensors': {'lidar': {'transform': [0, 0, 1]}}}, r'sensors\.lidar\.transform'),
    ({'sensors': {'audio': {'sample_format': 'mp3'}}}, r'sensors\.audio\.sample_format: .*S16LE'),
    ({'sensors': {'audio': {'source_rate': 10}}}, r'sensors\.audio\.source_rate'),
    ({'command': {'kind': 'ackermann'}}, r"command\.kind: got 'ackermann'"),
    ({'command': {'upper': [0.5]}}, r'command\.upper: got \(0\.5,\), expected 2 finite numbers'),
    ({'command': {'upper': [0.5, math.nan]}}, r'command\.upper'),
    ({'command': {'upper': 0.5}}, r'command\.upper: got 0\.5, expected a list'),
    ({'command': {'safe': [1.0, 0.0]}}, r'command\.safe\[0\] \(linear\.x\): got 1\.0'),
    ({'command': {'stop_deceleration': [0, 1]}}, r'command\.stop_deceleration'),
    ({'command': {'stop_deceleration': [0.2, 30.0]}},
     r'command\.stop_deceleration\[0\] \(linear\.x\): got 0\.2, expected at least 0\.3, to stop'),
    ({'command': {'stop_deceleration': [1e-9, 30.0], 'kind': 'twist_stamped'}}, r'at least 0\.3'),
    ({'command': {'on_stop': 'coast'}}, r"command\.on_stop: got 'coast', expected one of safe"),
    ({'command': {'on_stop': 'hold'}}, r"command\.on_stop: got 'hold', expected zero for a twist"),
    ({'command': {'lower': [0.1, -2.0], 'safe': [0.2, 0.0]}},
     r'command\.lower\[0\] \(linear\.x\): got 0\.1, expected limits around 0'),
    ({'command': {'names': ['linear.x', 'speed']}}, r'command\.names'),
    ({'name': True}, 'name: got True, expected str: ROS reads yes, no, y, n, on, off as'),
    ({'name': 'x' * 257}, r'name: got .* \(257 characters\), expected at most 256 printable'),
    ({'sensors': {'camera': {'topic': 'image\x1b[2J'}}}, r'topic: got .*\\x1b\[2J.* printable'),
    ({'rate': 10**400}, 'rate: got a whole number of about 400 digits'),
    ({'sensors': {'lidar': {'beams': 10**5000}}}, 'beams: got a whole number of about 5000'),
    ({'sensors': {'audio': {'window': 2**21}}},
     r'audio\.window: got 2097152, expected a whole number in \[64, 1048576\] samples'),
    ({'sensors': {'audio': {'sample_rate': 10**9}}}, r'audio\.sample_rate: got 1000000000'),
    ({'sensors': {'imu': {'rate': 1e6}}},
     r'imu\.rate: got 1000000\.0, expected a number in \[0\.1, 10000\] Hz'),
    ({'sensors': {'imu': {'max_age': 1e6}}}, r'imu\.max_age: got 1000000\.0'),
    ({'sensors': {'lidar': {'z_max': math.inf}}}, r'lidar\.z_max: got inf, expected a finite'),
    ({'sensors': {'lidar': {'angle_min': -1e300}}}, r'lidar\.angle_min: got -1e\+300'),
    ({'command': {'names': ['x'] * 10**6}}, r'command\.names: got 1000000 entries, .* most 64'),
    ({'command': {'lower': [-1e300, -1]}},
     r'command\.lower\[0\]: got -1e\+300, expected a number in \[-1e9, 1e9\]'),
    ({1: 2}, '1: unknown key'),
    ({'sensors': {'camera': {'width': 4096, 'height': 4096}}}, 'width: got 4096, .* most 2048'),
    ([1], 'robot: got list, expected a mapping'),
    ('ab', 'robot: got str, expected a mapping'),
    ({'command': 1}, 'command: got int, expected a mapping'),
    ({'sensors': {1: {}, 'x': {}}}, r'sensors\.1: unknown sensor'),
    ({'x' * 10**6: 1}, 'unknown key'),
])
def test_what_is_wrong_is_named_with_what_was_got_and_expected(values, message):
    with pytest.raises(RobotError, match=message) as caught:
        RobotSpec.from_dict(values)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(('text', 'message'), [
    (None, 'No such file'),
    ('a: [', 'not YAML'),
    ('a: 1\nb: 2', 'expected one node name'),
    ('', 'expected one node name'),
    ('/**: {ros__parameters: {command: {kind: float64_multi_array, names: [x, y]}}}',
     r'command\.names\[1\]: got True, expected str: ROS reads .* put it in quotes'),
    ('/**: {rate: 1}', 'expected ros__parameters'),
    ('/**: {ros__parameters: [1]}', 'ros__parameters: got list'),
    ('/**: {ros__parameters: {rate: -1}}', 'rate: got -1'),
])
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / 'robot.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(RobotError, match=message) as caught:
        load_robot(path)
    assert str(caught.value).startswith(str(path))
    assert '\n' not in str(caught.value)


SHIPPED = (ROOT / 'config' / 'robots' / 'beacon.yaml').read_text()


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=strategies.integers(0, len(SHIPPED)), removed=strategies.integers(0, 30),
       added=strategies.text('[]{}:*&!-#\'"|>%,0123456789einf \n\x1b\0', max_size=8))
def test_any_change_of_a_shipped_file_is_read_or_refused(tmp_path, place, removed, added):
    path = tmp_path / 'robot.yaml'
    path.write_text(SHIPPED[:place] + added + SHIPPED[place + removed:])
    with contextlib.suppress(RobotError):
        robot = load_robot(path)
        assert RobotSpec.from_dict(robot.to_dict()) == robot


@settings(max_examples=100, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=strategies.binary(max_size=200))
def test_any_bytes_are_refused_as_a_robot(tmp_path, content):
    path = tmp_path / 'robot.yaml'
    path.write_bytes(content)
    with pytest.raises(RobotError):
        load_robot(path)


def test_what_is_no_file_is_refused_as_a_robot(not_a_file):
    with pytest.raises(RobotError):
        load_robot(not_a_file)


@pytest.mark.parametrize('topic', ['a//b', '~x', 'camera-1/image', '1camera', 'a/1b', '/', 'a/', '',
                                   'a b', 'größe', 'a~b', '//a', 'a.b', 'x\n'])
@pytest.mark.parametrize('field', ['sensors.camera', 'command'])
def test_a_topic_that_ros_does_not_take_is_refused_by_its_field(topic: str, field: str) -> None:
    values = {'sensors': {'camera': {'topic': topic}}, 'command': {}} if field != 'command' else {
        'command': {'topic': topic}}
    with pytest.raises(
            RobotError, match=rf'{field}.topic: got .*expected (a topic name|.* printable)'):
        RobotSpec.from_dict(values)


@pytest.mark.parametrize('topic', ['scan', '/scan', '~/scan', 'a/b_2/c', '/robot1/_hidden',
                                   '/{node}/scan', 'Camera'])
def test_a_topic_that_ros_takes(topic: str) -> None:
    assert RobotSpec.from_dict({'sensors': {'lidar': {'topic': topic}}}).lidar.topic == topic
