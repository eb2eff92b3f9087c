from __future__ import annotations

from collections import Counter
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from liquidspike_ros.robot import load_robot
from liquidspike_ros.sim.simulation import Simulation

TICK = 66_666_667
ROBOT = Path(__file__).parents[2] / 'config' / 'robots' / 'beacon.yaml'


def run(simulation: Simulation, seconds: float, tick: int = TICK) -> list:
    """Drive a fixed wiggle, commanded at fixed times whatever the tick."""
    messages, end = [], simulation.now_ns + round(seconds * 1e9)
    while simulation.now_ns < end:
        beat = simulation.now_ns // 400_000_000
        simulation.command(0.4, 0.8 if beat % 2 else -0.6)
        due = min(simulation.now_ns + tick, (beat + 1) * 400_000_000, end)
        messages += simulation.advance(due)
    return messages


def fingerprint(messages: list) -> str:
    digest = hashlib.sha256()
    for message in messages:
        digest.update(f'{message.now_ns} {message.topic} {message.type_name}'.encode())
        digest.update(message.serialize())
    return digest.hexdigest()


def head_for(simulation: Simulation, x: float, y: float, limit_s: float = 30.0) -> None:
    """Drive straight at a point and stop there."""
    while not simulation.done and simulation.now_ns < limit_s * 1e9:
        px, py, yaw = simulation.pose
        if math.dist((px, py), (x, y)) < 0.1:
            simulation.command(0.0, 0.0)
            break
        error = math.remainder(math.atan2(y - py, x - px) - yaw, math.tau)
        simulation.command(0.5 * max(0.0, math.cos(error)), 2.0 * error)
        simulation.advance(simulation.now_ns + TICK)


def test_the_same_seed_gives_the_same_bits():
    first, second = (fingerprint(run(Simulation(21), 2.0)) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_noise_in_the_same_arena():
    one, two = Simulation(21, seed=1), Simulation(21, seed=2)
    assert one.layout == two.layout
    assert fingerprint(run(one, 0.5)) != fingerprint(run(two, 0.5))


def test_how_often_one_looks_changes_nothing():
    coarse, fine = (fingerprint(run(Simulation(22), 1.0, tick)) for tick in (TICK, 3_300_001))
    assert coarse == fine


def test_another_episode_in_between_changes_nothing():
    alone = fingerprint(run(Simulation(23), 1.0))
    mixed, other = Simulation(23), Simulation(24)
    messages = []
    for _ in range(5):
        messages += run(mixed, 0.2)
        run(other, 0.1)
    assert fingerprint(messages) == alone


def test_switching_the_camera_off_leaves_all_else_as_it_was():
    seen = run(Simulation(25), 1.0)
    blind = run(Simulation(25, camera=False), 1.0)
    assert any(m.topic == 'camera/image_raw' for m in seen)
    assert fingerprint([m for m in seen if m.topic != 'camera/image_raw']) == fingerprint(blind)


def test_messages_leave_in_the_order_of_time_and_at_most_once():
    simulation = Simulation(26, camera=False)
    messages = run(simulation, 1.0)
    times = [m.now_ns for m in messages]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] <= simulation.now_ns
    assert len({(m.now_ns, m.topic) for m in messages}) == len(messages)


def test_rates_and_types_are_those_of_the_robot_file():
    robot = load_robot(ROBOT)
    simulation = Simulation(27)
    simulation.advance(1_000_000_000)
    messages = simulation.advance(5_000_000_000)
    rates = Counter(m.topic for m in messages)
    types = {m.topic: m.type_name for m in messages}
    for spec in robot.sensors.values():
        assert rates[spec.topic] / 4 == spec.rate
        assert types[spec.topic] == spec.type
    assert rates['odom'] / 4 == 50
    assert rates['clock'] / 4 == 100
    image = next(m.msg for m in messages if m.topic == 'camera/image_raw')
    assert (image.width, image.height) == (robot.camera.width, robot.camera.height)
    scan = next(m.msg for m in messages if m.topic == 'scan')
    assert len(scan.ranges) == robot.lidar.beams


def test_sensor_periods_are_even():
    messages = Simulation(28).advance(2_000_000_000)
    for topic, period in (('imu', 5_000_000), ('scan', 100_000_000), ('audio', 20_000_000)):
        stamps = [m.now_ns for m in messages if m.topic == topic]
        assert set(np.diff(stamps)) == {period}
    frames = [m.now_ns for m in messages if m.topic == 'camera/image_raw']
    assert set(np.diff(frames)) == {66_666_666, 66_666_667}


