"""Made-up drives on which two ways of running a policy are compared before one may drive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
import torch

from ..core.state import leaves
from ..robot import RobotSpec, SensorSpec
from ..sensing.observation import Observation
from .eager_step import Stepper

TICKS = 24


@dataclass(frozen=True)
class Gap:
    """Largest difference between two ways of running on the same observations.

    Attributes:
        action: Of any action, ±1 is full scale; infinite where only one of them is finite.
        state: Of the state, its mean over all entries after a tick. A rounding difference may tip
            one neuron over its threshold, which moves one entry by 1 and hardly the mean.
    """

    action: float
    state: float


def blank_observation(robot: RobotSpec) -> Observation:
    """Every sensor present and reading zeros, one period after the last tick."""
    return Observation(
        stamp=0, dt=robot.period, present=dict.fromkeys(robot.sensors, True),
        age=dict.fromkeys(robot.sensors, 0.0),
        values={name: np.zeros(spec.shape, np.uint8 if name == 'camera' else np.float32)
                for name, spec in robot.sensors.items()})


def rehearsal(robot: RobotSpec, ticks: int = TICKS, seed: int = 0) -> list[Observation]:
    """A random drive: noise of changing strength, lost sensors, late ticks, one clock jump."""
    random = np.random.default_rng(seed)
    result = []
    for tick in range(ticks):
        strength = float(random.uniform(0.2, 1.0))
        values = {name: _noise(name, spec, robot, strength, random)
                  for name, spec in robot.sensors.items()}
        # All there at first, each one absent alone, then whatever comes.
        lost = ([] if tick == 0 else [tick - 1] if tick <= len(values) else
                np.flatnonzero(random.random(len(values)) < 0.2))
        for index in lost:
            name = list(values)[index]
            values[name] = np.zeros_like(values[name])
        present = {name: index not in lost for index, name in enumerate(values)}
        result.append(Observation(
            stamp=tick, dt=float(robot.period * random.uniform(0.5, 3.0)), values=values,
            present=present, age={name: 0.0 if alive else math.inf
                                  for name, alive in present.items()},
            clock_jumped=tick == ticks // 2))
    return result


def _noise(name: str, spec: SensorSpec, robot: RobotSpec, strength: float,
           random: np.random.Generator) -> Any:
    if name == 'camera':
        return (strength * random.integers(0, 256, spec.shape)).astype(np.uint8)
    if name == 'imu':
        scale = np.array([[1.0]] * 3 + [[4.0]] * 3)  # rad/s, m/s²
        return (strength * scale * random.standard_normal(spec.shape)).astype(np.float32)
    if name == 'lidar':
        ranges = random.uniform(0.05, robot.lidar.range_max, spec.shape[-1])
        return np.stack([ranges, random.random(spec.shape[-1]) < 0.9]).astype(np.float32)
    return (strength * random.uniform(-1, 1, spec.shape)).astype(np.float32)


@torch.inference_mode()
def compare(one: Stepper, other: Stepper, drive: Iterable[Observation]) -> Gap:
    """Drive both, each on its own state, and measure how far they are apart."""
    action, state = 0.0, 0.0
    for stepper in (one, other):
        stepper.reset()
    for obs in drive:
        if obs.restarted:
            one.reset()
            other.reset()
        (row, _), (twin, _) = one.step(obs), other.step(obs)
        action = max(action, _distance(row, twin))
        state = max(state, _distance(_flat(one.state), _flat(other.state), mean=True))
    return Gap(action, state)


def _flat(state: Any) -> Any:
    return np.concatenate([leaf.float().cpu().numpy().ravel() for leaf in leaves(state)])


def _distance(one: Any, other: Any, mean: bool = False) -> float:
    if one.shape != other.shape:
        return math.inf
    apart = np.abs(one.astype(np.float64) - other)
    result = float(apart.mean() if mean else apart.max())
    return result if math.isfinite(result) else math.inf
