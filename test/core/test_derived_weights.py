from __future__ import annotations

import copy
import pickle

import pytest
import torch

from liquidspike_ros.core.derived_weights import DerivedWeights, stack_weights


def doubled(value: torch.Tensor, derived: DerivedWeights) -> tuple[torch.Tensor, bool]:
    """The double, and whether it was made anew."""
    made = []

    def build():
        made.append(True)
        return 2 * value

    return derived.get('key', build), bool(made)


def test_weights_are_made_anew_at_every_call():
    value, derived = torch.ones(1), DerivedWeights()
    assert doubled(value, derived) == (2.0, True)
    value.data.fill_(3.0)
    assert doubled(value, derived) == (6.0, True)


def test_a_frozen_copy_makes_them_once():
    value, derived = torch.ones(1), DerivedWeights()
    derived.freeze()
    assert doubled(value, derived) == (2.0, True)
    value.fill_(3.0)
    assert doubled(value, derived) == (2.0, False)


@pytest.mark.parametrize('mode', [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_what_is_held_is_plain_whatever_mode_it_was_asked_for_in(mode):
    derived = DerivedWeights(frozen=True)
    weight = torch.ones(2, 2, requires_grad=True)
    with mode(), torch.autocast('cpu', torch.bfloat16):
        held = derived.get('key', lambda: weight @ weight)
    assert held.dtype == torch.float32
    assert not held.is_inference()
    assert not held.requires_grad


def test_gradients_reach_the_parameters():
    value = torch.ones(1, requires_grad=True)
    doubled(value, DerivedWeights())[0].sum().backward()
    assert value.grad == 2.0


@pytest.mark.parametrize('frozen', [False, True])
def test_copies_start_empty(frozen):
    derived = DerivedWeights(frozen)
    doubled(torch.ones(1), derived)
    for twin in (copy.deepcopy(derived), pickle.loads(pickle.dumps(derived))):
        assert twin.frozen == frozen
        assert doubled(torch.ones(1), twin)[1]


def test_weights_are_stacked_along_their_first_dimension():
    one = {'a': torch.ones(1, 2)}
    assert stack_weights([one]) is one
    assert stack_weights([one, one])['a'].shape == (2, 2)
