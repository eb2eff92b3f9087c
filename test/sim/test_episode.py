"""An episode in lockstep is the deployed path: same sensing, same gate, same every time."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest

from liquidspike_ros.robot import CameraSpec, CommandSpec, RobotSpec
from liquidspike_ros.sensing.observation import Observation
from liquidspike_ros.sim.arena import ARRIVAL_DISTANCE, BEACON_RADIUS, Layout, sample_layout
from liquidspike_ros.sim.drivers import Command, DriverDecision, ExpertDriver, Situation
from liquidspike_ros.sim.episode import episode_layout, EpisodeError, run_episode
from liquidspike_ros.sim.expert import Expert
from liquidspike_ros.sim.messages import SimMessage

SEED = 0  # a short way
ROBOT = RobotSpec()


class Fixed:
    """Wants the same all the time, and keeps what it saw."""

    def __init__(self, command: Command | None) -> None:
        self.command = command

    def begin(self, layout: Layout, seed: int) -> None:
        self.seen: list[Observation] = []

    def decide(self, tick: Situation) -> DriverDecision:
        self.seen.append(tick.observation)
        return DriverDecision(self.command)


class Watched(ExpertDriver):
    """The expert, keeping what the robot sensed."""

    def begin(self, layout: Layout, seed: int) -> None:
        super().begin(layout, seed)
        self.seen: list[Observation] = []

    def decide(self, tick: Situation) -> DriverDecision:
        self.seen.append(tick.observation)
        return super().decide(tick)


class Protocol:
    """A witness that keeps times and topics."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str]] = []
        self.commands: list[tuple[int, Command]] = []

    def sensed(self, message: SimMessage) -> None:
        self.messages.append((message.now_ns, message.topic))

    def decided(self, stamp: int, decision: DriverDecision, applied: Command) -> None:
        self.commands.append((stamp, applied))


def test_the_expert_arrives_and_the_result_is_consistent() -> None:
    result = run_episode(SEED, ExpertDriver(), ROBOT, directions=True)
    goal = sample_layout(SEED).goal
    x, y, _ = result.trajectory[-1]
    ticks = len(result.stamps)
    assert result.outcome == 'arrived'
    assert math.hypot(goal.x - x, goal.y - y) <= BEACON_RADIUS + ARRIVAL_DISTANCE + 0.01
    assert result.trajectory.shape == (ticks + 1, 3)
    assert result.commands.shape == (ticks, 2)
    assert result.heard.shape == (ticks,)
    assert result.seen.shape == (ticks, 3)
    assert ticks == pytest.approx(result.time * ROBOT.rate, abs=2)
    assert result.path_length == pytest.approx(result.shortest, rel=0.1)


def test_heard_and_seen_point_at_the_pillar() -> None:
    layout = sample_layout(5)
    result = run_episode(5, ExpertDriver(), ROBOT, directions=True)
    x, y, yaw = result.trajectory[:-1].T
    bearing = np.arctan2(layout.goal.y - y, layout.goal.x - x) - yaw
    heard = np.isfinite(result.heard)
    # Delay gives the sine of the bearing, alike in front and behind; the robot turns meanwhile.
    error = np.abs(np.sin(result.heard[heard]) - np.sin(bearing[heard]))
    assert heard.sum() > 10
    assert np.median(error) < 0.05
    seen = result.seen[:, layout.singing]
    off = np.abs([math.remainder(e, math.tau) for e in (seen - bearing)[np.isfinite(seen)]])
    assert len(off) > 10
    assert np.median(off) < 0.08


def test_the_same_seed_gives_the_same_episode_bit_for_bit() -> None:
    drivers = [Watched(noise=1.0) for _ in range(2)]
    first, second = (run_episode(SEED, d, ROBOT) for d in drivers)
    assert np.array_equal(first.trajectory, second.trajectory)
    assert np.array_equal(first.commands, second.commands)
    assert all(a.equals(b) for a, b in zip(drivers[0].seen, drivers[1].seen, strict=True))
    other = run_episode(SEED + 1, ExpertDriver(), ROBOT)
    assert not np.array_equal(other.trajectory[:20], first.trajectory[:20])


