from __future__ import annotations

import copy
from itertools import product
import pickle

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import detach_state, FusionStrategy, reset_state
from liquidspike_ros.core.state import entries

STRATEGIES = [strategy.value for strategy in FusionStrategy]
FIXTURES_ARE_PURE = [HealthCheck.function_scoped_fixture]
SUBSETS = [subset for subset in product((True, False), repeat=4) if any(subset)]


def leaves(state: dict) -> dict[str, torch.Tensor]:
    return dict(entries(state))


@settings(max_examples=30, deadline=None, suppress_health_check=FIXTURES_ARE_PURE)
@given(
    strategy=st.sampled_from(STRATEGIES), modalities=st.integers(1, 4), batch=st.integers(1, 4),
    ticks=st.integers(1, 5), seed=st.integers(0, 1000),
)
def test_unroll_is_repeated_step(network, sequence, strategy, modalities, batch, ticks, seed):
    model = network(strategy, modalities, seed=seed)
    inputs = sequence(batch, ticks, modalities, seed)
    dt = torch.rand(batch, ticks).double() * 0.2
    present = torch.rand(batch, ticks, modalities) > 0.3
    outputs, after, info = model.unroll(inputs, None, dt, present, return_info=True)
    state = None
    for tick in range(ticks):
        now = {name: value[:, tick] for name, value in inputs.items()}
        output, state, step_info = model.step(now, state, dt[:, tick], present[:, tick], True)
        torch.testing.assert_close(output, outputs[:, tick], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(step_info.weights, info.weights[:, tick])
        for name, rates in step_info.spike_rates.items():
            torch.testing.assert_close(rates, info.spike_rates[name][:, tick])
    torch.testing.assert_close(leaves(state), leaves(after), rtol=1e-5, atol=1e-5)


@settings(max_examples=12, deadline=None, suppress_health_check=FIXTURES_ARE_PURE)
@given(strategy=st.sampled_from(STRATEGIES), batch=st.integers(1, 5), ticks=st.integers(1, 3),
       seed=st.integers(0, 1000))
def test_fused_is_reference_in_value_and_gradient(network, sequence, strategy, batch, ticks, seed):
    inputs = sequence(batch, ticks, seed=seed)
    dt, present = torch.rand(batch, ticks).double(), torch.rand(batch, ticks, 4) > 0.3
    results = []
    for backend in ('fused', 'reference'):
        model = network(strategy, seed=seed, backend=backend)
        outputs, state = model.unroll(inputs, None, dt, present)
        outputs.square().sum().backward()
        results.append((outputs, leaves(state), {n: p.grad for n, p in model.named_parameters()
                                                 if p.grad is not None}))
    (values, state, gradients), (expected, expected_state, expected_gradients) = results
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, expected_state, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('subset', SUBSETS)
def test_every_subset_is_finite_and_absence_is_one_thing(network, sequence, strategy, subset):
    """No key, None, present=False with NaN standing there, no key but present=True: the same."""
    model = network(strategy)
    inputs = sequence(3, 2)
    given_keys = {n: v for (n, v), here in zip(inputs.items(), subset, strict=True) if here}
    nones = {n: v if here else None for (n, v), here in zip(inputs.items(), subset, strict=True)}
    broken = {n: v if here else v * float('nan')
              for (n, v), here in zip(inputs.items(), subset, strict=True)}
    present = torch.tensor(subset).expand(3, 2, 4)
    results = []
    everywhere = torch.ones_like(present)
    for variant, mask in (
        (given_keys, None), (nones, None), (broken, present), (given_keys, everywhere)
    ):
        model.zero_grad()
        outputs, state, info = model.unroll(variant, None, 0.1, mask, return_info=True)
        outputs.square().sum().backward()
        gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad
                     for n, p in model.named_parameters()}
        results.append((outputs, leaves(state), gradients, info))
        assert bool(torch.isfinite(outputs).all())
        assert all(bool(torch.isfinite(g).all()) for g in gradients.values())
        assert all(bool(torch.isfinite(v).all()) for v in leaves(state).values())
    first = results[0]
    for other in results[1:]:
        torch.testing.assert_close(other[:3], first[:3])
    weights = first[3].weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2).double())
    assert bool((weights[..., ~torch.tensor(subset)] == 0).all())
    assert bool((weights[..., torch.tensor(subset)] > 0).all())
    assert torch.equal(first[3].present, present)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_modality_matters(network, sequence, strategy):
    model = network(strategy)
    inputs = sequence(2, 3)
    everything, _ = model.unroll(inputs)
    for name in inputs:
        changed = inputs | {name: inputs[name] + 1.0}
        assert not torch.allclose(model.unroll(changed)[0], everything)
        without = {key: value for key, value in inputs.items() if key != name}
        assert not torch.allclose(model.unroll(without)[0], everything)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_nothing_present_is_finite(network, sequence, strategy):
    model = network(strategy)
    nobody = torch.zeros(2, 3, 4, dtype=torch.bool)
    outputs, state, info = model.unroll(sequence(2, 3), None, 0.1, nobody, return_info=True)
    assert bool(torch.isfinite(outputs).all())
    assert all(bool(torch.isfinite(value).all()) for value in leaves(state).values())
    assert info.weights.abs().max() == 0


