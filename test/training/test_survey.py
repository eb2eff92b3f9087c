"""What ``liquidspike info`` is told of a recording: the figures a robot file needs."""

from __future__ import annotations

import dataclasses

import pytest

from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.episode import bag_to_sequence
from liquidspike_ros.training.survey import batch_bytes, survey_bag


def test_a_survey_says_what_training_would_find(make_bag, robot):
    bag = make_bag()
    survey = survey_bag(bag, robot, DataConfig())
    episode = bag_to_sequence(bag, robot)
    assert survey.facts == episode.facts
    assert survey.unused == ''
    assert survey.stored == sum(value.nbytes for value in episode.values.values())
    camera = survey.report.topics['/camera/image_raw']
    assert camera.rate == pytest.approx(15, abs=0.01)
    assert camera.gap == pytest.approx(1 / 15, abs=1e-3)
    assert survey.report.lags == {'camera': 0, 'imu': 0, 'lidar': 0}
    assert survey.report.samples['/camera/image_raw'] == '16 × 12 rgb8, frame base_link'
    assert survey.report.samples['/scan'].startswith('8 beams from -2.749 to 2.749 rad, 0.05 to 8')
    assert survey.report.samples['/cmd_vel'].startswith('linear (0.3, 0, 0) m/s')


def test_what_training_would_refuse_is_looked_at_all_the_same(make_bag, robot, toy_drive):
    bag = make_bag(rows=[row for row in toy_drive() if row[1] not in ('/scan', '/cmd_vel')])
    survey = survey_bag(bag, robot, DataConfig())
    assert 'lidar: no topic /scan' in survey.unused
    assert 'command: no topic /cmd_vel' in survey.unused
    assert survey.facts['fresh']['camera'] == 1
    assert survey.facts['labelled'] == 0


def test_a_recording_of_another_robot_still_shows_its_topics(make_bag, robot, toy_drive):
    bag = make_bag(rows=[(t, f'/other{topic}x', m) for t, topic, m in toy_drive()])
    survey = survey_bag(bag, robot, DataConfig())
    assert survey.unused
    assert survey.report.samples['/other/imux'].startswith('acceleration (')
    assert survey.facts == {}


def test_batches_are_reckoned_as_the_model_takes_them(robot):
    robot = dataclasses.replace(robot, audio=dataclasses.replace(robot.audio, enabled=False))
    numbers = 16 * 12 * 3 + 6 * 4 + 2 * 8
    assert batch_bytes(robot, DataConfig(lanes=2, ticks=3)) == numbers * 4 * 6
