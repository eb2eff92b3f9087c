"""A mirrored recording is the recording of the mirrored world."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from liquidspike_ros.robot import CommandSpec, RobotSpec
from liquidspike_ros.sensing.converters import convert
from liquidspike_ros.training.augmentation import draw_variation, Mirror
from liquidspike_ros.training.configuration import AugmentConfig, TrainingError


def rigid_readings(mirrored: bool):
    """IMU of a body with known motion, derived in the world frame, and of its mirror image.

    The body's path p(t) and attitude R(t) are reflected by S = diag(1, −1, 1): p' = S p,
    R' = S R S. Gyro is the vee of RᵀṘ, the accelerometer Rᵀ(p̈ − g).
    """
    mirror = np.diag([1.0, -1.0, 1.0])
    def pose(t):
        yaw, pitch, roll = 0.3 * t + 0.2, 0.1 * t * t, -0.4 * t
        cz, sz, cy, sy, cx, sx = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
        turn = (np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
                @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
                @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]]))
        place = np.array([np.sin(t), t ** 2, 0.1 * t ** 3])
        return (mirror @ place, mirror @ turn @ mirror) if mirrored else (place, turn)
    t, h = 0.7, 1e-4
    (before, _), (here, turn), (after, _) = pose(t - h), pose(t), pose(t + h)
    rate = (pose(t + h)[1] - pose(t - h)[1]) / (2 * h)
    skew = turn.T @ rate
    gyro = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    accel = turn.T @ ((before - 2 * here + after) / h ** 2 + np.array([0, 0, 9.81]))
    return np.concatenate([gyro, accel])


def test_imu_signs_follow_from_mechanics(robot):
    straight = np.repeat(rigid_readings(False)[:, None], 4, axis=1)
    image = np.repeat(rigid_readings(True)[:, None], 4, axis=1)
    mirrored = Mirror(robot).values({'imu': straight})['imu']
    np.testing.assert_allclose(mirrored, image, atol=1e-5)
    assert np.abs(straight - image).max(axis=1)[[0, 2, 4]].min() > 0.1


def test_lidar_of_a_mirrored_room_through_the_real_converter(robot, messages):
    """Obstacles at known bearings; in the mirrored room they stand at the negated bearings."""
    def room(sign):
        angles = -np.pi + (np.arange(64) + 0.5) * 2 * np.pi / 64
        return convert(messages.scan(1, 3 + np.sin(sign * angles) + 0.5 * np.cos(3 * angles)),
                       'sensor_msgs/msg/LaserScan', robot.lidar).data
    mirrored = Mirror(robot).values({'lidar': room(1)})['lidar']
    np.testing.assert_allclose(mirrored, room(-1), atol=1e-5)
    assert np.abs(room(1)[0] - room(-1)[0]).max() > 0.1


def test_camera_and_audio_exchange_sides(robot):
    camera = np.zeros((5, 12, 16, 3), np.uint8)
    camera[:, :, 0] = [1, 2, 3]
    audio = np.zeros((5, 2, 200), np.int16)
    audio[:, 0] = 7
    mirrored = Mirror(robot).values({'camera': camera, 'audio': audio})
    assert (mirrored['camera'][:, :, -1] == [1, 2, 3]).all()
    assert mirrored['camera'][:, :, :-1].sum() == 0
    assert (mirrored['audio'][:, 1] == 7).all()
    assert not mirrored['audio'][:, 0].any()


def test_twice_mirrored_is_the_original(robot):
    random = np.random.default_rng(0)
    values = {name: random.normal(size=(3, *spec.shape)).astype(np.float32)
              for name, spec in robot.sensors.items()}
    mirror = Mirror(robot)
    for name, value in mirror.values(mirror.values(values)).items():
        np.testing.assert_array_equal(value, values[name])
    np.testing.assert_array_equal(mirror.labels(np.array([0.4, -0.7])), [0.4, 0.7])


@pytest.mark.parametrize(('changes', 'text'), [
    ({'sensors': {'lidar': {'angle_min': -1.0, 'angle_max': 2.0}}}, 'symmetric about 0'),
    ({'sensors': {'audio': {'channels': 4}}}, 'expected 1 or 2'),
    ({'command': {'lower': [-0.2, -1.0], 'upper': [0.6, 2.0]}}, 'limits of angular.z'),
])
def test_asymmetric_robots_are_refused(changes, text):
    with pytest.raises(TrainingError, match=text):
        Mirror(RobotSpec.from_dict(changes))


def test_unknown_action_is_refused():
    command = CommandSpec(kind='float64_multi_array', names=('grip', 'lift'))
    with pytest.raises(TrainingError, match="'grip'"):
        Mirror(dataclasses.replace(RobotSpec(), command=command))


def test_losses_have_the_asked_share_and_length(robot):
    config = AugmentConfig(drop_camera=0.2, drop_audio=0.1, drop_seconds=1.0)
    random = np.random.default_rng(0)
    present = np.ones((200_000, 4), bool)
    keep = draw_variation(config, robot, present, random).keep
    lost = 1 - keep.mean(axis=0)
    assert lost[0] == pytest.approx(0.2, abs=0.02)
    assert lost[3] == pytest.approx(0.1, abs=0.02)
    assert lost[1] == lost[2] == 0
    stretches = np.diff(np.flatnonzero(np.diff(keep[:, 0].astype(int))))[::2]
    other = np.diff(np.flatnonzero(np.diff(keep[:, 0].astype(int))))[1::2]
    assert min(stretches.mean(), other.mean()) == pytest.approx(15, rel=0.15)


def test_a_tick_never_loses_everything(robot):
    config = AugmentConfig(**{f'drop_{name}': 0.9 for name in robot.sensors})
    present = np.zeros((5000, 4), bool)
    present[:, 2] = True
    keep = draw_variation(config, robot, present, np.random.default_rng(0)).keep
    assert (keep & present).any(axis=1).all()


def test_nothing_asked_nothing_changed(robot):
    variation = draw_variation(AugmentConfig(), robot, np.ones((50, 4), bool),
                               np.random.default_rng(0))
    assert (variation.mirrored, variation.gain, variation.offset) == (False, 1.0, 0.0)
    assert variation.keep.all()