@pytest.mark.parametrize('strategy', ['late', 'hybrid', 'hierarchical'])
def test_an_absent_modality_falls_silent_and_its_memory_moves_on(network, sequence, strategy):
    model = network(strategy)
    _, state = model.unroll(sequence(1, 5))
    absent = {name: value for name, value in sequence(1, 20).items() if name != 'eye'}
    _, after, info = model.unroll(absent, state, return_info=True)
    assert info.spike_rates['eye'][:, 10:].abs().max() == 0
    before, later = state['encoders']['eye'], after['encoders']['eye']
    assert not torch.allclose(before['hx'], later['hx'])
    assert later['membrane'].abs().max() < 1.0


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_rows_are_independent(network, sequence, strategy):
    model = network(strategy)
    inputs = sequence(4, 3)
    dt, present = torch.rand(4, 3).double(), torch.rand(4, 3, 4) > 0.3
    together, _ = model.unroll(inputs, None, dt, present)
    for row in range(4):
        one = slice(row, row + 1)
        alone, _ = model.unroll({n: v[one] for n, v in inputs.items()}, None, dt[one], present[one])
        torch.testing.assert_close(together[one], alone)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_info_is_the_same_for_all_strategies(network, sequence, strategy):
    model = network(strategy)
    inputs = {name: value[:, 0] for name, value in sequence(3, 1).items()}
    output, info = model(inputs, return_modality_features=True, return_attention_maps=True)
    assert output.shape == (3, 2)
    torch.testing.assert_close(model(inputs), output)
    assert info.modalities == model.modalities == tuple(inputs)
    assert {name: value.shape for name, value in info.features.items()} == dict.fromkeys(
        inputs, (3, 6))
    assert info.weights.shape == info.present.shape == (3, 4)
    rates = torch.cat(list(info.spike_rates.values()), -1)
    assert rates.shape == (3, 28)
    assert 0 <= rates.min() < rates.max() <= 1
    if strategy in ('hybrid', 'hierarchical'):
        assert info.attention.shape == (3, 3, 4, 4)
        torch.testing.assert_close(info.attention.sum(-1), torch.ones(3, 3, 4).double())
        torch.testing.assert_close(info.attention_map('ear', 'nose'), info.attention[:, :, 1, 3])
        with pytest.raises(ValueError, match="got 'tail', expected one of eye, ear, skin, nose"):
            info.attention_map('ear', 'tail')
    else:
        with pytest.raises(ValueError, match='attention: got None'):
            info.attention_map('ear', 'nose')


def test_info_holds_what_was_asked_for(network, sequence):
    inputs = {name: value[:, 0] for name, value in sequence(1, 1).items()}
    model = network('hybrid')
    _, features = model(inputs, return_modality_features=True)
    _, maps = model(inputs, return_attention_maps=True)
    assert features.attention is None
    assert features.features
    assert maps.attention is not None
    assert not maps.features


def test_hierarchy_pairs_neighbours_before_all_meet(network, sequence):
    model = network('hierarchical')
    pairs, everybody = model.fusion.groups
    assert pairs.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert bool(everybody.all())


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_state_persists_and_time_matters(network, sequence, strategy):
    model = network(strategy)
    inputs = {name: value[:, 0] for name, value in sequence(2, 1).items()}
    first, state = model.step(inputs)
    second, _ = model.step(inputs, state)
    slower, _ = model.step(inputs, state, dt=1.0)
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, slower)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_rest_is_the_default_state(network, sequence, strategy):
    model = network(strategy)
    inputs = sequence(2, 3)
    from_rest, _ = model.unroll(inputs, model.init_state(2))
    torch.testing.assert_close(from_rest, model.unroll(inputs)[0])


