"""What one neuron can do in a tick where rounding may decide whether it fires."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.spiking.lif import plain_sequence
from liquidspike_ros.export.spike_courses import courses, Neuron

REACH = 1e-5


def neuron(start, current, steps, beta=0.5, threshold=1.0, reset='subtract'):
    return Neuron(start, [current] * steps, beta, threshold, reset)


@pytest.mark.parametrize('reset', ['subtract', 'zero', 'none'])
def test_far_from_the_threshold_there_is_one_course_and_it_is_the_population_s(reset):
    draw = torch.Generator().manual_seed(0)
    for _ in range(50):
        start, current, beta = torch.rand(3, generator=draw, dtype=torch.float64).tolist()
        spikes, after = plain_sequence(
            *(torch.tensor(value, dtype=torch.float64) for value in (
                [[[current]]], [[2 * start]], [beta], [0.8])), 7, reset=reset)
        (course,) = courses(neuron(2 * start, current, 7, beta, 0.8, reset), 0.0)
        assert course.membrane == pytest.approx(float(after), abs=1e-12)
        assert course.rate == pytest.approx(float(spikes.mean()))
        assert course.distance == 0.0


def test_at_the_threshold_it_fires_or_not_and_the_membrane_feels_it_a_step_later():
    # 0.5 · 0.8 + 0.6 meets the threshold at the first step.
    assert [(round(c.membrane, 6), c.spikes) for c in courses(neuron(0.8, 0.6, 1), REACH)] == [
        (1.0, 0), (1.0, 1)]
    # Then 0.5 + 0.6 is above it without a spike, and 0.1 with one.
    assert [(round(c.membrane, 6), c.spikes) for c in courses(neuron(0.8, 0.6, 2), REACH)] == [
        (1.1, 1), (0.1, 1)]


def test_the_spike_before_the_tick_may_tie_as_well():
    assert sorted(round(c.membrane, 6) for c in courses(neuron(1.0, 0.2, 1), REACH)) == [-0.3, 0.7]


def test_it_may_tie_at_every_step_without_drowning_in_courses():
    # At 0.05 and a decay of 0.95 the membrane stays where it is: at the threshold.
    found = courses(neuron(1.0, 0.05, 32, beta=0.95), REACH)
    assert {c.spikes for c in found} == {0, 1}  # once at one of 32 steps, or never
    assert 32 < len(found) <= 64
    assert found[0].distance < 1e-12


@pytest.mark.parametrize(('off', 'count'), [(0.9e-5, 2), (1.1e-5, 1)])
def test_how_far_it_was_is_kept_and_bounded(off, count):
    found = courses(neuron(0.8, 0.6 + off, 1), REACH)
    assert len(found) == count
    assert found[0].distance == 0.0
    assert found[-1].distance == pytest.approx(off * (count - 1))
