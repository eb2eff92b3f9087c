from __future__ import annotations

import copy
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
import ncps.torch
from ncps.torch import LTCCell
from ncps.wirings import AutoNCP, FullyConnected
import pytest
import torch

from liquidspike_ros.core.liquid import auto_ncp, LTC


def built(seed: int = 0, **arguments) -> LTC:
    torch.manual_seed(seed)
    return LTC(**{'input_size': 3, 'units': 5} | arguments).double()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), batch=st.integers(1, 6), ticks=st.integers(1, 4),
    width=st.integers(1, 5), units=st.integers(1, 6), unfolds=st.integers(1, 6),
    inputs_by=st.sampled_from(['affine', 'linear', 'none']),
    outputs_by=st.sampled_from(['affine', 'linear', 'none']), wired=st.booleans(),
)
def test_values_and_gradients_are_those_of_ncps(
    seed, batch, ticks, width, units, unfolds, inputs_by, outputs_by, wired
):
    cell = built(seed, input_size=width, units=auto_ncp(units + 4) if wired else units,
                 input_mapping=inputs_by, output_mapping=outputs_by, ode_unfolds=unfolds)
    inputs = torch.rand(batch, ticks, width).double()
    hx = torch.randn(batch, cell.units).double()
    dt = torch.rand(batch, ticks).double() * 0.3 + 0.001
    results = []
    for backend in ('fused', 'reference'):
        cell.backend = backend
        cell.zero_grad()
        leaves = [tensor.clone().requires_grad_() for tensor in (inputs, hx, dt)]
        outputs, after = cell(*leaves)
        (outputs.sin().sum() + after.square().sum()).backward()
        gradients = [leaf.grad for leaf in leaves] + [p.grad for p in cell.parameters()]
        results.append(((outputs, after), gradients))
    (values, gradients), (expected_values, expected_gradients) = results
    torch.testing.assert_close(values, expected_values, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-4)


def test_plain_ncps_code_with_its_own_weights_gives_the_same():
    torch.manual_seed(1)
    upstream = ncps.torch.LTC(3, 5)
    cell = LTC(3, FullyConnected(5), dt_scale=1.0)
    cell.load_state_dict(upstream.rnn_cell.state_dict())
    inputs, dt = torch.rand(1, 6, 3), torch.rand(1, 6, 1) + 0.01
    expected, hx = upstream(inputs, timespans=dt)
    outputs, after = cell(inputs, None, dt)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after, hx)


@pytest.mark.parametrize('constrained', [True, False])
def test_an_upstream_state_dict_loads_with_either_kind_of_constraint(constrained):
    torch.manual_seed(1)
    wiring = AutoNCP(9, 3)
    upstream = LTCCell(wiring, 4, implicit_param_constraints=constrained)
    with torch.no_grad():
        upstream.gleak[0] = 0.0  # what clipping leaves behind
    cell = LTC(4, wiring, dt_scale=1.0)
    cell.load_ncps(upstream.state_dict(), constrained)
    x, hx, dt = torch.rand(6, 4), torch.randn(6, 9), torch.rand(6, 1) + 0.01
    expected_output, expected = upstream(x, hx, dt)
    output, after = cell(x.unsqueeze(1), hx, dt)
    torch.testing.assert_close(after, expected)
    torch.testing.assert_close(output[:, 0], expected_output)


def test_initial_values_act_within_the_ranges_of_ncps():
    cell = built(units=40)
    for name, low, high in (('gleak', 0.001, 1), ('cm', 0.4, 0.6), ('w', 0.001, 1),
                            ('sensory_w', 0.001, 1)):
        acting = torch.nn.functional.softplus(cell.get_parameter(name))
        assert low - 1e-6 <= acting.min() < acting.max() <= high + 1e-6


