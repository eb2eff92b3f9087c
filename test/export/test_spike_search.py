"""Rates are found again from the state that a cell went to."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.liquid import build_liquid
from liquidspike_ros.export.spike_search import closest_rates

DT = torch.full((1, 1, 1), 1 / 15)


def asked(backbone, units, neurons, open_, steps=4, seed=0):
    """A cell, what it may have been given, what it was given, and where it went."""
    torch.manual_seed(seed)
    cell = build_liquid(backbone, neurons, units)
    given = torch.randint(steps + 1, (neurons,)) / steps
    possible = [[float(rate)] for rate in given]
    for index in torch.randperm(neurons)[:open_].tolist():
        rate = possible[index][0]
        other = rate + 1 / steps if rate < 1 else rate - 1 / steps
        possible[index] = sorted([rate, other], reverse=bool(torch.rand(()) < 0.5))
    hx = torch.randn(1, cell.state_size) * 0.3
    with torch.no_grad():
        target = cell(given.expand(1, 1, -1), hx, DT)[1]
    return cell, possible, given, hx, target


@pytest.mark.parametrize(('backbone', 'units', 'open_'), [
    ('cfc', 16, 0), ('cfc', 16, 1), ('cfc', 16, 10), ('cfc', 64, 40), ('ltc', 24, 14),
    ('ncp', 32, 8),
])
def test_rates_in_question_are_told_by_the_state(backbone, units, open_):
    cell, possible, given, hx, target = asked(backbone, units, 48, open_)
    rates, off = closest_rates(cell, possible, hx, DT, target, 1e-4)
    assert off < 1e-5
    assert torch.equal(rates, given) or backbone == 'ncp'  # not every unit there sees every neuron


def test_the_likeliest_rates_are_enough_however_many_are_in_question():
    cell, possible, given, hx, target = asked('cfc', 8, 128, 128)
    for each, rate in zip(possible, given.tolist(), strict=True):
        each.sort(key=lambda value: abs(value - rate))
    rates, off = closest_rates(cell, possible, hx, DT, target, 1e-4)
    assert torch.equal(rates, given)
    assert off < 1e-5


def test_a_state_that_no_rates_lead_to_is_told_by_how_far_it_is_off():
    cell, possible, _, hx, target = asked('cfc', 16, 48, 6)
    target[0, 5] += 0.02
    assert closest_rates(cell, possible, hx, DT, target, 1e-4)[1] > 5e-3


def test_the_cell_is_left_as_it_is():
    cell, possible, _, hx, target = asked('cfc', 16, 48, 3)
    closest_rates(cell, possible, hx, DT, target, 1e-4)
    assert {value.dtype for value in cell.parameters()} == {torch.float32}