def test_reset_puts_rows_back_to_rest_even_from_nan(network, sequence):
    model = network()
    inputs = sequence(3, 2)
    _, state = model.unroll(inputs)
    state['encoders']['eye']['hx'][1] = float('nan')
    mask = torch.tensor([False, True, False])
    clean = leaves(reset_state(state, mask))
    for name, value in leaves(state).items():
        assert bool((clean[name][1] == 0).all())
        assert torch.equal(clean[name][[0, 2]], value[[0, 2]])


@pytest.mark.parametrize('mask', [torch.ones(3), torch.ones(1, 3, dtype=torch.bool),
                                  torch.ones(2, dtype=torch.bool)])
def test_wrong_reset_masks_are_refused(network, mask):
    with pytest.raises(ValueError, match=r'^mask: got'):
        reset_state(network().init_state(3), mask)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_state_of_the_wrong_shape_names_the_entry(network, sequence, strategy):
    model = network(strategy)
    inputs = sequence(2, 1)
    for path in leaves(model.init_state(2)):
        state = model.init_state(2)
        *parents, last = path.split('.')
        entry = state
        for key in parents:
            entry = entry[key]
        entry[last] = torch.zeros(2, 99)
        with pytest.raises(ValueError, match=rf'state\.{path}: got shape \(2, 99\), expected'):
            model.unroll(inputs, state)
        del entry[last]
        with pytest.raises(ValueError, match=rf"got entries .* expected .*: '{last}' is missing"):
            model.unroll(inputs, state)
        entry[last] = [0.0]
        with pytest.raises(ValueError, match=rf'state\.{path}: got list, expected a tensor'):
            model.unroll(inputs, state)
    with pytest.raises(ValueError, match=r"state: got entries .* expected .*: 'tail' is unknown"):
        model.unroll(inputs, model.init_state(2) | {'tail': torch.zeros(2, 1)})
    with pytest.raises(ValueError, match='state: got list, expected a dict'):
        model.unroll(inputs, [])
    with pytest.raises(ValueError, match=r'got shape \(3, \d+\), expected \(2, \d+\)'):
        model.unroll(inputs, model.init_state(3))


def test_unroll_in_pieces_with_a_detached_state_is_truncated_backpropagation(network, sequence):
    model = network()
    inputs = {name: value.requires_grad_() for name, value in sequence(2, 6).items()}
    whole, _ = model.unroll(inputs)
    first, state = model.unroll({n: v[:, :3] for n, v in inputs.items()})
    second, _ = model.unroll({n: v[:, 3:] for n, v in inputs.items()}, detach_state(state))
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    second.sum().backward()
    assert inputs['eye'].grad[:, :3].abs().max() == 0
    assert inputs['eye'].grad[:, 3:].abs().max() > 0


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_modules_copy_and_pickle_and_hold_no_state(network, sequence, strategy):
    model = network(strategy)
    inputs = sequence(2, 3)
    before, _ = model.unroll(inputs)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.unroll(inputs)[0], before)
    torch.testing.assert_close(model.unroll(inputs)[0], before)


def test_inputs_and_states_are_left_as_they_were(network, sequence):
    model = network()
    inputs = sequence(2, 2)
    with torch.no_grad():
        _, state = model.unroll(inputs)
    saved_inputs, saved_state = copy.deepcopy((inputs, state))
    model.unroll(inputs, state)
    torch.testing.assert_close(inputs, saved_inputs, rtol=0, atol=0)
    torch.testing.assert_close(leaves(state), leaves(saved_state), rtol=0, atol=0)


