from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import snntorch
import torch

from liquidspike_ros.core.spiking.population import LIFPopulation, RESETS
from liquidspike_ros.core.spiking.surrogates import SURROGATES


def built(seed: int = 0, units: int = 4, **arguments) -> LIFPopulation:
    torch.manual_seed(seed)
    population = LIFPopulation(units, learn_threshold=True, **arguments).double()
    with torch.no_grad():
        population.beta.uniform_(-0.1, 1.1)
        population.threshold.uniform_(0.4, 1.2)
    return population


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000), batch=st.integers(1, 4), ticks=st.integers(1, 4),
    units=st.integers(1, 6), steps=st.integers(1, 6), reset=st.sampled_from(RESETS),
    surrogate=st.sampled_from(SURROGATES),
)
def test_values_and_gradients_are_those_of_snntorch(
    seed, batch, ticks, units, steps, reset, surrogate
):
    population = built(seed, units, reset=reset, surrogate=surrogate)
    current = torch.randn(batch, ticks, units).double() * 0.5 + 0.3
    membrane = torch.randn(batch, units).double()
    results = []
    for backend in ('fused', 'reference'):
        population.backend = backend
        population.zero_grad()
        leaves = [tensor.clone().requires_grad_() for tensor in (current, membrane)]
        spikes, after = population(*leaves, steps)
        weight = torch.linspace(-1, 1, spikes.numel(), dtype=spikes.dtype).view_as(spikes)
        ((spikes * weight).sum() + after.sin().sum()).backward()
        gradients = [leaf.grad for leaf in leaves] + [p.grad for p in population.parameters()]
        results.append(((spikes, after), gradients))
    (values, gradients), (expected_values, expected_gradients) = results
    torch.testing.assert_close(values, expected_values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('reset', RESETS)
@pytest.mark.parametrize('learn', [True, False])
def test_plain_snntorch_code_with_its_own_weights_gives_the_same(reset, learn):
    upstream = snntorch.Leaky(beta=0.8, threshold=0.7, reset_mechanism=reset,
                              learn_threshold=learn)
    population = LIFPopulation(4, reset=reset, learn_threshold=learn)
    population.load_state_dict(upstream.state_dict())
    torch.manual_seed(0)
    current, state, expected = torch.rand(3, 9, 4), torch.zeros(3, 4), []
    for drive in current.unbind(1):
        spikes, state = upstream(drive, state)
        expected.append(spikes)
    spikes, membrane = population(current, torch.zeros(3, 4))
    assert torch.equal(spikes, torch.stack(expected, 1))
    torch.testing.assert_close(membrane, state)
    assert spikes.sum() > 0


def test_what_each_reset_leaves_of_a_membrane_one_step_after_the_spike():
    left = {}
    for reset in RESETS:
        population = LIFPopulation(1, beta=0.5, threshold=1.0, reset=reset)
        _, left[reset] = population(torch.tensor([[[1.5], [0.25]]]), torch.zeros(1, 1))
    assert {name: value.item() for name, value in left.items()} == {
        'subtract': 0.5 * 1.5 + 0.25 - 1.0, 'zero': 0.25, 'none': 0.5 * 1.5 + 0.25}


def test_a_threshold_learns_only_where_it_is_asked_to():
    fixed, learned = LIFPopulation(3), LIFPopulation(3, learn_threshold=True)
    assert 'threshold' not in dict(fixed.named_parameters())
    assert fixed.state_dict().keys() == learned.state_dict().keys()
    spikes, _ = learned(torch.rand(2, 4, 3), torch.zeros(2, 3), 4)
    spikes.sum().backward()
    assert learned.threshold.grad.abs().min() > 0


def test_another_reset_than_the_weights_were_made_for_is_refused():
    with pytest.raises(ValueError, match=r'reset_mechanism_val: got 1, expected 2'):
        LIFPopulation(3, reset='none').load_state_dict(
            snntorch.Leaky(beta=0.9, reset_mechanism='zero').state_dict())
    with pytest.raises(ValueError, match=r"reset: got 'hard', expected one of subtract, zero, n"):
        LIFPopulation(3, reset='hard')
