from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sim.imu import MemsImu
from liquidspike_ros.sim.world import STEP_NS, World


def record(world: World, imu: MemsImu, v: float, w: float, seconds: float) -> np.ndarray:
    """Drive and sample at every step: ``[n, 6]`` rad/s and m/s²."""
    rows = []
    for _ in range(round(seconds * 200)):
        world.command(v, w)
        world.advance(world.time_ns + STEP_NS)
        message = imu.measure(world, world.time_ns)
        rows.append([getattr(part, axis) for part in
                     (message.angular_velocity, message.linear_acceleration) for axis in 'xyz'])
    return np.array(rows)


def test_at_rest_it_feels_gravity_upwards_and_no_rotation(make_layout):
    samples = record(World(make_layout()), MemsImu(1), 0.0, 0.0, 2.0)
    assert samples.mean(axis=0) == pytest.approx([0, 0, 0, 0, 0, 9.81], abs=0.2)
    assert np.abs(samples[:, :3].mean(axis=0)).max() < 0.02
    assert (samples.std(axis=0) > 0.002).all()


@pytest.mark.parametrize('rate', [1.2, -0.8])
def test_the_gyro_integrates_to_the_true_turn(make_layout, rate):
    world, imu = World(make_layout()), MemsImu(2)
    samples = record(world, imu, 0.2, rate, 2.0)
    # Less than half a turn would hide a wrong sign, a full one the wrap: 1.6 to 2.4 rad.
    assert samples[:, 2].sum() / 200 == pytest.approx(world.pose[2], abs=0.04)
    assert abs(world.pose[2]) > 1.4


def test_the_accelerometer_integrates_to_the_speed(make_layout):
    world, imu = World(make_layout()), MemsImu(3)
    bias = record(world, imu, 0.0, 0.0, 1.0)[:, 3].mean()
    samples = record(world, imu, 0.6, 0.0, 0.5)
    assert (samples[:, 3] - bias).sum() / 200 == pytest.approx(world.velocity[0], abs=0.05)


def test_a_left_curve_is_felt_to_the_left(make_layout):
    world, imu = World(make_layout()), MemsImu(4)
    bias = record(world, imu, 0.0, 0.0, 0.5)[:, 4].mean()
    samples = record(world, imu, 0.5, 1.5, 1.5)[100:]
    v, w = world.velocity
    assert samples[:, 4].mean() - bias == pytest.approx(v * w, abs=0.05)


def test_the_message_says_what_is_measured_and_what_is_not(make_layout):
    world = World(make_layout())
    message = MemsImu(0).measure(world, 1_234_567_890)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 234_567_890)
    assert message.header.frame_id == 'imu_link'
    assert message.orientation_covariance[0] == -1.0
    for covariance in (message.angular_velocity_covariance,
                       message.linear_acceleration_covariance):
        assert (np.diag(covariance.reshape(3, 3)) > 0).all()


def test_the_bias_is_fixed_by_the_seed_and_differs_between_seeds(make_layout):
    means = [record(World(make_layout()), MemsImu(seed), 0.0, 0.0, 0.5)[:, 3].mean()
             for seed in (5, 5, 6)]
    assert means[0] == means[1]
    assert not math.isclose(means[0], means[2], abs_tol=1e-3)
