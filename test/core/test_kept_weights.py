from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from liquidspike_ros.core.kept_weights import KeptWeights


def doubled(layer: nn.Module, kept: KeptWeights) -> tuple[float, bool]:
    """The kept double of the first weight, and whether it was made anew."""
    made = []

    def build():
        made.append(True)
        return {'double': 2 * layer[0].weight}

    with torch.no_grad():
        value = kept.get('key', [layer], build)['double'].item()
    return value, bool(made)


def layer(value: float) -> nn.Sequential:
    result = nn.Sequential(nn.Linear(1, 1))
    nn.init.constant_(result[0].weight, value)
    return result


def test_weights_are_kept_while_nothing_changes():
    it, kept = layer(1.0), KeptWeights()
    assert doubled(it, kept) == (2.0, True)
    assert doubled(it, kept) == (2.0, False)


def test_every_way_to_change_a_parameter_is_noticed():
    it, kept = layer(1.0), KeptWeights()
    doubled(it, kept)
    with torch.no_grad():
        it[0].weight.fill_(2.0)
    assert doubled(it, kept) == (4.0, True)
    it.load_state_dict(layer(3.0).state_dict())
    assert doubled(it, kept) == (6.0, True)
    it.load_state_dict(layer(4.0).state_dict(), assign=True)
    assert doubled(it, kept) == (8.0, True)
    it[0].weight.data = torch.full((1, 1), 5.0)
    assert doubled(it, kept) == (10.0, True)
    it[0].weight.data.mul_(1.1)
    assert doubled(it, kept) == (pytest.approx(11.0), True)
    it[0] = layer(6.0)[0]
    assert doubled(it, kept) == (12.0, True)
    with torch.no_grad():
        it[0].weight.fill_(7.0)
    assert doubled(it, kept) == (14.0, True)
    optimiser = torch.optim.SGD(it.parameters(), 1.0)
    it(torch.ones(1, 1)).sum().backward()
    optimiser.step()
    assert doubled(it, kept) == (12.0, True)
    assert doubled(it.double(), kept)[1]


@pytest.mark.parametrize('way', [{'fused': True}, {'foreach': True}, {'foreach': False}])
def test_every_kind_of_optimiser_is_noticed(way):
    """A fused step changes a parameter without counting its version up."""
    it, kept = layer(1.0), KeptWeights()
    optimiser = torch.optim.AdamW(it.parameters(), 0.5, weight_decay=0.0, **way)
    it(torch.ones(1, 1)).sum().backward()
    doubled(it, kept)
    optimiser.step()
    assert doubled(it, kept) == (pytest.approx(1.0), True)


def test_gradients_reach_the_parameters():
    it, kept = layer(1.0), KeptWeights()
    doubled(it, kept)
    kept.get('key', [it], lambda: {'double': 2 * it[0].weight})['double'].sum().backward()
    assert it[0].weight.grad.item() == 2.0


def test_copies_start_empty():
    it, kept = layer(1.0), KeptWeights()
    doubled(it, kept)
    for twin in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert doubled(it, twin)[1]
