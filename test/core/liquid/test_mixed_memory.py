from __future__ import annotations

import ncps.torch
from ncps.torch import CfC as UpstreamCfC
from ncps.wirings import AutoNCP
import pytest
import torch

from liquidspike_ros.core.liquid import (
    BACKBONES,
    build_liquid,
    CfC,
    LiquidLayer,
    LTC,
    WiredCfC,
)


def cfc(mixed, proj):
    upstream = UpstreamCfC(3, 5, proj, mixed_memory=mixed, backbone_units=7)
    return upstream, CfC(3, 5, backbone_units=7, dt_scale=1.0)


def wired(mixed, proj):
    upstream = UpstreamCfC(3, AutoNCP(9, 2), proj, mixed_memory=mixed)
    return upstream, WiredCfC(3, upstream.wiring, dt_scale=1.0)


def ltc(mixed, proj):
    upstream = ncps.torch.LTC(3, AutoNCP(9, 2), mixed_memory=mixed)
    return upstream, LTC(3, upstream._wiring, dt_scale=1.0)


@pytest.mark.parametrize('mixed', [True, False])
@pytest.mark.parametrize(
    ('make', 'proj'), [(cfc, None), (cfc, 4), (wired, None), (wired, 4), (ltc, None)]
)
def test_values_and_weights_are_those_of_ncps(make, proj, mixed):
    torch.manual_seed(0)
    upstream, cell = make(mixed, proj)
    layer = LiquidLayer(cell, mixed_memory=mixed, proj_size=proj)
    layer.load_state_dict(upstream.state_dict())
    inputs, dt = torch.rand(1, 6, 3), torch.rand(1, 6, 1) + 0.01
    h, c = torch.randn(1, cell.units), torch.randn(1, cell.units)
    expected, after = upstream(inputs, (h, c) if mixed else h, dt)
    outputs, hx = layer(inputs, torch.cat([h, c], 1) if mixed else h, dt)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(hx, torch.cat(after, 1) if mixed else after)
    assert outputs.shape == (1, 6, layer.output_size)
    assert hx.shape == (1, layer.state_size)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('options', [{}, {'mixed_memory': True}, {'proj_size': 3}])
def test_every_cell_is_called_alike_and_rows_and_ticks_are_independent(backbone, options):
    torch.manual_seed(0)
    cell = build_liquid(backbone, 3, 6, options=options).double()
    inputs, dt = torch.rand(6, 4, 3).double(), torch.rand(6, 4).double() * 0.2
    outputs, hx = cell(inputs, None, dt)
    assert outputs.shape == (6, 4, cell.output_size)
    assert hx.shape == (6, cell.state_size)
    for row in range(6):
        alone, _ = cell(inputs[row:row + 1], None, dt[row:row + 1])
        torch.testing.assert_close(alone, outputs[row:row + 1])
    state = None
    for tick in range(4):
        output, state = cell(inputs[:, tick:tick + 1], state, dt[:, tick])
        torch.testing.assert_close(output[:, 0], outputs[:, tick])
    torch.testing.assert_close(state, hx)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize(
    ('inputs', 'hx', 'message'),
    [
        (torch.zeros(2, 0, 3), None, r'inputs: got shape \(2, 0, 3\), expected \[B, T, 3\] with'),
        (torch.zeros(2, 4, 5), None, r'inputs: got shape \(2, 4, 5\)'),
        (torch.zeros(2, 3), None, r'inputs: got shape \(2, 3\)'),
        (torch.zeros(2, 4, 3), torch.zeros(2, 7), r'hx: got shape \(2, 7\), expected \(2, 6\)'),
        (torch.zeros(2, 4, 3), torch.zeros(3, 6), r'hx: got shape \(3, 6\), expected \(2, 6\)'),
        (torch.zeros(2, 4, 3), torch.zeros(6), r'hx: got shape \(6,\), expected \(2, 6\)'),
    ],
)
def test_wrong_inputs_and_states_are_named(backbone, inputs, hx, message):
    with pytest.raises(ValueError, match=message):
        build_liquid(backbone, 3, 6)(inputs, hx)


@pytest.mark.parametrize(
    ('backbone', 'options', 'message'),
    [
        ('gru', {}, "backbone: got 'gru', expected one of cfc, ltc, ncp, ncp_ltc"),
        ('cfc', {'ode_unfolds': 3}, "backbone_options: got unknown key 'ode_unfolds' for backbone"),
        ('ltc', {'mode': 'pure'}, "got unknown key 'mode' for backbone 'ltc', expected keys among"),
        ('ncp', {'outputs': 9}, 'outputs: got 9, expected 1 to 3'),
        ('cfc', {'proj_size': 0}, 'proj_size: got 0'),
    ],
)
def test_wrong_options_are_named(backbone, options, message):
    with pytest.raises(ValueError, match=message):
        build_liquid(backbone, 3, 6, options=options)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_the_reference_takes_no_random_numbers(backbone):
    torch.manual_seed(0)
    cell = build_liquid(backbone, 3, 6, backend='reference')
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    cell(torch.full((1, 2, 3), 0.5), None, 0.1)
    assert torch.equal(torch.rand(1), expected)
