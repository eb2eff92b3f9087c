"""What an artefact is driven with before anybody may use it."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.export.flat_step import FlatStep
from liquidspike_ros.export.sequences import LONG_GAP, random_ticks


@pytest.fixture(scope='module')
def ticks(step):
    return random_ticks(step)


def test_there_are_enough(ticks):
    assert len(ticks) >= 20


def test_something_is_always_present(ticks):
    assert all(bool(tick.present.any(-1).all()) for tick in ticks)


def test_everything_together_each_alone_and_other_subsets(ticks):
    seen = {tuple(tick.present[0].tolist()) for tick in ticks}
    alone = [tuple(index == one for index in range(4)) for one in range(4)]
    assert seen >= {(True,) * 4, *alone}
    assert len(seen) > 8


def test_what_is_absent_is_nan_and_what_is_there_is_finite(ticks):
    for tick in ticks:
        for value, here in zip(tick.senses, tick.present[0], strict=True):
            assert bool(torch.isfinite(value).all()) == bool(here)
            assert bool(torch.isnan(value).all()) != bool(here)


def test_time_stands_still_runs_and_jumps(ticks, step):
    spans = {float(tick.dt) for tick in ticks}
    assert {0.0, LONG_GAP} < spans
    assert len(spans) > 10
    assert min(spans) == 0.0


def test_the_state_is_reset_on_the_way(ticks):
    assert ticks[0].reset
    assert sum(tick.reset for tick in ticks) >= 2


def test_microphones_that_are_there_may_be_silent(ticks, step):
    audio = step.modalities.index('audio')
    assert any(bool((tick.senses[audio] == 0).all()) for tick in ticks)


def test_they_are_the_same_every_time(step, ticks):
    again = random_ticks(step)
    for one, other in zip(ticks, again, strict=True):
        torch.testing.assert_close(one.arguments, other.arguments, rtol=0, atol=0, equal_nan=True)


def test_rows_of_a_batch_differ(robot_model):
    ticks = random_ticks(FlatStep(robot_model(), batch=4))
    assert any(len(set(map(tuple, tick.present.tolist()))) > 1 for tick in ticks)
    assert any(len(set(tick.dt.tolist())) > 1 for tick in ticks)
