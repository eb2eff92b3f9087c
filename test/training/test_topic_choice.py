"""Which topic serves a sensor, by name, kind, transport and namespace; and the hints where none."""

from __future__ import annotations

import dataclasses

import pytest

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.topic_choice import absolute, choose_topics

IMAGE, JPEG = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
TWIST, STAMPED = 'geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped'
FULL = {'/camera/image_raw': {IMAGE: 9}, '/imu': {'sensor_msgs/msg/Imu': 9},
        '/scan': {'sensor_msgs/msg/LaserScan': 9}, '/audio': {'std_msgs/msg/Int16MultiArray': 9},
        '/cmd_vel': {TWIST: 9}}


def choose(counts, robot=None, **settings):
    return choose_topics(counts, robot or RobotSpec(), DataConfig(**settings))


def camera_topics(counts, **changes):
    robot = RobotSpec()
    camera = dataclasses.replace(robot.camera, **changes)
    choice = choose(FULL | {'/camera/image_raw': {}} | counts,
                    dataclasses.replace(robot, camera=camera))
    return {key for key, name in choice.sensors.items() if name == 'camera'}


def test_everything_under_its_own_name():
    choice = choose(FULL)
    assert (choice.missing, choice.notes) == ({}, ())
    assert choice.sensors['/camera/image_raw', IMAGE] == 'camera'
    assert choice.commands == {('/cmd_vel', TWIST)}


@pytest.mark.parametrize(('counts', 'changes', 'expected'), [
    ({'/camera/image_raw': {JPEG: 5}}, {}, ('/camera/image_raw', JPEG)),
    ({'/camera/image_raw/compressed': {JPEG: 5}}, {}, ('/camera/image_raw/compressed', JPEG)),
    ({'/camera/image_raw': {IMAGE: 5}}, {'topic': 'camera/image_raw/compressed', 'type': JPEG},
     ('/camera/image_raw', IMAGE)),
    ({'/camera/image_raw': {IMAGE: 5}, '/camera/image_raw/compressed': {JPEG: 5}}, {},
     ('/camera/image_raw', IMAGE)),
    ({'/camera/image_raw/compressedDepth': {JPEG: 5}}, {}, None),  # depth is no colour
    ({'/camera/image_raw': {'sensor_msgs/msg/Imu': 5}}, {}, None),
])
def test_any_transport_of_the_same_sensor_is_taken(counts, changes, expected):
    assert camera_topics(counts, **changes) == ({expected} if expected else set())


@pytest.mark.parametrize(('topic', 'namespace', 'expected'), [
    ('scan', '', '/scan'), ('/scan', 'tb1', '/scan'), ('scan', 'tb1', '/tb1/scan'),
    ('scan', '/fleet/tb1/', '/fleet/tb1/scan')])
def test_a_namespace_goes_before_relative_names_only(topic, namespace, expected):
    assert absolute(topic, namespace) == expected


def test_one_namespace_for_all_is_found():
    choice = choose({f'/tb1{topic}': types for topic, types in FULL.items()})
    assert choice.namespace == 'tb1'
    assert set(choice.missing) == {'camera', 'imu', 'lidar', 'audio', 'command'}


def test_topics_of_the_same_type_are_named():
    choice = choose({**FULL, '/scan': {}, '/front/laser': {'sensor_msgs/msg/LaserScan': 5}})
    assert choice.missing['lidar'] == '/scan has no messages, expected sensor_msgs/msg/LaserScan'
    counts = {topic: types for topic, types in FULL.items() if topic != '/scan'}
    choice = choose({**counts, '/front/laser': {'sensor_msgs/msg/LaserScan': 5}})
    assert 'of that type there is /front/laser' in choice.missing['lidar']


def test_both_kinds_of_twist_are_commands():
    choice = choose({**FULL, '/cmd_vel': {TWIST: 5, STAMPED: 7}})
    assert choice.commands == {('/cmd_vel', TWIST), ('/cmd_vel', STAMPED)}
    assert choice.notes == (f'/cmd_vel carries 5 {TWIST} and 7 {STAMPED}: both are learnt',)


def test_odometry_is_offered_and_taken_when_asked_for():
    odometry = {'/robot/odom': {'nav_msgs/msg/Odometry': 9}}
    counts = {**FULL, '/cmd_vel': {}, **odometry}
    assert '--set data.odometry_topic=/robot/odom' in choose(counts).missing['command']
    choice = choose(counts, label_from='odometry', odometry_topic='/robot/odom')
    assert choice.commands == {('/robot/odom', 'nav_msgs/msg/Odometry')}
    assert 'command' not in choice.missing
    arm = dataclasses.replace(RobotSpec().command, kind='float64_multi_array', names=('a', 'b'))
    choice = choose(counts, dataclasses.replace(RobotSpec(), command=arm), label_from='odometry')
    assert 'expected a twist command' in choice.missing['command']
