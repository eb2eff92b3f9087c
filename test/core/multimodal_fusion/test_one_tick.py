"""Single ticks without gradients run on weights laid out for them; nobody may see a difference."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from liquidspike_ros.core import products
from liquidspike_ros.core.multimodal_fusion import (
    CrossModalAttentionFusion,
    early,
    MultiModalFusionNetwork,
    strategies,
)

NAMES = ('eye', 'ear', 'skin')
STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
SUBSETS = [subset for count in (1, 2, 3) for subset in itertools.combinations(NAMES, count)]


def build(strategy='hybrid', memory=4, modality=None, **arguments) -> MultiModalFusionNetwork:
    torch.manual_seed(3)
    configs = {
        name: {'type': 'custom', 'input_dim': 5, 'encoder_dim': 6, 'liquid_units': 4,
               'spiking_units': 7, 'num_spike_steps': 5, 'dropout': 0.2,
               'preprocessing': nn.Tanh()} | (modality or {})
        for name in NAMES
    }
    if strategy in ('early', 'late'):
        memory = 0
    model = MultiModalFusionNetwork(configs, strategy, 10, 3, 2, memory_units=memory,
                                    **arguments).double().eval()
    with torch.no_grad():  # every parameter counts
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def lean_ticks(monkeypatch):
    """Counts the ticks that went the lean way."""
    ticks = []

    def counted(run):
        def count(*arguments):
            ticks.append(arguments)
            return run(*arguments)

        return count

    for module, name in ((strategies, 'run_tick'), (early, 'run_early_tick')):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    return ticks


def inputs(batch, names=NAMES):
    return {name: torch.randn(batch, 5, dtype=torch.float64) for name in names}


def random_state(model, batch):
    """Some state other than rest."""
    with torch.no_grad():
        return model.unroll({name: value.unsqueeze(1) for name, value in inputs(batch).items()}
                            )[1]


def assert_same(lean, usual):
    """Outputs, states and insight of two calls of ``step``."""
    torch.testing.assert_close(lean[0], usual[0])
    torch.testing.assert_close(lean[1], usual[1])
    if len(usual) > 2:
        for key in ('features', 'attention', 'weights', 'spike_rates', 'present'):
            torch.testing.assert_close(getattr(lean[2], key), getattr(usual[2], key), msg=key)


def both(model, given, state, dt, present=None, info=True):
    """``step`` without gradients and with."""
    with torch.no_grad():
        lean = model.step(given, state, dt, present, return_info=info)
    usual = model.step(given, state, dt, present, return_info=info)
    return lean, usual


@pytest.mark.parametrize('columns', [False, True])
@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('batch', [1, 3])
def test_a_lean_tick_gives_what_the_usual_way_gives(
    strategy, batch, columns, lean_ticks, monkeypatch
):
    monkeypatch.setattr(products, 'COLUMNS', columns)
    model = build(strategy)
    state = random_state(model, batch)
    for subset in SUBSETS:
        assert_same(*both(model, inputs(batch, subset), state, 0.05))
        assert_same(*both(model, inputs(batch, subset), None, 0.05, info=False))
    for dt in (0.0, 1, torch.rand(batch, dtype=torch.float64), torch.tensor(0.1)):
        assert_same(*both(model, inputs(batch), state, dt))
    assert len(lean_ticks) == 2 * len(SUBSETS) + 4


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_masked_rows_are_the_same_too(strategy, lean_ticks):
    model, state = build(strategy), random_state(build(strategy), 4)
    present = torch.tensor([[True, False, True], [True, True, True], [False, False, True],
                            [False, False, False]])
    given = inputs(4)
    given['ear'][0] = torch.nan
    lean, usual = both(model, given, state, 0.07, present)
    assert_same(lean, usual)
    assert torch.isfinite(lean[0]).all()
    assert_same(*both(model, inputs(4), state, 0.07, torch.ones(4, 3, dtype=torch.bool)))
    assert len(lean_ticks) == 2


@pytest.mark.parametrize('modality', [
    {'preprocessing': None},
    {'backbone_options': {'mode': 'no_gate', 'activation': 'tanh'}},
    {'beta': 0.5},
])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_all_kinds_of_encoders_that_run_side_by_side(strategy, modality, lean_ticks):
    model = build(strategy, modality=modality, memory=0)
    state = random_state(model, 2)
    assert_same(*both(model, inputs(2), state, 0.1))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith('threshold'):
                value.uniform_(0.5, 1.5)
    for name, value in model.named_buffers():
        if name.endswith('threshold'):
            value.uniform_(0.5, 1.5)
    assert_same(*both(model, inputs(2), state, 0.1))
    assert len(lean_ticks) == 2


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_change_of_weights_or_of_the_model_is_seen_at_the_next_tick(strategy, lean_ticks):
    model, given = build(strategy), inputs(1)
    before = both(model, given, None, 0.1)[0]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.3)
    lean, usual = both(model, given, None, 0.1)
    assert not torch.allclose(lean[0], before[0])
    assert_same(lean, usual)
    for module in model.modules():
        if hasattr(module, 'num_spike_steps'):
            module.num_spike_steps = 9
    assert_same(*both(model, given, None, 0.1))
    assert len(lean_ticks) == 3


@pytest.mark.parametrize(
    'way', ['training', 'gradients', 'autocast', 'wired', 'coded', 'attention'])
def test_what_is_not_lean_goes_the_usual_way(way, lean_ticks):
    modality = {'wired': {'backbone': 'ncp', 'liquid_units': 12},
                'coded': {'coding': 'latency'}}.get(way)
    model = build(modality=modality)
    if way == 'attention':
        class Other(CrossModalAttentionFusion):
            def forward(self, tokens, present, groups=None):
                return 2 * tokens, torch.zeros(1)

        model.fusion.attention = Other(6, 3).double()
    model.train(way == 'training')
    model.float()
    given = {name: value.float() for name, value in inputs(1).items()}
    with torch.set_grad_enabled(way == 'gradients'), torch.autocast(
            'cpu', torch.bfloat16, enabled=way == 'autocast'):
        output, _ = model.step(given)
    assert torch.isfinite(output).all()
    assert not lean_ticks


def test_a_state_may_be_written_to_and_is_not_shared():
    model, given = build(), inputs(2)
    with torch.no_grad():
        _, state = model.step(given)
        kept = {name: {key: value.clone() for key, value in entry.items()}
                for name, entry in state['encoders'].items()}
        model.step(given, state)  # reads the state, and leaves it as it is
    torch.testing.assert_close(state['encoders'], kept)
    state['encoders']['eye']['membrane'].fill_(0.0)
    torch.testing.assert_close(state['encoders']['ear'], kept['ear'])


def test_errors_name_what_is_wrong_on_the_lean_way(lean_ticks):
    model = build()
    wrong = [
        ({'eye': torch.rand(1, 4, dtype=torch.float64)}, None, None, 'eye: got preprocessed'),
        ({'nose': torch.rand(1, 5)}, None, None, "inputs: got 'nose'"),
        ({}, None, None, 'inputs: got none'),
        (inputs(1) | inputs(2, ['ear']), None, None, 'ear: got leading sizes'),
        (inputs(0), None, None, 'at least one row'),
        (inputs(1), {'encoders': {}}, None, 'state: got entries'),
        (inputs(1), None, torch.ones(1, 2, dtype=torch.bool), 'present: got'),
        (inputs(1), None, torch.ones(1, 3), 'present: got'),
    ]
    with torch.no_grad():
        for given, state, present, message in wrong:
            with pytest.raises(ValueError, match=message):
                model.step(given, state, present=present)
        for dt in (-1.0, float('nan'), torch.ones(3)):
            with pytest.raises(ValueError, match='dt: got'):
                model.step(inputs(1), dt=dt)
    assert not lean_ticks


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_state_may_come_from_inference_mode_and_go_back_there(strategy, lean_ticks):
    model, state = build(strategy), None
    for mode in (torch.inference_mode, torch.no_grad, torch.inference_mode):
        with mode():
            output, state = model.step(inputs(1), state)
    assert torch.isfinite(output).all()
    assert len(lean_ticks) == 3
