"""What a modality can be told (cell, coding, neurons), every ready-made model can be told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained, save_pretrained
from liquidspike_ros.core.multimodal_fusion import FusionStrategy, ModalityConfig

STRATEGIES = [strategy.value for strategy in FusionStrategy]
OPTIONS: list[dict[str, Any]] = [
    {'backbone_options': {'mode': 'pure'}},
    {'backbone_options': {'mixed_memory': True, 'proj_size': 4}},
    {'backbone': 'ltc', 'backbone_options': {'ode_unfolds': 2}},
    {'backbone': 'ncp', 'backbone_options': {'outputs': 3, 'seed': 1}},
    {'coding': 'rate'},
    {'coding': 'latency'},
    {'coding': 'delta'},
    {'spiking_options': {'reset': 'zero', 'threshold': 0.4, 'learn_threshold': True}},
]

@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_options_reach_every_modality_learn_and_are_kept(application, options, tmp_path: Path):
    model = application.build(**options)
    expected = application.answer(model)
    plain = application.build()
    assert not torch.allclose(expected, application.answer(plain))
    expected.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters()
               if p.grad is not None)
    for encoder in getattr(model.network.fusion, 'encoders', {}).values():
        assert encoder.coding == options.get('coding', 'direct')
        assert encoder.population.reset == options.get('spiking_options', {}).get(
            'reset', 'subtract')
    rebuilt = type(model)(**json.loads(json.dumps(model.config))).eval()
    rebuilt.load_state_dict(model.state_dict())
    torch.testing.assert_close(application.answer(rebuilt), expected, rtol=0, atol=0)
    save_pretrained(model, tmp_path)
    loaded, _ = from_pretrained(tmp_path)
    torch.testing.assert_close(application.answer(loaded), expected, rtol=0, atol=0)
    assert loaded.config == model.config


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('coding', ['latency', 'delta'])  # rate draws other numbers
def test_a_coded_stream_is_walked_as_it_is_stepped(robot, strategy, coding):
    model = robot.build(camera_size=None, audio_channels=None, fusion_strategy=strategy,
                        coding=coding)
    torch.manual_seed(1)
    inputs = {'sensors': torch.randn(2, 3, 4), 'lidar': torch.rand(2, 3, 2, 16)}
    expected, _ = model.unroll(inputs)
    state = model.init_state(2)
    for tick in range(3):
        action, state = model.step({name: x[:, tick] for name, x in inputs.items()}, state)
        torch.testing.assert_close(action, expected[:, tick], rtol=1e-4, atol=1e-5)


def test_every_setting_of_a_modality_is_a_keyword_of_every_model(application):
    settings = {field.name for field in dataclasses.fields(ModalityConfig)}
    assert settings - application.kind.arguments().keys() == {'type', 'input_dim', 'preprocessing'}


def test_an_unknown_argument_is_named_as_python_names_one(application):
    with pytest.raises(TypeError, match=f"^{application.kind.__name__}: got an unexpected argument "
                                        "'liquid_unit', expected one of .*liquid_units"):
        application.kind(liquid_unit=4)


def test_arguments_and_their_defaults_are_those_of_a_model_built_without_any(application):
    arguments = {key: list(value) if isinstance(value, tuple) else value
                 for key, value in application.kind.arguments().items()}
    with torch.device('meta'):
        config = application.kind().config
    if 'task' in config:  # follows from the others where it is None
        arguments['task'] = config['task']
    assert config == arguments


def test_the_configuration_handed_out_is_a_copy(robot):
    options = {'mode': 'pure'}
    model = robot.build(backbone_options=options)
    options['mode'] = 'no_gate'
    model.config['backbone_options']['mode'] = 'default'
    assert model.config['backbone_options'] == {'mode': 'pure'}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'coding': 'morse'}, "coding: got 'morse', expected one of direct, rate, latency, delta"),
        ({'spiking_options': {'leak': 1}}, "spiking_options: got 'leak', expected keys among thr"),
        ({'spiking_options': 3}, 'spiking_options: got 3, expected a dict or None'),
        ({'backbone_options': {'ode_unfolds': 4}},
         "backbone_options: got unknown key 'ode_unfolds' for backbone 'cfc'"),
        ({'backbone': 'lstm'}, "backbone: got 'lstm', expected one of cfc, ltc, ncp, ncp_ltc"),
    ],
)
def test_wrong_options_are_named(application, arguments, message):
    with pytest.raises(ValueError, match=message):
        application.build(**arguments)


def test_a_wrong_option_in_a_checkpoint_is_named(robot, tmp_path: Path):
    save_pretrained(robot.build(), tmp_path)
    document = json.loads((tmp_path / 'config.json').read_text())
    document['config']['spiking_options'] = {'leak': 1}
    (tmp_path / 'config.json').write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=r"config\.json: config: .*spiking_options: got 'le"):
        from_pretrained(tmp_path)
