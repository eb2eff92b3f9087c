from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from ncps.torch import CfC as UpstreamCfC
from ncps.torch import CfCCell
import pytest
import torch

from liquidspike_ros.core.liquid import ACTIVATIONS, CfC, MODES, timespans_like


def built(seed: int = 0, **arguments) -> CfC:
    torch.manual_seed(seed)
    return CfC(**{'input_size': 3, 'units': 5, 'backbone_units': 7} | arguments).double()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    batch=st.integers(1, 6),
    ticks=st.integers(1, 5),
    width=st.integers(1, 5),
    units=st.integers(1, 6),
    layers=st.integers(0, 2),
    mode=st.sampled_from(MODES),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)
def test_values_and_gradients_are_those_of_ncps(
    seed, batch, ticks, width, units, layers, mode, activation
):
    cell = built(seed, input_size=width, units=units, backbone_layers=layers, mode=mode,
                 activation=activation)
    inputs = torch.randn(batch, ticks, width).double()
    hx, dt = torch.randn(batch, units).double(), torch.rand(batch, ticks).double() * 0.3
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
    upstream = CfCCell(3, 5, mode=mode, backbone_units=7)
    cell = CfC(3, 5, mode=mode, backbone_units=7, dt_scale=1.0)
    cell.load_state_dict(upstream.state_dict())
    x, hx, dt = torch.randn(4, 3), torch.randn(4, 5), torch.rand(4, 1)
    expected, _ = upstream(x, hx, dt)
    torch.testing.assert_close(cell(x.unsqueeze(1), hx, dt)[1], expected)


def test_sequence_of_ncps_is_matched_where_ncps_is_right():
    torch.manual_seed(2)
    upstream = UpstreamCfC(3, 5, backbone_units=7)
    cell = CfC(3, 5, backbone_units=7, dt_scale=1.0)
    cell.load_state_dict(upstream.rnn_cell.state_dict())
    inputs, dt = torch.randn(1, 6, 3), torch.rand(1, 6, 1)
    expected, hx = upstream(inputs, timespans=dt)
    outputs, after = cell(inputs, None, dt)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(after, hx)


def test_batch_equal_to_units_gives_every_row_its_own_timespan():
    """Stock ncps 1.0.1 takes the timespans of a batch for those of the units here."""
    cell = built(units=5)
    inputs, dt = torch.randn(5, 4, 3).double(), torch.rand(5, 4).double()
    together, _ = cell(inputs, None, dt)
    for row in range(5):
        alone, _ = cell(inputs[row:row + 1], None, dt[row:row + 1])
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


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('dt', [0.0, 1e6])
def test_extreme_timespans_are_finite_with_their_gradients(mode, dt):
    cell = built(mode=mode)
    outputs, hx = cell(torch.randn(2, 3, 3).double(), None, dt)
    outputs.sum().backward()
    assert bool(torch.isfinite(outputs).all() and torch.isfinite(hx).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in cell.parameters() if p.grad is not None)


def test_timespans_matter_and_are_in_seconds():
    inputs = torch.randn(1, 1, 3).double()
    per_second = built(dt_scale=1.0)
    per_tick = built(dt_scale=20.0)
    torch.testing.assert_close(per_tick(inputs, None, 0.05), per_second(inputs, None, 1.0))
    assert not torch.allclose(per_tick(inputs, None, 0.05)[1], per_tick(inputs, None, 0.1)[1])


def test_every_form_of_timespans_means_the_same():
    like = torch.zeros(3)
    expected = torch.full((2, 4, 1), 0.1)
    for dt in (0.1, torch.tensor(0.1), torch.full((2,), 0.1), torch.full((2, 4), 0.1), expected):
        assert torch.equal(timespans_like(dt, 2, 4, like), expected)
    per_row = timespans_like(torch.tensor([0.1, 0.2]), 2, 4, like)
    assert per_row[:, :, 0].tolist() == [pytest.approx([0.1] * 4), pytest.approx([0.2] * 4)]


@pytest.mark.parametrize(
    'dt', [-0.1, float('nan'), float('inf'), torch.zeros(3), torch.zeros(4, 2)]
)
def test_wrong_timespans_are_refused(dt):
    with pytest.raises(ValueError, match=r'^dt: got .* expected'):
        timespans_like(dt, 2, 4, torch.zeros(1))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'mode': 'fast'}, "mode: got 'fast', expected one of default, pure, no_gate"),
        ({'activation': 'sin'}, "activation: got 'sin'"),
        ({'backend': 'x'}, "backend: got 'x'"),
        ({'units': 0}, 'units: got 0, expected at least 1'),
        ({'backbone_layers': -1}, 'backbone_layers: got -1'),
        ({'dt_scale': 0.0}, 'dt_scale: got 0.0'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CfC(**{'input_size': 3, 'units': 5} | arguments)
