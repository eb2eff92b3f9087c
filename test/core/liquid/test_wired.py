from __future__ import annotations

import copy
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
from ncps.torch import CfC as UpstreamCfC
from ncps.torch import WiredCfCCell
from ncps.wirings import AutoNCP, FullyConnected
import pytest
import torch

from liquidspike_ros.core.liquid import auto_ncp, MODES, WiredCfC


def built(seed: int = 0, units: int = 9, **arguments) -> WiredCfC:
    torch.manual_seed(seed)
    return WiredCfC(**{'input_size': 3, 'wiring': auto_ncp(units)} | arguments).double()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000), batch=st.integers(1, 9), ticks=st.integers(1, 4),
    width=st.integers(1, 5), units=st.integers(4, 12), mode=st.sampled_from(MODES),
)
def test_values_and_gradients_are_those_of_ncps(seed, batch, ticks, width, units, mode):
    cell = built(seed, units, input_size=width, mode=mode)
    inputs, hx = torch.randn(batch, ticks, width).double(), torch.randn(batch, units).double()
    dt = torch.rand(batch, ticks).double() * 0.3
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


@pytest.mark.parametrize('mode', MODES)
def test_an_upstream_state_dict_loads(mode):
    torch.manual_seed(1)
    upstream = UpstreamCfC(3, AutoNCP(9, 2), mode=mode)
    cell = WiredCfC(3, upstream.wiring, mode=mode, dt_scale=1.0)
    cell.load_state_dict(upstream.rnn_cell.state_dict())
    inputs, dt = torch.randn(1, 6, 3), torch.rand(1, 6, 1)
    expected, hx = upstream(inputs, timespans=dt)
    outputs, after = cell(inputs, None, dt)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after, hx)


def test_our_own_state_dict_loads_and_another_one_does_not():
    cell, other = built(0), built(1)
    other.load_state_dict(cell.state_dict())
    inputs = torch.randn(2, 3, 3).double()
    torch.testing.assert_close(other(inputs), cell(inputs), rtol=0, atol=0)
    with pytest.raises(RuntimeError, match='Missing key'):
        cell.load_state_dict({})


def test_an_unwired_synapse_carries_nothing():
    cell = built()
    mask = cell.layer_0.sparsity_mask
    target, source = (mask[:, :3] == 0).nonzero()[0].tolist()
    inputs = torch.randn(1, 4, 3).double().requires_grad_()
    times = cell.layer_0.cell.heads.weight.data[2 * mask.shape[0]:]
    times.zero_()  # the time heads see everything, as in ncps
    states, _ = cell.layer_0(inputs[:, :1], torch.zeros(1, mask.shape[0]).double(),
                             torch.ones(1, 1, 1).double())
    states[0, 0, target].backward()
    assert inputs.grad[0, 0, source] == 0
    assert inputs.grad[0, 0].abs().max() > 0


def test_batch_equal_to_units_gives_every_row_its_own_timespan():
    cell = built(units=9)
    inputs, dt = torch.randn(9, 4, 3).double(), torch.rand(9, 4).double()
    for spans in (dt[:, 0], dt, dt.unsqueeze(-1)):
        together, _ = cell(inputs, None, spans)
        for row in range(9):
            alone, _ = cell(inputs[row:row + 1], None, spans[row:row + 1])
            torch.testing.assert_close(together[row:row + 1], alone)


def test_a_sequence_equals_its_steps():
    cell = built()
    inputs, dt = torch.randn(2, 6, 3).double(), torch.rand(2, 6).double()
    whole, after = cell(inputs, None, dt)
    hx = None
    for tick in range(6):
        output, hx = cell(inputs[:, tick:tick + 1], hx, dt[:, tick])
        torch.testing.assert_close(output[:, 0], whole[:, tick])
    torch.testing.assert_close(hx, after)


def test_copies_and_pickles_give_the_same():
    cell = built()
    inputs = torch.randn(2, 3, 3).double()
    for twin in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        torch.testing.assert_close(twin(inputs), cell(inputs), rtol=0, atol=0)


def test_a_wiring_of_one_layer_works_too():
    wiring = FullyConnected(5)
    wiring.build(3)
    cell = WiredCfC(3, wiring, dt_scale=1.0)
    upstream = WiredCfCCell(None, wiring)
    cell.load_state_dict(upstream.state_dict())
    x, hx = torch.randn(4, 3), torch.randn(4, 5)
    torch.testing.assert_close(cell(x.unsqueeze(1), hx, 1.0)[1], upstream(x, hx, 1.0)[1])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'units': 3}, 'units: got 3, expected at least 4'),
        ({'units': 9, 'outputs': 7}, 'outputs: got 7, expected 1 to 6'),
        ({'units': 9, 'sparsity': 0.95}, 'sparsity: got 0.95'),
    ],
)
def test_wrong_wirings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        auto_ncp(**arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'wiring': 9}, 'wiring: got int, expected an ncps.wirings.Wiring'),
        ({'input_size': 0}, 'input_size: got 0'),
        ({'mode': 'x'}, "mode: got 'x'"),
        ({'backend': 'x'}, "backend: got 'x'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
