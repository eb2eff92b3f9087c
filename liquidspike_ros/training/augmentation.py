"""Variations of recorded sequences that leave the task the same."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import RobotSpec
from .configuration import AugmentConfig, TrainingError

Array = NDArray[Any]

# Reflection in the robot's x–z plane, y → −y (REP 103: x forward, y left, z up). Acceleration is
# a polar vector: y changes sign. Angular velocity is an axial one: x and z do.
IMU_SIGNS = np.array([-1, 1, -1, 1, -1, 1], np.float32)
TWIST_SIGNS = {'linear.x': 1, 'linear.y': -1, 'linear.z': 1,
               'angular.x': -1, 'angular.y': 1, 'angular.z': -1}


class Mirror:
    """Exchanges left and right in everything sensed and commanded.

    Exact for a robot that is itself symmetric: a camera looking straight ahead, a LiDAR whose
    beams are symmetric about forward, microphones in left–right order.

    Raises:
        TrainingError: The robot's description shows that it is not symmetric.
    """

    def __init__(self, robot: RobotSpec) -> None:
        sensors, command = robot.sensors, robot.command
        if 'lidar' in sensors and not np.isclose(robot.lidar.angle_min, -robot.lidar.angle_max):
            raise TrainingError(
                f'augment.mirror: sensors.lidar covers {robot.lidar.angle_min:.3f} … '
                f'{robot.lidar.angle_max:.3f} rad, expected angles symmetric about 0')
        if 'audio' in sensors and robot.audio.channels > 2:
            raise TrainingError(f'augment.mirror: sensors.audio.channels is '
                                f'{robot.audio.channels}, expected 1 or 2 (left, right)')
        unknown = [name for name in command.names if name not in TWIST_SIGNS]
        if unknown:
            raise TrainingError(f'augment.mirror: command.names has {unknown[0]!r}, expected Twist '
                                'fields only, whose mirror image is known')
        self.action_signs = np.array([TWIST_SIGNS[n] for n in command.names], np.float32)
        for name, sign, low, high in zip(command.names, self.action_signs, command.lower,
                                         command.upper, strict=True):
            if sign < 0 and low != -high:
                raise TrainingError(f'augment.mirror: command limits of {name} are {low} and '
                                    f'{high}, expected them to be symmetric')

    def values(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """Mirror sensor arrays with any leading dimensions, as ``Observation`` lays them out."""
        return {name: getattr(self, f'_{name}')(array) for name, array in values.items()}

    def labels(self, labels: Array) -> Array:
        """Mirror actions ``[…, A]``."""
        return labels * self.action_signs

    @staticmethod
    def _camera(array: Array) -> Array:
        return array[..., ::-1, :]

    @staticmethod
    def _imu(array: Array) -> Array:
        return array * IMU_SIGNS[:, None]

    @staticmethod
    def _lidar(array: Array) -> Array:
        return array[..., ::-1]

    @staticmethod
    def _audio(array: Array) -> Array:
        return array[..., ::-1, :]


def where_allowed(config: AugmentConfig, robot: RobotSpec) -> tuple[AugmentConfig, str]:
    """What of ``config`` can be done to this robot, and one line on what cannot (or '').

    The shipped training file asks for mirroring; a gripper, or a LiDAR that looks to one side, has
    no mirror image, and learns without.
    """
    if config.mirror == 0:
        return config, ''
    try:
        Mirror(robot)
    except TrainingError as error:
        return dataclasses.replace(config, mirror=0.0), f'{error}: nothing is mirrored'
    return config, ''


@dataclass(frozen=True)
class Variation:
    """What one pass through one sequence looks like.

    Attributes:
        mirrored: Left and right exchanged.
        gain, offset: Camera brightness: ``gain · x + offset`` on [0, 1], clamped.
        keep: Sensors left in place, bool ``[T, M]``.
    """

    mirrored: bool
    gain: float
    offset: float
    keep: NDArray[np.bool_]


def draw_variation(config: AugmentConfig, robot: RobotSpec, present: NDArray[np.bool_],
                   random: np.random.Generator) -> Variation:
    """Draw how a sequence is varied this time.

    Args:
        config: Rates.
        robot: Sensor names and control rate.
        present: What was really there ``[T, M]``; a tick never loses all of it.
        random: Source of randomness.
    """
    mirrored = bool(random.random() < config.mirror)
    gain = 1 + config.brightness * random.uniform(-1, 1)
    offset = config.brightness / 4 * random.uniform(-1, 1)
    keep = np.ones_like(present)
    for column, name in enumerate(robot.sensors):
        share = getattr(config, f'drop_{name}')
        if share > 0:
            keep[:, column] = ~_losses(len(keep), share, config.drop_seconds * robot.rate, random)
    keep[~(keep & present).any(axis=1)] = True
    return Variation(mirrored, gain, offset, keep)


def _losses(length: int, share: float, mean: float, random: np.random.Generator) -> Array:
    """A random telegraph signal: true for ``share`` of the time, ``mean`` ticks at a stretch."""
    lost = np.zeros(length, bool)
    state = bool(random.random() < share)
    start = 0
    while start < length:
        stretch = mean if state else mean * (1 - share) / share
        end = start + max(1, round(random.exponential(stretch)))
        lost[start:end] = state
        start, state = end, not state
    return lost
