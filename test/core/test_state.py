"""The one walker of nested states."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.state import entries, leaves, map_state, nest_state, pairs

SIZES = {'encoders': {'camera': {'membrane': 2, 'hx': 3}}, 'memory': {'hx': 1}}
NAMES = ['encoders.camera.membrane', 'encoders.camera.hx', 'memory.hx']


def test_entries_are_named_by_their_way_through_the_nesting():
    assert list(entries(SIZES)) == list(zip(NAMES, [2, 3, 1], strict=True))


def test_states_of_lists_and_of_a_single_tensor_are_walked_through():
    one, two = torch.zeros(1), torch.ones(2)
    assert [name for name, _ in entries({'a': [one, (two,)]})] == ['a.0', 'a.1.0']
    assert leaves({'a': [one, (two, 'no tensor')]}) == [one, two]
    assert leaves(one) == [one]


def test_a_state_is_made_of_sizes_and_taken_apart_again():
    state = map_state(lambda size: torch.zeros(4, size), SIZES)
    assert [leaf.shape[1] for leaf in leaves(state)] == [2, 3, 1]
    numbers = [torch.full((1,), float(number)) for number in range(3)]
    nested = nest_state(SIZES, numbers)
    assert nested['encoders']['camera']['hx'] is numbers[1]
    assert leaves(nested) == numbers


def test_pairs_go_by_name_not_by_order():
    one = {'a': 1, 'b': {'c': 2, 'd': 3}}
    assert pairs(one, {'b': {'d': 30, 'c': 20}, 'a': 10}) == [(1, 10), (2, 20), (3, 30)]


@pytest.mark.parametrize('other', [
    {'a': 1}, {'a': 1, 'b': 2, 'c': 3}, {'a': 1, 'b': {'c': 2}}, {'a': 1, 'c': 2}, 5])
def test_pairs_of_another_nesting_are_refused_by_name(other):
    with pytest.raises(ValueError, match=r"state: got entries .*, expected \['a', 'b'\]"):
        pairs({'a': 1, 'b': 2}, other)