def test_no_optimiser_step_makes_a_conductance_negative():
    cell = built()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.sub_(50.0)
    outputs, hx = cell(torch.rand(2, 4, 3).double(), torch.randn(2, 5).double(), 0.1)
    assert bool(torch.isfinite(outputs).all() and torch.isfinite(hx).all())


def test_no_time_passing_changes_nothing_and_has_finite_gradients():
    cell = built()
    hx = torch.randn(2, 5).double()
    _, after = cell(torch.rand(2, 3, 3).double(), hx, 0.0)
    torch.testing.assert_close(after, hx)
    _, after = cell(torch.rand(2, 3, 3).double(), hx, torch.tensor([0.0, 0.1]))
    after.square().sum().backward()
    torch.testing.assert_close(after[0], hx[0])
    assert not torch.allclose(after[1], hx[1])
    assert all(bool(torch.isfinite(p.grad).all()) for p in cell.parameters() if p.grad is not None)


def test_a_very_long_time_settles_at_an_equilibrium():
    cell = built(ode_unfolds=50)
    inputs = torch.rand(1, 1, 3).double()
    _, first = cell(inputs, None, 1e6)
    _, second = cell(inputs, first, 1e6)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('form', ['[B]', '[B, T]', '[B, T, 1]'])
def test_batched_timespans_equal_the_loop_over_rows_even_where_batch_is_units(form):
    cell = built(units=5)
    inputs, dt = torch.rand(5, 4, 3).double(), torch.rand(5, 4).double()
    dt = {'[B]': dt[:, 0], '[B, T]': dt, '[B, T, 1]': dt.unsqueeze(-1)}[form]
    together, _ = cell(inputs, None, dt)
    for row in range(5):
        alone, _ = cell(inputs[row:row + 1], None, dt[row:row + 1])
        torch.testing.assert_close(together[row:row + 1], alone)
    assert not torch.allclose(together[:, -1], cell(inputs, None, dt.flip(0))[0][:, -1])


def test_a_sequence_equals_its_steps():
    cell = built()
    inputs, dt = torch.rand(2, 6, 3).double(), torch.rand(2, 6).double()
    whole, after = cell(inputs, None, dt)
    hx = None
    for tick in range(6):
        output, hx = cell(inputs[:, tick:tick + 1], hx, dt[:, tick])
        torch.testing.assert_close(output[:, 0], whole[:, tick])
    torch.testing.assert_close(hx, after)


def test_timespans_are_in_seconds():
    inputs = torch.rand(1, 1, 3).double()
    slow, fast = built(dt_scale=1.0), built(dt_scale=20.0)
    torch.testing.assert_close(fast(inputs, None, 0.05), slow(inputs, None, 1.0))
    torch.testing.assert_close(fast(inputs), fast(inputs, None, 0.05))


def test_the_wiring_given_is_left_as_it_was_and_both_cells_are_as_they_say():
    wiring = AutoNCP(9, 3)
    first, second = LTC(4, wiring), LTC(6, wiring)
    assert not wiring.is_built()
    assert (first.wiring.input_dim, second.wiring.input_dim) == (4, 6)
    assert torch.equal(first.sparsity_mask, LTC(4, first.wiring).sparsity_mask)


def test_copies_and_pickles_give_the_same():
    cell = built(units=auto_ncp(7))
    inputs = torch.rand(2, 3, 3).double()
    for twin in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        torch.testing.assert_close(twin(inputs), cell(inputs), rtol=0, atol=0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'units': 0}, 'units: got 0, expected at least 1'),
        ({'ode_unfolds': 0}, 'ode_unfolds: got 0'),
        ({'epsilon': 0.0}, 'epsilon: got 0.0'),
        ({'dt_scale': -1.0}, 'dt_scale: got -1.0'),
        ({'input_mapping': 'x'}, "input_mapping: got 'x', expected one of affine, linear, none"),
        ({'backend': 'x'}, "backend: got 'x'"),
        ({'units': LTC(4, 5).wiring}, r'wiring: got one built for 4 inputs, expected 3'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
