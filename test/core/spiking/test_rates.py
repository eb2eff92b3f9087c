from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from liquidspike_ros.core.spiking.population import leaky_sequence
from liquidspike_ros.core.spiking.rates import spike_rates
from liquidspike_ros.core.spiking.surrogates import spike_gradient, SURROGATES


def drawn(seed: int, ticks: int, batch: int, units: int) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    double = torch.float64
    return [torch.randn(ticks, batch, units, dtype=double) * 0.5 + 0.3,
            torch.randn(batch, units, dtype=double), torch.rand(units, dtype=double),
            torch.rand(units, dtype=double) + 0.5]


def by_spikes(current, membrane, beta, threshold, steps, surrogate):
    """The same by the node that hands out every spike."""
    spikes, after = leaky_sequence(
        current.transpose(0, 1), membrane, beta, threshold, steps, surrogate)
    return spikes.unflatten(1, (-1, steps)).mean(2).transpose(0, 1), after


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), ticks=st.integers(1, 4), batch=st.integers(1, 4),
       units=st.integers(1, 6), steps=st.integers(1, 6), surrogate=st.sampled_from(SURROGATES))
def test_rates_and_gradients_are_those_of_the_spikes(seed, ticks, batch, units, steps, surrogate):
    results = []
    for function in (spike_rates, by_spikes):
        leaves = [value.clone().requires_grad_() for value in drawn(seed, ticks, batch, units)]
        rates, after = function(*leaves, steps, spike_gradient(surrogate))
        (rates.sin().sum() + after.square().sum()).backward()
        results.append(((rates, after), [leaf.grad for leaf in leaves]))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize('threshold', [1.0, 0.7])
def test_without_gradients_the_values_are_the_same(threshold):
    torch.manual_seed(0)
    current, membrane = torch.rand(5, 3, 4, 16), torch.randn(3, 4, 16)
    beta, limit = torch.rand(3, 1, 16), torch.full((3, 1, 16), threshold)
    given_ = (current.double(), membrane.double(), beta.double(), limit.double(), 8,
              spike_gradient('atan'))
    with torch.no_grad():
        quick = spike_rates(*given_)
    torch.testing.assert_close(quick, spike_rates(*given_))
    assert torch.equal(given_[1], membrane.double())  # the state given is left as it was


def test_walking_back_in_pieces_changes_nothing(monkeypatch):
    """A population too large for the cache is walked back a few steps at a time."""
    results = []
    for cached in (10**6, 24, 1):  # all 5 steps of 12 neurons, 2 steps, 1 step
        monkeypatch.setattr('liquidspike_ros.core.spiking.rates.CACHED', cached)
        leaves = [value.clone().requires_grad_() for value in drawn(1, 3, 2, 6)]
        rates, after = spike_rates(*leaves, 5, spike_gradient('atan'))
        (rates.sin().sum() + after.square().sum()).backward()
        results.append([leaf.grad for leaf in leaves])
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])