def test_driving_up_to_the_singing_pillar_is_arriving(make_layout):
    simulation = Simulation(make_layout(singing=1), camera=False)
    head_for(simulation, 3.0, -3.0)
    assert simulation.outcome == 'arrived'
    assert simulation.done
    assert simulation.outcome_ns <= simulation.now_ns
    assert math.dist(simulation.pose[:2], (3.0, -3.0)) == pytest.approx(0.55, abs=0.05)
    assert simulation.collisions == 0
    assert simulation.path_length == pytest.approx(math.hypot(3, 3) - 0.55, rel=0.15)


def test_being_near_a_wrong_pillar_is_nothing_touching_it_is_the_end(make_layout):
    simulation = Simulation(make_layout(singing=1), camera=False)
    head_for(simulation, 2.7, 2.7)
    simulation.advance(simulation.now_ns + 2_000_000_000)
    assert math.dist(simulation.pose[:2], (3.0, 3.0)) < 0.55
    assert simulation.outcome is None
    head_for(simulation, 3.0, 3.0)
    assert simulation.outcome == 'wrong_beacon'
    assert [touch.geom for touch in simulation.touches] == ['beacon_red']


def test_running_into_a_box_costs_a_collision_but_not_the_episode(make_layout, box):
    simulation = Simulation(make_layout(obstacles=(box(1.0, 0.0),)), camera=False)
    head_for(simulation, 1.0, 0.0, limit_s=4.0)
    assert simulation.collisions == 1
    assert not simulation.done


def test_time_runs_out(make_layout):
    simulation = Simulation(make_layout(), camera=False, time_limit=1.0)
    simulation.advance(999_999_999)
    assert not simulation.done
    simulation.advance(1_500_000_000)
    assert simulation.outcome == 'timeout'
    assert simulation.outcome_ns == 1_000_000_000


def test_what_is_decided_stays_decided(make_layout):
    simulation = Simulation(make_layout(start=(2.0, -3.0, 0.0)), camera=False, time_limit=3.0)
    head_for(simulation, 3.0, -3.0)
    assert simulation.outcome == 'arrived'
    simulation.advance(5_000_000_000)
    assert simulation.outcome == 'arrived'


def test_the_singing_pillar_is_heard_from_its_side(make_layout):
    loudness = []
    for yaw in (math.pi / 2, -math.pi / 2):
        simulation = Simulation(make_layout(start=(0.0, 0.0, yaw), singing=1, green=(2.5, 0.0)),
                                camera=False)
        chunks = [m.msg.data.reshape(-1, 2) for m in simulation.advance(3_000_000_000)
                  if m.topic == 'audio']
        assert all(chunk.shape == (320, 2) for chunk in chunks)
        loudness.append(np.concatenate(chunks).astype(float).std(axis=0))
    # Facing north the pillar in the east is on the right, facing south on the left.
    assert loudness[0][1] > 1.1 * loudness[0][0]
    assert loudness[1][0] > 1.1 * loudness[1][1]


def test_ground_truth_is_the_pose_at_its_very_stamp(make_layout):
    simulation = Simulation(make_layout(), camera=False)
    run(simulation, 1.0)
    while True:
        before = simulation.pose, simulation.world.time_ns
        simulation.command(0.5, 0.0)
        truth = [m for m in simulation.advance(simulation.now_ns + 5_000_000)
                 if m.topic == 'ground_truth']
        if truth:
            break
    position = truth[0].msg.pose.pose.position
    moved = math.dist((position.x, position.y), before[0][:2])
    expected = simulation.velocity[0] * (truth[0].now_ns - before[1]) * 1e-9
    assert moved == pytest.approx(expected, abs=2e-4)
    assert expected > 6e-4
    assert truth[0].msg.header.frame_id == 'map'


def test_a_sound_chunk_leaves_when_it_has_been_heard(make_layout, monkeypatch):
    simulation = Simulation(make_layout(), camera=False)
    starts, render = [], simulation.microphones.render
    monkeypatch.setattr(simulation.microphones, 'render',
                        lambda t_ns, pose: starts.append(t_ns) or render(t_ns, pose))
    sent = [m.now_ns for m in simulation.advance(200_000_000) if m.topic == 'audio']
    assert [now - start for now, start in zip(sent, starts, strict=True)] == [20_000_000] * 9
    assert min(starts) >= 0


def test_time_does_not_run_backwards():
    simulation = Simulation(29, camera=False)
    simulation.advance(10_000_000)
    with pytest.raises(ValueError, match='until_ns: got 5000000'):
        simulation.advance(5_000_000)
