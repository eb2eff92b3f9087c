"""What is replayed of a recording, how it is offered, and when."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from liquidspike_ros.nodes.bag_playback import is_command, Pacing, recorded_profile, selected
from liquidspike_ros.training.bag_metadata import RecordedQos
from liquidspike_ros.training.bags import TopicReport

SECOND = 10**9
TOPICS = {name: TopicReport({kind: count}) for name, kind, count in (
    ('/scan', 'sensor_msgs/msg/LaserScan', 9), ('/camera/image_raw', 'sensor_msgs/msg/Image', 9),
    ('/camera/info', 'sensor_msgs/msg/CameraInfo', 9), ('/clock', 'rosgraph_msgs/msg/Clock', 9),
    ('/empty', 'std_msgs/msg/String', 0))}


@pytest.mark.parametrize(('only', 'exclude', 'expected'), [
    ([], [], ['/scan', '/camera/image_raw', '/camera/info']),  # never /clock: ours follows the rate
    (['scan'], [], ['/scan']),
    (['/camera/*'], [], ['/camera/image_raw', '/camera/info']),
    ([], ['/camera/*'], ['/scan']),
    (['/camera/*'], ['camera/info'], ['/camera/image_raw']),
    (['/clock', '/nothing'], [], []),
])
def test_topics_are_chosen_by_pattern(only, exclude, expected):
    assert list(selected(TOPICS, only, exclude)) == expected


@pytest.mark.parametrize(('topic', 'kind', 'named', 'expected'), [
    ('/base/drive', 'geometry_msgs/msg/Twist', (), True),
    ('/base/drive', 'geometry_msgs/msg/TwistStamped', (), True),
    ('/arm', 'trajectory_msgs/msg/JointTrajectory', (), True),
    ('/tb1/cmd_vel', 'my_msgs/msg/Drive', (), True),
    ('/wheels', 'my_msgs/msg/Drive', ('/wheels',), True),
    ('/odom', 'nav_msgs/msg/Odometry', ('/wheels',), False),
    ('/scan', 'sensor_msgs/msg/LaserScan', (), False),
])
def test_what_makes_a_robot_move_is_a_command(topic, kind, named, expected):
    assert is_command(topic, TopicReport({kind: 3}), named) == expected


@pytest.mark.parametrize(('profiles', 'reliable', 'latched', 'depth'), [
    ((), True, False, 10),
    ((RecordedQos('best_effort', 'volatile', 5),), False, False, 10),
    ((RecordedQos('best_effort', 'volatile'), RecordedQos('reliable', 'volatile')), True, False,
     10),
    ((RecordedQos('reliable', 'transient_local', 1),), True, True, 10),
    ((RecordedQos('', '', 200),), True, False, 200),
])
def test_topics_are_offered_as_they_were_recorded(profiles, reliable, latched, depth):
    found = recorded_profile(profiles)
    assert (found.reliability == ReliabilityPolicy.RELIABLE) == reliable
    assert (found.durability == DurabilityPolicy.TRANSIENT_LOCAL) == latched
    assert found.depth == depth


def test_pace_follows_the_recording_and_the_rate():
    pacing = Pacing(2.0, 5.0)
    assert [(pacing.gap(t * SECOND), pacing.due(t * SECOND)) for t in (100, 101, 105)] == [
        (0, 0), (0, 0.5), (0, 2.5)]


def test_a_gap_of_fifty_years_is_skipped():
    pacing = Pacing(1.0, 5.0)
    start = 1_700_000_000 * SECOND
    assert pacing.gap(0) == 0
    assert pacing.gap(start) == pytest.approx(1.7e9)
    assert pacing.due(start) == 0
    assert pacing.gap(start + SECOND) == 0
    assert pacing.due(start + SECOND) == 1


def test_time_that_goes_back_is_due_at_once():
    pacing = Pacing(1.0, 5.0)
    pacing.gap(100 * SECOND)
    assert pacing.gap(50 * SECOND) == 0
    assert pacing.due(50 * SECOND) < 0
    assert pacing.gap(101 * SECOND) == 0
    assert pacing.due(101 * SECOND) == 1
