from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork
from liquidspike_ros.core.stages import freeze, parameter_groups

STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')


def build(strategy='hybrid', **modality) -> MultiModalFusionNetwork:
    torch.manual_seed(0)
    configs = {
        name: {'type': 'custom', 'input_dim': 8, 'encoder_dim': 6, 'liquid_units': 12,
               'spiking_units': 7, 'num_spike_steps': 3, 'dropout': 0.3,
               'preprocessing': nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))} | modality
        for name in ('eye', 'ear')}
    return MultiModalFusionNetwork(configs, strategy, 10, 2, 3)


def train(model: MultiModalFusionNetwork) -> None:
    model.train()
    optimiser = torch.optim.AdamW(parameter_groups(model, 0.1, 0.1))
    for _ in range(2):
        optimiser.zero_grad()
        model({name: torch.randn(4, 8) for name in ('eye', 'ear')}).square().sum().backward()
        optimiser.step()


def changed(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, value in model.state_dict().items()
            if not torch.equal(value, before[name])}


def parts(names: set[str]) -> set[str]:
    return {'.'.join(name.split('.')[:3 if name.startswith('fusion') else 2]) for name in names}


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_frozen_encoders_keep_their_weights_and_statistics(strategy):
    model = build(strategy)
    assert freeze(model, 'encoders') > 0
    before = copy.deepcopy(model.state_dict())
    train(model)
    moved = changed(model, before)
    assert moved
    assert not any(name.startswith(('preprocessors', 'fusion.encoders', 'fusion.shared',
                                    'fusion.adapters')) for name in moved)
    given = {name: torch.randn(2, 8) for name in ('eye', 'ear')}
    model.train()  # whose dropout is off as well
    assert torch.equal(model(given), model(given))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_the_fusion_alone_or_one_modality_alone(strategy):
    model = build(strategy)
    freeze(model, 'fusion')
    before = copy.deepcopy(model.state_dict())
    train(model)
    behind = ('fusion.head', 'fusion.attention', 'fusion.core', 'fusion.levels')
    assert not any(name.startswith(behind) for name in changed(model, before))
    assert any(name.startswith('preprocessors.eye') for name in changed(model, before))

    model = build(strategy)
    freeze(model, 'eye')
    before = copy.deepcopy(model.state_dict())
    train(model)
    moved = changed(model, before)
    assert not any('.eye.' in name for name in moved)
    assert any('.ear.' in name for name in moved)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_thawing_gives_back_what_learnt_before_and_no_more(strategy):
    model = build(strategy)
    model.preprocessors['ear'][0].bias.requires_grad_(False)
    learning = {name for name, value in model.named_parameters() if value.requires_grad}
    count = freeze(model, 'encoders')
    assert freeze(model, 'encoders', 'eye') == (2 if strategy in ('late', 'hybrid') else 0) * 2
    assert freeze(model, 'encoders', 'eye', frozen=False) >= count
    assert {name for name, value in model.named_parameters() if value.requires_grad} == learning
    before = copy.deepcopy(model.state_dict())
    train(model)
    assert 'preprocessors.eye.1.running_mean' in changed(model, before)


def test_copies_stay_frozen():
    model = build()
    freeze(model, 'encoders')
    twin = copy.deepcopy(model)
    before = copy.deepcopy(twin.state_dict())
    train(twin)
    assert not any(name.startswith('preprocessors') for name in changed(twin, before))


def test_a_part_may_be_a_path_and_an_unknown_one_is_named():
    model = build()
    assert freeze(model, 'fusion.core.head') == 4
    with pytest.raises(ValueError, match="part: got 'nose', expected one of encoders, fusion, eye"):
        freeze(model, 'nose')
    with pytest.raises(ValueError, match="part: got ''"):
        freeze(model, '')


@pytest.mark.parametrize('cell', [
    {}, {'backbone_options': {'mode': 'pure'}}, {'backbone': 'ltc'}, {'backbone': 'ncp'},
    {'backbone': 'ncp_ltc'}])
def test_time_constants_and_betas_never_decay(cell):
    model = build(spiking_options={'learn_threshold': True}, **cell)
    groups = parameter_groups(model, 0.1, 0.1)
    held = {id(value): group for group in groups for value in group['params']}
    assert len(held) == sum(value.requires_grad for value in model.parameters())
    for name, value in model.named_parameters():
        if value.requires_grad:
            decays = held[id(value)]['weight_decay'] > 0
            last = name.rpartition('.')[2]
            if last in ('beta', 'threshold', 'w_tau', 'A', 'absent', 'bias') or any(
                    kind in last for kind in ('erev', 'cm', 'gleak', 'vleak', 'sigma', 'mu')):
                assert not decays, name
            if name.endswith('current.weight'):
                assert decays, name


def test_modalities_learn_at_rates_of_their_own():
    model = build()
    groups = parameter_groups(model, 1e-3, 0.1, {'eye': 1e-4, 'encoders': 3e-4})
    rates = {id(value): group['lr'] for group in groups for value in group['params']}
    assert rates[id(model.preprocessors['eye'][0].weight)] == 1e-4
    assert rates[id(model.fusion.heads['eye'].layers[0].weight)] == 1e-4
    assert rates[id(model.preprocessors['ear'][0].weight)] == 3e-4
    assert rates[id(model.fusion.core.projection.weight)] == 1e-3
    assert {group['name'] for group in groups} == {
        'eye', 'eye, no decay', 'encoders', 'encoders, no decay', 'rest', 'rest, no decay'}
    torch.optim.SGD(groups)


def test_captioning_freezes_what_looks_at_pictures(application):
    model = application.build()
    name = model.modalities[0]
    freeze(model, name)
    model.train()
    frozen = [module for module in model.modules() if 'frozen' in module.__dict__]
    assert frozen
    assert not any(module.training for module in frozen)
    if model.network.modalities[0] == 'images' and hasattr(model, 'vision'):
        assert not any(value.requires_grad for value in model.vision.parameters())
