from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
from snntorch import spikegen
import torch

from liquidspike_ros.core.spiking import coding


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 5), units=st.integers(1, 20),
       steps=st.integers(1, 20))
def test_rate_is_that_of_snntorch_with_the_same_seed(seed, batch, units, steps):
    torch.manual_seed(seed)
    intensity = torch.rand(batch, units) * 1.4 - 0.2  # clipped outside [0, 1]
    torch.manual_seed(seed)
    expected = spikegen.rate(intensity, steps)
    torch.manual_seed(seed)
    assert torch.equal(coding.rate(intensity.unsqueeze(1), steps), expected.transpose(0, 1))


def test_rate_of_a_sequence_follows_each_tick():
    intensity = torch.tensor([[[0.0], [1.0], [0.25]]])
    spikes = coding.rate(intensity, 4000).unflatten(1, (3, -1)).mean((0, 2, 3))
    assert spikes.tolist() == pytest.approx([0.0, 1.0, 0.25], abs=0.03)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), batch=st.integers(1, 5), units=st.integers(1, 20),
    steps=st.integers(2, 20), threshold=st.sampled_from([0.01, 0.2]), linear=st.booleans(),
    clip=st.booleans(),
)
def test_latency_is_that_of_snntorch(seed, batch, units, steps, threshold, linear, clip):
    torch.manual_seed(seed)
    intensity = torch.rand(batch, units).double()
    intensity[0, 0] = 0.0  # spikegen spreads the logarithmic code by the longest time in the batch
    expected = spikegen.latency(intensity, steps, threshold=threshold, normalize=True,
                                linear=linear, clip=clip).double()
    spikes = coding.latency(intensity.unsqueeze(1), steps, threshold, linear, clip)
    torch.testing.assert_close(spikes, expected.transpose(0, 1), rtol=0, atol=0)


@pytest.mark.parametrize('linear', [True, False])
def test_latency_of_a_row_does_not_depend_on_the_others(linear):
    intensity = torch.rand(4, 3, 6)
    together = coding.latency(intensity, 8, linear=linear)
    for row in range(4):
        alone = coding.latency(intensity[row:row + 1], 8, linear=linear)
        assert torch.equal(alone, together[row:row + 1])


def test_latency_in_figures():
    spikes = coding.latency(torch.tensor([[[1.0], [0.5], [0.02], [0.005]]]), 5)
    assert spikes.view(4, 5).tolist() == [
        [1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 5), ticks=st.integers(1, 6),
       threshold=st.sampled_from([0.1, 0.7]))
def test_delta_is_that_of_snntorch(seed, batch, ticks, threshold):
    torch.manual_seed(seed)
    values = torch.randn(batch, ticks, 3)
    expected = spikegen.delta(values.transpose(0, 1), threshold, off_spike=True)
    spikes, last = coding.delta(values, torch.zeros(batch, 3), threshold=threshold)
    assert torch.equal(spikes, expected.transpose(0, 1))
    assert torch.equal(last, values[:, -1])


def test_delta_remembers_from_call_to_call_and_over_absence():
    values = torch.randn(2, 7, 3)
    present = torch.tensor([[True, False, True, True, False, False, True], [True] * 7])
    whole, after = coding.delta(values, torch.zeros(2, 3), present)
    last, parts = torch.zeros(2, 3), []
    for tick in range(7):
        one = slice(tick, tick + 1)
        spikes, last = coding.delta(values[:, one], last, present[:, one])
        parts.append(spikes)
    assert torch.equal(torch.cat(parts, 1), whole)
    assert torch.equal(last, after)
    assert not whole[0, ~present[0]].any()
    there = values[:1, present[0]]  # as if the absent ticks had never been
    assert torch.equal(whole[:1, present[0]], coding.delta(there, torch.zeros(1, 3))[0])


@pytest.mark.parametrize('code', [
    lambda x: coding.rate(x, 4),
    lambda x: coding.latency(x, 4),
    lambda x: coding.delta(x, torch.zeros(2, 5))[0],
])
def test_what_stands_before_a_code_can_learn(code):
    values = (torch.rand(2, 3, 5) * 0.8 + 0.1).requires_grad_()
    code(values).sum().backward()
    assert values.grad.min() > 0


def test_wrong_arguments_are_named():
    for code in (coding.rate, coding.latency):
        with pytest.raises(ValueError, match='num_steps: got 0, expected at least 1'):
            code(torch.rand(1, 1, 1), 0)
    with pytest.raises(ValueError, match=r'threshold: got 1.5, expected a number in \(0, 1\)'):
        coding.latency(torch.rand(1, 1, 1), 4, 1.5)
