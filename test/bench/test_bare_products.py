from __future__ import annotations

from bare_products import bare_products_of
from interleave import operator_calls
import pytest
import torch
from torch import nn

NET = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.Tanh())


def forward() -> torch.Tensor:
    return NET(torch.ones(2, 3, 8))


def training() -> None:
    forward().sum().backward()


@pytest.mark.parametrize('guard', [torch.enable_grad, torch.inference_mode])
def test_only_products_are_left_of_a_forward_pass(guard):
    assert operator_calls(bare_products_of(guard()(forward))) == 2


def test_the_products_of_the_backward_pass_are_there_too():
    # The convolution's and the layer's gradients, of which the latter are two products.
    assert operator_calls(bare_products_of(training)) == 2 + 1 + 2


def test_a_cell_that_arrives_whole_is_taken_apart():
    gru = torch.inference_mode()(lambda: nn.GRU(4, 4)(torch.ones(3, 1, 4)))
    assert operator_calls(bare_products_of(gru)) >= 4  # the inputs at once, the state tick by tick


def test_a_call_without_products_is_refused():
    with pytest.raises(ValueError, match='without any matrix product'):
        bare_products_of(lambda: torch.ones(3).exp())