@pytest.mark.parametrize('sensor', ['camera', 'audio'])
def test_a_masked_sensor_never_arrives_and_the_rest_does(sensor: str) -> None:
    driver = Fixed((0.0, 0.3))
    run_episode(SEED, driver, ROBOT, limit_s=3.0, mask=(sensor,))
    later = driver.seen[10:]
    assert not any(o.present[sensor] for o in driver.seen)
    assert all(o.present[name] for o in later for name in ROBOT.sensors if name != sensor)
    # Without its trigger the policy still ticks, by the clock.
    assert len(driver.seen) == pytest.approx(45, abs=4)


def test_without_any_sensor_the_robot_stands() -> None:
    driver = Fixed((0.6, 0.0))
    result = run_episode(SEED, driver, ROBOT, limit_s=2.0, mask=tuple(ROBOT.sensors))
    assert result.outcome == 'timeout'
    assert result.path_length < 0.01
    assert driver.seen == []


def test_a_driver_that_has_no_valid_command_moves_nothing() -> None:
    result = run_episode(SEED, Fixed(None), ROBOT, limit_s=1.0)
    assert (result.commands == 0.0).all()
    assert result.path_length < 0.01


def test_the_gate_limits_speed_and_acceleration() -> None:
    result = run_episode(SEED, Fixed((9.0, -9.0)), ROBOT, limit_s=2.0)
    speed, turn = result.commands.T
    assert speed.max() == pytest.approx(ROBOT.command.upper[0])
    assert turn.min() == pytest.approx(ROBOT.command.lower[1])
    gained = np.diff(speed) / (np.diff(result.stamps) * 1e-9)
    assert gained.max() <= ROBOT.command.max_acceleration[0] + 1e-6


def test_a_masked_optional_sensor_halves_the_speed_as_it_does_live() -> None:
    result = run_episode(SEED, Fixed((0.6, 0.0)), ROBOT, limit_s=1.5, mask=('audio',))
    assert result.commands[:, 0].max() == pytest.approx(0.5 * ROBOT.command.upper[0])


def test_a_masked_sensor_is_done_without_even_if_it_is_required() -> None:
    robot = replace(ROBOT, audio=replace(ROBOT.audio, required=True))
    result = run_episode(SEED, Fixed((0.6, 0.0)), robot, limit_s=1.5, mask=('audio',))
    assert result.path_length > 0.1


def test_driving_into_another_pillar_ends_the_episode() -> None:
    class Deceived(ExpertDriver):
        def begin(self, layout: Layout, seed: int) -> None:
            super().begin(replace(layout, singing=(layout.singing + 1) % 3), seed)

    result = run_episode(3, Deceived(), ROBOT)
    assert result.outcome == 'wrong_beacon'
    assert result.collisions >= 1


def test_another_start_pose() -> None:
    start = (-2.5, 1.0, 2.0)
    result = run_episode(3, Fixed((0.0, 0.0)), ROBOT, limit_s=0.5, start=start)
    assert result.start == start
    assert result.trajectory[0] == pytest.approx(start, abs=0.01)
    assert result.shortest == pytest.approx(
        Expert(episode_layout(3, start)).path_length(*start[:2]))


def test_a_witness_is_told_all_in_order() -> None:
    witness = Protocol()
    result = run_episode(SEED, ExpertDriver(), ROBOT, limit_s=1.0, witness=witness)
    times = [time for time, _ in witness.messages]
    assert times == sorted(times)
    assert {topic for _, topic in witness.messages} >= {
        'camera/image_raw', 'imu', 'scan', 'audio', 'odom', 'ground_truth', 'clock'}
    assert [stamp for stamp, _ in witness.commands] == result.stamps.tolist()
    assert [applied for _, applied in witness.commands] == [tuple(c) for c in result.commands]


@pytest.mark.parametrize(('robot', 'text'), [
    (RobotSpec(camera=CameraSpec(topic='front/image')),
     "sensors.camera.topic: got 'front/image', expected 'camera/image_raw'"),
    (RobotSpec(command=CommandSpec(names=('linear.x', 'linear.y'))),
     'command.names: got linear.x, linear.y, expected linear.x, angular.z'),
])
def test_a_robot_the_simulator_is_not_is_refused(robot: RobotSpec, text: str) -> None:
    with pytest.raises(EpisodeError, match=text):
        run_episode(SEED, Fixed((0.0, 0.0)), robot)
