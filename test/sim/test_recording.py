"""Recordings are whole, standard, and hold exactly what the robot sensed and should have done."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
import yaml

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation
from liquidspike_ros.sensing.stream import observe
from liquidspike_ros.sim import recording
from liquidspike_ros.sim.arena import Layout, sample_layout
from liquidspike_ros.sim.drivers import DriverDecision, ExpertDriver, Situation
from liquidspike_ros.sim.episode import run_episode
from liquidspike_ros.sim.expert import Expert
from liquidspike_ros.sim.recording import record, RecordingError, RecordOptions
from liquidspike_ros.sim.starts import sample_start

SEED = 2000
ROBOT = RobotSpec()
RATES = {'/camera/image_raw': 15, '/imu': 200, '/scan': 10, '/audio': 50, '/odom': 50,
         '/ground_truth': 15, '/clock': 100, '/cmd_vel': 15, '/cmd_vel_applied': 15}


def options(output: Path, **changes: Any) -> RecordOptions:
    values = {'output': output, 'episodes': 2, 'seed': SEED, 'progress': False, **changes}
    return RecordOptions(**values)


@pytest.fixture(scope='module')
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded episodes."""
    output = tmp_path_factory.mktemp('bags')
    report = record(options(output))
    assert report.written == 2
    return output


def messages(bag: Path, *topics: str) -> list[tuple[int, str, str, Any]]:
    with AnyReader([bag]) as reader:
        chosen = [c for c in reader.connections if not topics or c.topic in topics]
        return [(time, c.topic, c.msgtype, reader.deserialize(raw, c.msgtype))
                for c, time, raw in reader.messages(chosen)]


def test_every_topic_is_there_with_its_standard_type_at_its_rate(bags: Path) -> None:
    with AnyReader([bags / f'episode_{SEED:06d}']) as reader:
        seconds = reader.duration * 1e-9
        types = {c.topic: c.msgtype for c in reader.connections}
        rates = {c.topic: c.msgcount / seconds for c in reader.connections}
    assert rates == {topic: pytest.approx(rate, rel=0.05) for topic, rate in RATES.items()}
    assert types['/cmd_vel'] == types['/cmd_vel_applied'] == 'geometry_msgs/msg/Twist'
    for spec in ROBOT.sensors.values():
        assert types['/' + spec.topic] == spec.type


def test_metadata_says_how_it_was_made(bags: Path) -> None:
    text = (bags / f'episode_{SEED:06d}' / 'metadata.yaml').read_text()
    custom = yaml.safe_load(text)['rosbag2_bagfile_information']['custom_data']
    assert custom['seed'] == str(SEED)
    assert custom['outcome'] == 'arrived'
    assert custom['driver'] == 'expert'


def test_the_command_on_record_is_what_the_expert_wants_there(bags: Path) -> None:
    bag = bags / f'episode_{SEED:06d}'
    expert = Expert(sample_layout(SEED))
    truth = {time: m for time, _, _, m in messages(bag, '/ground_truth')}
    compared = []
    for time, _, _, label in messages(bag, '/cmd_vel'):
        if time not in truth:
            continue
        place, turn = truth[time].pose.pose.position, truth[time].pose.pose.orientation
        pose = (place.x, place.y, 2.0 * float(np.arctan2(turn.z, turn.w)))
        wanted = expert.command(pose, truth[time].twist.twist.angular.z)
        compared.append(np.abs(np.array(wanted) - (label.linear.x, label.angular.z)))
    assert len(compared) > 20
    # The truth on record is up to one physics step (5 ms) older than what the expert saw.
    assert np.median(np.array(compared), axis=0) == pytest.approx((0.0, 0.0), abs=0.05)


def test_what_was_driven_strays_from_what_was_wanted(bags: Path) -> None:
    bag = bags / f'episode_{SEED:06d}'
    wanted, driven = (np.array([(m.linear.x, m.angular.z) for *_, m in messages(bag, topic)])
                      for topic in ('/cmd_vel', '/cmd_vel_applied'))
    assert wanted.shape == driven.shape
    assert np.abs(wanted - driven)[:, 1].mean() > 0.1


def test_the_bag_gives_the_very_observations_the_driver_had(bags: Path) -> None:
    class Watched(ExpertDriver):
        def begin(self, layout: Layout, seed: int) -> None:
            super().begin(layout, seed)
            self.seen: list[Observation] = []

        def decide(self, tick: Situation) -> DriverDecision:
            self.seen.append(tick.observation)
            return super().decide(tick)

    driver = Watched(noise=1.0)
    run_episode(SEED, driver, ROBOT, start=sample_start(SEED, 0.4))
    sensors = {'/' + spec.topic: name for name, spec in ROBOT.sensors.items()}
    events = ((time, sensors[topic], type_name, message) for time, topic, type_name, message
              in messages(bags / f'episode_{SEED:06d}', *sensors))
    replayed = list(observe(events, ROBOT))
    # The bag may end within the batch of messages after the last tick.
    assert 0 <= len(replayed) - len(driver.seen) <= 1
    assert all(a.equals(b) for a, b in zip(driver.seen, replayed, strict=False))


def test_going_on_leaves_what_is_there_and_adds_the_rest(bags: Path, tmp_path: Path) -> None:
    first = record(options(tmp_path, episodes=1))
    (bag,) = tmp_path.iterdir()
    before = {f: f.stat().st_mtime_ns for f in bag.iterdir()}
    second = record(options(tmp_path))
    assert (first.written, second.written, second.present) == (1, 1, 1)
    assert {f: f.stat().st_mtime_ns for f in bag.iterdir()} == before
    # And the same seed gives the same bytes.
    for name in ('episode_002000', 'episode_002001'):
        assert (tmp_path / name / f'{name}.mcap').read_bytes() == (
            bags / name / f'{name}.mcap').read_bytes()


def test_an_expert_that_does_not_arrive_leaves_no_bag(tmp_path: Path) -> None:
    report = record(options(tmp_path, episodes=1, limit_s=0.5))
    assert (report.written, report.discarded) == (0, 1)
    assert report.outcomes == {'timeout': 1}
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_whole_bags_only(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = 0

    class Impatient(ExpertDriver):
        def decide(self, tick: Situation) -> DriverDecision:
            nonlocal decided
            decided += 1
            if decided > 10 and (tmp_path / 'episode_002000').exists():
                raise KeyboardInterrupt
            return super().decide(tick)

    monkeypatch.setattr(recording, '_make_driver', lambda options: Impatient())
    with pytest.raises(KeyboardInterrupt):
        record(options(tmp_path, odd_starts=0.0))
    assert [p.name for p in tmp_path.iterdir()] == ['episode_002000']
    assert len(messages(tmp_path / 'episode_002000', '/cmd_vel')) > 10


@pytest.mark.parametrize(('field', 'value', 'text'), [
    ('episodes', 0, r'episodes: got 0, expected a whole number in \[1, '),
    ('noise', -0.1, r'noise: got -0.1, expected'),
    ('beta', 1.5, r'beta: got 1.5, expected a number in \[0, 1\]'),
    ('seed', 1500, r'seed: got 1500 to 1501, but 1000 to 1999 are kept for evaluation'),
    ('seed', 999, r'seed: got 999 to 1000, but'),
])
def test_wrong_options_are_refused_by_name(field: str, value: float, text: str,
                                           tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=text):
        dataclasses.replace(options(tmp_path), **{field: value})
