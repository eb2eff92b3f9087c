from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import snntorch
import torch
from torch import Tensor

from liquidspike_ros.core.spiking.population import leaky_sequence, LIFPopulation
from liquidspike_ros.core.spiking.reference import leaky_reference
from liquidspike_ros.core.spiking.surrogates import spike_gradient, SURROGATES


def drawn(seed: int, batch: int, ticks: int, units: int) -> tuple[Tensor, ...]:
    """Current, membrane, beta, threshold: in double precision, so that no spike is a tie."""
    torch.manual_seed(seed)
    return (
        torch.randn(batch, ticks, units, dtype=torch.float64) * 0.5 + 0.3,
        torch.randn(batch, units, dtype=torch.float64),
        torch.rand(units, dtype=torch.float64) * 1.2 - 0.1,  # some outside [0, 1]: clamped
        torch.rand(units, dtype=torch.float64) + 0.5,
    )


def run(function, tensors, steps, surrogate):
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    spikes, membrane = function(*leaves, steps, spike_gradient(surrogate))
    weight = torch.linspace(-1, 1, spikes.numel(), dtype=spikes.dtype).view_as(spikes)
    ((spikes * weight).sum() + membrane.sin().sum()).backward()
    return (spikes, membrane), [leaf.grad for leaf in leaves]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 4),
    ticks=st.integers(1, 4),
    units=st.integers(1, 6),
    steps=st.integers(1, 6),
    surrogate=st.sampled_from(SURROGATES),
)
def test_values_and_gradients_are_those_of_snntorch(seed, batch, ticks, units, steps, surrogate):
    tensors = drawn(seed, batch, ticks, units)
    values, gradients = run(leaky_sequence, tensors, steps, surrogate)
    expected_values, expected_gradients = run(leaky_reference, tensors, steps, surrogate)
    for got, want in zip(values, expected_values, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    for got, want in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_reference_is_plain_snntorch_code():
    current, membrane, _, _ = drawn(1, 3, 5, 4)
    cell = snntorch.Leaky(beta=0.9, threshold=0.7)
    expected = []
    state = membrane
    for drive in current.unbind(1):
        spikes, state = cell(drive, state)
        expected.append(spikes)
    beta, threshold = torch.full((4,), 0.9).double(), torch.full((4,), 0.7).double()
    got, after = leaky_reference(current, membrane, beta, threshold)
    torch.testing.assert_close(got, torch.stack(expected, 1).double())
    torch.testing.assert_close(after, state)


def test_single_precision_spikes_are_bit_for_bit_those_of_snntorch():
    torch.manual_seed(0)
    current, membrane = torch.rand(4, 8, 64), torch.randn(4, 64)
    beta, threshold = torch.full((64,), 0.95), torch.ones(64)
    ours = leaky_sequence(current, membrane, beta, threshold, 16)
    theirs = leaky_reference(current, membrane, beta, threshold, 16, spike_gradient('atan'))
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_threshold_is_strict():
    beta, threshold = torch.ones(3), torch.ones(3)
    current = torch.tensor([[[0.999, 1.0, 1.001]]])
    spikes, _ = leaky_sequence(current, torch.zeros(1, 3), beta, threshold)
    assert spikes.tolist() == [[[0.0, 0.0, 1.0]]]


def test_reset_comes_one_step_after_the_spike():
    beta, threshold = torch.tensor([0.5]), torch.tensor([1.0])
    current = torch.tensor([[[1.5], [0.0]]])
    _, first = leaky_sequence(current[:, :1], torch.zeros(1, 1), beta, threshold)
    _, second = leaky_sequence(current[:, 1:], first, beta, threshold)
    assert first.item() == 1.5
    assert second.item() == 0.5 * 1.5 - 1.0


def test_a_held_current_equals_the_same_current_given_at_every_step():
    current, membrane, beta, threshold = drawn(2, 2, 3, 5)
    held = leaky_sequence(current, membrane, beta, threshold, 7)
    given_each = leaky_sequence(current.repeat_interleave(7, 1), membrane, beta, threshold, 1)
    torch.testing.assert_close(held, given_each)


def test_the_membrane_carries_a_population_from_tick_to_tick():
    current, membrane, beta, threshold = drawn(3, 2, 6, 5)
    whole, after = leaky_sequence(current, membrane, beta, threshold, 4)
    parts = []
    for tick in current.split(1, 1):
        spikes, membrane = leaky_sequence(tick, membrane, beta, threshold, 4)
        parts.append(spikes)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    torch.testing.assert_close(membrane, after)


def test_membrane_resolves_currents_that_rest_cannot():
    """From rest, one tick of 8 steps tells at most 9 rates apart; over ticks the state does."""
    population = LIFPopulation(1, beta=1.0)
    rates = []
    for current in (0.51, 0.54):
        drive = torch.full((1, 32, 1), current)
        spikes, _ = population(drive, torch.zeros(1, 1), 8)
        rates.append(spikes.mean().item())
    first, second = rates
    assert second - first == pytest.approx(0.03, abs=0.008)


def test_inputs_are_left_as_they_were():
    tensors = drawn(4, 2, 3, 4)
    before = [tensor.clone() for tensor in tensors]
    leaky_sequence(*tensors, 5)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_snntorch_keeps_no_trace_of_the_reference():
    before = len(snntorch.SpikingNeuron.instances)
    leaky_reference(*drawn(5, 1, 1, 2), 1, spike_gradient('atan'))
    assert len(snntorch.SpikingNeuron.instances) == before


@pytest.mark.parametrize('beta', [0.8, torch.tensor([0.7, 0.8, 0.9])])
def test_an_upstream_state_dict_loads(beta):
    upstream = snntorch.Leaky(beta=beta, threshold=0.6)
    population = LIFPopulation(3)
    population.load_state_dict(upstream.state_dict())
    current = torch.rand(4, 6, 3)
    state, expected = torch.zeros(4, 3), []
    for drive in current.unbind(1):
        spikes, state = upstream(drive, state)
        expected.append(spikes)
    spikes, membrane = population(current, torch.zeros(4, 3))
    assert torch.equal(spikes, torch.stack(expected, 1))
    torch.testing.assert_close(membrane, state)


@pytest.mark.parametrize('other', [{'reset_mechanism': 'zero'}, {'graded_spikes_factor': 2.0}])
def test_an_upstream_state_dict_of_other_dynamics_is_refused(other):
    with pytest.raises(ValueError, match=rf'{next(iter(other))}.*: got .* expected'):
        LIFPopulation(3).load_state_dict(snntorch.Leaky(beta=0.9, **other).state_dict())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'units': 0}, 'units: got 0'),
        ({'units': 4, 'beta': 1.5}, 'beta: got 1.5, expected a decay in'),
        ({'units': 4, 'threshold': 0.0}, 'threshold: got 0.0'),
        ({'units': 4, 'surrogate': 'relu'}, "surrogate: got 'relu', expected one of fast_sigmoid"),
        ({'units': 4, 'backend': 'cuda'}, "backend: got 'cuda', expected one of fused, reference"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LIFPopulation(**arguments)
