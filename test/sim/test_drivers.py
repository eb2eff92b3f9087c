"""Who drives: noise leaves the label alone, turns are shared as asked."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from liquidspike_ros.core.checkpoint import CheckpointError
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation
from liquidspike_ros.sim.arena import sample_layout
from liquidspike_ros.sim.drivers import (
    DriverDecision,
    ExpertDriver,
    make_driver,
    MixtureDriver,
    PolicyDriver,
    Situation,
)
from liquidspike_ros.sim.expert import Expert

LAYOUT = sample_layout(3)
DT = 1 / 15


def tick(pose: tuple[float, float, float] = LAYOUT.start) -> Situation:
    observation = Observation(stamp=0, dt=DT, values={}, present={}, age={})
    return Situation(observation, pose, 0.0)


class Runtime:
    """A policy runtime that counts, and gives what it is told to."""

    def __init__(self, action: tuple[float, float] = (0.5, -0.25), finite: bool = True) -> None:
        self.result = SimpleNamespace(action=np.array(action), finite=finite)
        self.steps = self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def step(self, observation: Observation) -> SimpleNamespace:
        self.steps += 1
        return self.result


def drive(driver: ExpertDriver | MixtureDriver, ticks: int, seed: int = 1) -> list[DriverDecision]:
    driver.begin(LAYOUT, seed)
    return [driver.decide(tick()) for _ in range(ticks)]


def test_a_steady_hand_does_what_the_expert_wants() -> None:
    (decision,) = drive(ExpertDriver(), 1)
    assert decision.command == decision.label == Expert(LAYOUT).command(LAYOUT.start)


def test_a_shaky_hand_strays_and_the_label_does_not() -> None:
    decisions = drive(ExpertDriver(noise=1.0), 3000)
    label = Expert(LAYOUT).command(LAYOUT.start)
    assert {d.label for d in decisions} == {label}
    turn = np.array([d.command[1] for d in decisions if d.command]) - label[1]
    assert 0.3 < turn.std() < 1.5
    # Correlated in time: half a second's worth, not white.
    assert np.corrcoef(turn[:-1], turn[1:])[0, 1] > 0.7


def test_bursts_of_wrong_turning_last_as_long_as_they_should() -> None:
    decisions = drive(ExpertDriver(noise=1.0), 6000)
    turn = np.array([d.command[1] for d in decisions if d.command])
    held = np.flatnonzero(np.diff(turn) != 0.0)
    bursts = np.diff(held)[np.diff(held) > 2] * DT
    assert len(bursts) > 20
    assert bursts.min() >= 0.2
    assert bursts.max() <= 1.6


def test_more_noise_strays_more_and_the_seed_decides_it() -> None:
    weak, strong, again, other = (
        np.array([d.command for d in drive(ExpertDriver(noise), 500, seed)])
        for noise, seed in ((0.3, 1), (1.0, 1), (1.0, 1), (1.0, 2)))
    assert weak[:, 1].std() < 0.6 * strong[:, 1].std()
    assert np.array_equal(strong, again)
    assert not np.array_equal(strong, other)


def test_a_policy_is_scaled_to_the_command() -> None:
    runtime = Runtime()
    driver = PolicyDriver(runtime, RobotSpec())  # type: ignore[arg-type]
    driver.begin(LAYOUT, 0)
    assert driver.decide(tick()) == DriverDecision((0.5 * 0.6, -0.25 * 2.0))
    assert runtime.resets == 1


def test_a_policy_that_is_not_finite_has_no_command() -> None:
    runtime = Runtime((math.nan, 0.0), finite=False)
    assert PolicyDriver(runtime, RobotSpec()).decide(tick()).command is None  # type: ignore[arg-type]


@pytest.mark.parametrize('beta', [0.0, 0.3, 1.0])
def test_turns_are_shared_and_the_expert_labels_throughout(beta: float) -> None:
    runtime = Runtime()
    driver = MixtureDriver(PolicyDriver(runtime, RobotSpec()), beta)  # type: ignore[arg-type]
    decisions = drive(driver, 6000)
    label = Expert(LAYOUT).command(LAYOUT.start)
    by_expert = np.array([d.command == label for d in decisions])
    assert {d.label for d in decisions} == {label}
    assert by_expert.mean() == pytest.approx(beta, abs=0.08)
    # The policy's recurrent state sees every tick, whoever drives.
    assert runtime.steps == 6000
    changes = np.flatnonzero(np.diff(by_expert))
    if len(changes):
        assert np.diff(changes).min() >= round(1.0 / DT) - 1


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        make_driver(tmp_path / 'none', RobotSpec())
