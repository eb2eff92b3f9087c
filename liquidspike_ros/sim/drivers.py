"""Who drives an episode: the expert, the expert with a shaky hand, a policy, or both in turns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math
from pathlib import Path
from typing import Protocol, TYPE_CHECKING

import numpy as np

from ..robot import RobotSpec
from ..sensing.observation import Observation
from .arena import Layout
from .expert import Expert, Pose

if TYPE_CHECKING:
    from ..control.policy_runtime import PolicyRuntime

Command = tuple[float, float]


@dataclass(frozen=True)
class Situation:
    """What a driver may look at.

    Attributes:
        observation: What the robot senses.
        pose: True x, y (m), yaw (rad); privileged.
        turn_rate: True yaw rate, rad/s; privileged.
    """

    observation: Observation
    pose: Pose
    turn_rate: float


@dataclass(frozen=True)
class DriverDecision:
    """What a driver wants.

    Attributes:
        command: Forward speed (m/s) and yaw rate (rad/s) before the safety gate; None where the
            driver has no valid command (a policy whose output or state is not finite).
        label: What the expert would do here, noise-free; None if no expert is at hand.
    """

    command: Command | None
    label: Command | None = None


class Driver(Protocol):
    """Drives episodes one after the other."""

    def begin(self, layout: Layout, seed: int) -> None:
        """Forget everything; the next tick is the first of a new episode."""

    def decide(self, tick: Situation) -> DriverDecision:
        """Say what to do at a control tick."""


class ExpertDriver:
    """The privileged expert, at will with a shaky hand, so that recoveries are on record.

    Its commands get Ornstein-Uhlenbeck noise and, now and then, a burst of wrong turning of
    0.3–1.5 s; its label stays what the expert wants.

    Args:
        noise: 0 drives cleanly, 1 is the usual amount.
    """

    def __init__(self, noise: float = 0.0) -> None:
        self._noise = noise

    def begin(self, layout: Layout, seed: int) -> None:
        """Plan for a layout."""
        self._expert = Expert(layout)
        self._rng = np.random.default_rng([seed, 0xD81F7])
        self._drift = np.zeros(2)
        self._burst = (0.0, 0.0, 1.0)  # time left (s), yaw rate (rad/s), share of speed

    def decide(self, tick: Situation) -> DriverDecision:
        """Follow the plan; with noise, follow it badly."""
        label = self._expert.command(tick.pose, tick.turn_rate)
        if not self._noise:
            return DriverDecision(label, label)
        return DriverDecision(self._shake(label, tick.observation.dt), label)

    def _shake(self, label: Command, dt: float) -> Command:
        correlation, scale = 0.5, np.array((0.08, 0.5)) * self._noise  # s; m/s, rad/s
        keep = math.exp(-dt / correlation)
        self._drift = keep * self._drift + math.sqrt(1.0 - keep**2) * scale * (
            self._rng.standard_normal(2))
        left, turn, speed = self._burst
        if left <= 0.0 and self._rng.random() < 0.15 * self._noise * dt:
            left = float(self._rng.uniform(0.3, 1.5))
            turn = float(self._rng.choice((-1.0, 1.0)) * self._rng.uniform(0.6, 1.8))
            speed = float(self._rng.uniform(0.0, 0.8))
        self._burst = (left - dt, turn, speed)
        if left > 0.0:
            return speed * label[0], turn
        return max(0.0, label[0] + float(self._drift[0])), label[1] + float(self._drift[1])


class PolicyDriver:
    """A policy, from observations alone.

    Args:
        runtime: The policy with its recurrent state.
        robot: Its command scale.
    """

    def __init__(self, runtime: PolicyRuntime, robot: RobotSpec) -> None:
        self._runtime = runtime
        self._robot = robot

    def begin(self, layout: Layout, seed: int) -> None:
        """Start with a fresh recurrent state."""
        self._runtime.reset()

    def decide(self, tick: Situation) -> DriverDecision:
        """Step the network once."""
        from ..control.action import to_command

        result = self._runtime.step(tick.observation)
        if not result.finite:
            return DriverDecision(None)
        v, w = (float(c) for c in to_command(result.action, self._robot.command))
        return DriverDecision((v, w))


class MixtureDriver:
    """Policy and expert in turns of 1–2 s, the expert labelling throughout (DAgger).

    So the data holds the states that the policy brings about (Ross et al. 2011,
    arXiv:1011.0686). The policy sees every observation, also while the expert drives.

    Args:
        policy: The policy.
        beta: Probability that a turn is the expert's.
        noise: Of the expert's hand while it drives.
    """

    def __init__(self, policy: PolicyDriver, beta: float = 0.3, noise: float = 0.0) -> None:
        self._policy = policy
        self._expert = ExpertDriver(noise)
        self._beta = beta

    def begin(self, layout: Layout, seed: int) -> None:
        """Plan, and forget."""
        self._policy.begin(layout, seed)
        self._expert.begin(layout, seed)
        self._rng = np.random.default_rng([seed, 0xDA66])
        self._left = 0.0
        self._expert_drives = False

    def decide(self, tick: Situation) -> DriverDecision:
        """Drive by whose turn it is; label by the expert."""
        self._left -= tick.observation.dt
        if self._left <= 0.0:
            self._left = float(self._rng.uniform(1.0, 2.0))
            self._expert_drives = bool(self._rng.random() < self._beta)
        policy, expert = self._policy.decide(tick), self._expert.decide(tick)
        return expert if self._expert_drives else DriverDecision(policy.command, expert.label)


@lru_cache(maxsize=2)
def load_policy(model: Path, robot: RobotSpec, device: str = 'cpu') -> PolicyDriver:
    """A checkpoint as a driver, loaded once a process.

    Raises:
        CheckpointError: The folder holds no usable checkpoint.
    """
    from ..control.policy_runtime import PolicyRuntime
    from ..core.checkpoint import from_pretrained

    network, _ = from_pretrained(model, device=device)
    return PolicyDriver(PolicyRuntime(network, robot, device=device), robot)


def make_driver(model: str | Path, robot: RobotSpec, device: str = 'cpu') -> Driver:
    """The driver of a checkpoint folder, or the expert for ``'expert'``.

    Raises:
        CheckpointError: The folder holds no usable checkpoint.
    """
    if str(model) == 'expert':
        return ExpertDriver()
    return load_policy(Path(model), robot, device)
