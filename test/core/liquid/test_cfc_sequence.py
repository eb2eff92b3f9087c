from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.liquid.cfc_sequence import cfc_sequence


def drawn(cells=2, ticks=3, rows=2, units=3, backbone=4):
    torch.manual_seed(0)
    shapes = ((ticks, cells, rows, backbone), (cells, rows, units), (cells, backbone, units),
              (cells, 4 * units, backbone), (cells, 1, 4 * units), (ticks, rows, 1))
    return [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize('gated', [True, False])
@pytest.mark.parametrize('rows', [1, 2])
def test_the_backward_pass_written_out_is_the_derivative(gated, rows):
    values = drawn(rows=rows)
    assert torch.autograd.gradcheck(lambda *given: cfc_sequence(*given, gated), values)


@pytest.mark.parametrize('rows', [1, 3])
def test_cells_side_by_side_equal_each_alone(rows):
    drive, hx, recurrent, heads, bias, spans = drawn(rows=rows)
    together = cfc_sequence(drive, hx, recurrent, heads, bias, spans)
    for cell in range(2):
        part = slice(cell, cell + 1)
        alone = cfc_sequence(drive[:, part], hx[part], recurrent[part], heads[part], bias[part],
                             spans)
        torch.testing.assert_close(together[:, part], alone)


def test_without_gradients_the_values_are_the_same():
    values = drawn()
    with torch.no_grad():
        quick = cfc_sequence(*values)
    torch.testing.assert_close(quick, cfc_sequence(*values).detach())
