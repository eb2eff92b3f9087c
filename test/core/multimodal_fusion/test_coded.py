"""Coded inputs and other resets in every fusion strategy."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import FusionStrategy, MultiModalFusionNetwork

STRATEGIES = [strategy.value for strategy in FusionStrategy]
SPIKING = [  # without rate, which is random
    {'coding': 'latency'},
    {'coding': 'delta'},
    {'spiking_options': {'reset': 'zero', 'learn_threshold': True}},
    {'spiking_options': {'reset': 'none', 'surrogate': 'atan'}},
    {'coding': 'delta', 'backbone': 'ncp', 'spiking_options': {'reset': 'zero'}},
]


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('modality', SPIKING, ids=str)
def test_unroll_is_repeated_step_with_any_part_missing(network, sequence, strategy, modality):
    model = network(strategy, modality=modality)
    inputs, dt = sequence(3, 5), torch.rand(3, 5).double() * 0.2
    present = torch.rand(3, 5, 4) > 0.4
    outputs, after, info = model.unroll(inputs, None, dt, present, return_info=True)
    state = None
    for tick in range(5):
        now = {name: value[:, tick] for name, value in inputs.items()}
        output, state = model.step(now, state, dt[:, tick], present[:, tick])
        torch.testing.assert_close(output, outputs[:, tick], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, after, rtol=1e-5, atol=1e-5)
    assert any(rates.max() > 0 for rates in info.spike_rates.values())


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('modality', SPIKING, ids=str)
def test_fused_is_reference_in_value_and_gradient(network, sequence, strategy, modality):
    inputs = sequence(2, 3)
    results = []
    for backend in ('fused', 'reference'):
        model = network(strategy, modality=modality, backend=backend)
        outputs, state = model.unroll(inputs)
        outputs.square().sum().backward()
        results.append((outputs, state, {n: p.grad for n, p in model.named_parameters()
                                         if p.grad is not None}))
    (*values, gradients), (*expected, expected_gradients) = results
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('coding', ['rate', 'latency', 'delta'])
def test_codes_tell_inputs_apart_and_let_them_learn(network, sequence, strategy, coding):
    model = network(strategy, modality={'coding': coding, 'num_spike_steps': 16})
    inputs = {name: value.requires_grad_() for name, value in sequence(2, 3).items()}
    torch.manual_seed(0)
    outputs, _ = model.unroll(inputs)
    torch.manual_seed(0)
    torch.testing.assert_close(model.unroll(inputs)[0], outputs)
    for name in inputs:
        torch.manual_seed(0)
        other, _ = model.unroll(inputs | {name: -inputs[name]})
        assert not torch.allclose(other, outputs)
    outputs.square().sum().backward()
    assert all(value.grad.abs().max() > 0 for value in inputs.values())


@pytest.mark.parametrize('coding', ['rate', 'latency', 'delta'])
def test_absence_is_one_thing_with_codes_too(network, sequence, coding):
    model = network('hybrid', modality={'coding': coding})
    inputs = sequence(2, 3)
    without = {name: value for name, value in inputs.items() if name != 'ear'}
    present = torch.ones(2, 3, 4, dtype=torch.bool)
    present[..., 1] = False
    torch.manual_seed(0)
    expected, state = model.unroll(without)
    broken = inputs | {'ear': inputs['ear'] * float('nan')}
    torch.manual_seed(0)
    got, after = model.unroll(broken, None, present=present)
    assert bool(torch.isfinite(got).all())
    if coding == 'rate':
        return  # the broken one draws random numbers too
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(after, state)


def test_delta_remembers_in_the_state(network, sequence):
    model = network('late', modality={'coding': 'delta'})
    still = {name: value[:, :1].repeat(1, 3, 1) for name, value in sequence(2, 1).items()}
    _, state = model.unroll(still)
    assert state['encoders']['eye']['last'].shape == (2, 5)
    torch.testing.assert_close(state['encoders']['eye']['last'], still['eye'][:, 0])
    cleared = model.init_state(2)
    assert not cleared['encoders']['eye']['last'].any()


def test_direct_is_the_default_and_adds_nothing_to_the_state(network):
    model = network('late')
    assert set(model.init_state(1)['encoders']['eye']) == {'membrane', 'hx'}
    assert {name for name, _ in model.fusion.encoders['eye'].population.named_parameters()} == {
        'beta'}


@pytest.mark.parametrize('key', ['backbone', 'coding'])
def test_early_fusion_refuses_modalities_that_need_different_encoders(key):
    one = {'type': 'custom', 'input_dim': 3}
    other = one | {'backbone': {'backbone': 'ltc'}, 'coding': {'coding': 'delta'}}[key]
    with pytest.raises(ValueError, match=rf'{key}: got a=.* b=.* expected the same for all: early'):
        MultiModalFusionNetwork({'a': one, 'b': other}, 'early')
    MultiModalFusionNetwork({'a': one, 'b': other}, 'late')
