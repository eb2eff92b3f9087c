from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from liquidspike_ros.control.rehearsal import blank_observation, compare, rehearsal


class Scripted:
    """Gives rows one after the other; its state is what it gave last."""

    def __init__(self, *rows):
        self.rows, self.given, self.state, self.resets = rows, 0, None, 0

    def reset(self):
        self.resets += 1

    def step(self, obs, introspect=False):
        row = np.array(self.rows[self.given % len(self.rows)], np.float32)
        self.given += 1
        self.state = {'a': torch.from_numpy(row), 'b': [torch.zeros(2)]}
        return row, None


def test_a_drive_shows_everything_that_can_go_wrong(small_robot):
    drive = rehearsal(small_robot)
    assert all(drive[0].present.values())
    alone = [tuple(name for name, here in obs.present.items() if not here) for obs in drive]
    assert {(name,) for name in small_robot.sensors} <= set(alone)
    assert any(len(lost) > 1 for lost in alone)
    assert sum(obs.clock_jumped for obs in drive) == 1
    assert len({obs.dt for obs in drive}) == len(drive)
    for obs in drive:
        for name, value in obs.values.items():
            spec = small_robot.sensors[name]
            assert value.shape == spec.shape
            assert value.dtype == (np.uint8 if name == 'camera' else np.float32)
            assert np.any(value) == obs.present[name]
            assert np.isfinite(value).all()


def test_the_same_seed_is_the_same_drive(small_robot):
    one, again, other = (rehearsal(small_robot, 5, seed=s) for s in (1, 1, 2))
    assert all(a.equals(b) for a, b in zip(one, again, strict=True))
    assert not one[0].equals(other[0])


def test_a_blank_observation_has_the_shapes_of_the_robot(small_robot):
    obs = blank_observation(small_robot)
    assert {name: value.shape for name, value in obs.values.items()} == {
        name: spec.shape for name, spec in small_robot.sensors.items()}


def test_the_largest_action_difference_and_the_mean_of_the_state_count(small_robot):
    one, other = Scripted([0, 0, 1], [1, 0, 1]), Scripted([0, 0, 1], [1, -0.5, 1])
    gap = compare(one, other, rehearsal(small_robot, 4))
    assert gap.action == 0.5
    assert gap.state == pytest.approx(0.1)  # one of five entries
    assert one.resets == other.resets == 2  # at the start, and at the clock jump


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_what_is_not_finite_is_infinitely_far_off(small_robot, bad):
    gap = compare(Scripted([0, 0, 1]), Scripted([bad, 0, 0]), rehearsal(small_robot, 1))
    assert gap.action == gap.state == math.inf


def test_another_number_of_actions_is_infinitely_far_off(small_robot):
    gap = compare(Scripted([0, 0, 1]), Scripted([0, 1]), rehearsal(small_robot, 1))
    assert gap.action == math.inf