def test_modality_dropout_is_absence_while_training_only(network, sequence):
    model = network('hybrid', modality_dropout={'eye': 0.5, 'ear': 0.9, 'skin': 0.9, 'nose': 0.9})
    inputs = sequence(400, 2)
    torch.manual_seed(0)
    *_, calm = model.unroll(inputs, return_info=True)
    assert bool(calm.present.all())
    *_, info = model.train().unroll(inputs, return_info=True)
    assert bool(info.present.any(-1).all())  # one modality always stays
    assert torch.equal(info.present[:, 0], info.present[:, 1])  # for the whole call
    shares = info.present[:, 0].double().mean(0)
    assert 0.5 < shares[0] < 0.9
    assert shares[1:].max() < 0.5
    never = torch.ones(400, 2, 4, dtype=torch.bool)
    never[..., 0] = False
    *_, info = model.unroll(inputs, None, 0.1, never, return_info=True)
    assert not info.present[..., 0].any()  # dropout brings nothing back


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'tail': torch.zeros(2, 3, 4)}, "inputs: got 'tail', expected names among eye"),
        ({'eye': torch.zeros(2, 3, 9).double()}, 'eye: got preprocessed features of shape'),
        ({'eye': torch.zeros(1, 3, 5).double()}, r'leading sizes .* \(batch, ticks\) like'),
        ({'eye': torch.zeros(2).double()}, 'eye: got leading sizes'),
        ({name: torch.zeros(2, 0, 1) for name in ('eye', 'ear', 'skin', 'nose')},
         r'eye: got shape \(2, 0, 1\), expected \[B, T, …\] with at least one row B'),
    ],
)
def test_wrong_inputs_are_named(network, sequence, change, message):
    with pytest.raises(ValueError, match=message):
        network().unroll(sequence(2, 3) | change)


def test_no_input_at_all_is_refused(network):
    with pytest.raises(ValueError, match='inputs: got none, expected at least one of eye'):
        network().unroll({'eye': None})


@pytest.mark.parametrize('present', [torch.ones(2, 3, 4), torch.ones(2, 4, dtype=torch.bool)])
def test_wrong_masks_are_refused(network, sequence, present):
    with pytest.raises(ValueError, match=r'present: got .* expected torch.bool of shape \(2, 3, 4'):
        network().unroll(sequence(2, 3), None, 0.1, present)


@pytest.mark.parametrize('dt', [np.float32(0.1), np.float64(0.1), np.int64(1),
                                torch.tensor([1, 2])])
def test_times_may_be_numbers_of_any_kind(network, sequence, dt):
    model, inputs = network(), sequence(2, 3)
    wanted, _ = model.unroll(inputs, dt=dt.double() if isinstance(dt, torch.Tensor) else float(dt))
    torch.testing.assert_close(model.unroll(inputs, dt=dt)[0], wanted)


@pytest.mark.parametrize('dt', [-1, float('nan'), np.float32('inf'), True, None, '0.1',
                                np.array([0.1, 0.1]), torch.tensor(-1.0),
                                torch.tensor([0.1, float('nan')])])
def test_times_that_are_none_are_refused(network, sequence, dt):
    with pytest.raises(ValueError, match=r'dt: got .* expected seconds, finite and not negative'):
        network().unroll(sequence(2, 3), dt=dt)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (torch.ones(2, 5), 'eye: got preprocessed features of torch.float32, expected torch.flo'),
        (torch.ones(2, 5, dtype=torch.int64), 'eye: got preprocessed features of torch.int64'),
        (torch.ones(0, 5), r'eye: got shape \(0, 5\), expected \[B, …\] with at least one row B'),
        (np.ones((2, 5)), 'eye: got ndarray, expected a torch.Tensor'),
        ([[1.0] * 5] * 2, 'eye: got list, expected a torch.Tensor'),
    ],
)
@pytest.mark.parametrize('gradients', [False, True])
def test_inputs_of_another_kind_are_named(network, value, message, gradients):
    with torch.set_grad_enabled(gradients), pytest.raises(ValueError, match=message):
        network().step({'eye': value})


def test_an_input_of_another_precision_than_its_preprocessor_is_named(network):
    layer = torch.nn.Linear(3, 5).double()
    model = network(modality={'preprocessing': layer, 'input_dim': 5})
    with pytest.raises(ValueError, match=r'eye: got torch\.float32, expected torch\.float64 like'):
        model.step({'eye': torch.ones(2, 3)})


def test_sizes_may_be_of_numpy(network, sequence):
    size = np.int64
    rate = np.float32(0.1)
    model = network(modality={'spiking_units': size(7), 'encoder_dim': size(6), 'beta': rate,
                              'num_spike_steps': size(3)}, fusion_dim=size(10), output_dim=size(2),
                    memory_units=size(4), dt_scale=np.float32(15), modality_dropout=rate)
    assert model.unroll(sequence(2, 3))[0].shape == (2, 3, 2)
    with pytest.raises(ValueError, match='fusion_dim: got'):
        network(fusion_dim=np.float64(10))
    with pytest.raises(ValueError, match='present: got ndarray'):
        model.step({'eye': torch.ones(2, 5).double()}, present=np.ones((2, 4), bool))
