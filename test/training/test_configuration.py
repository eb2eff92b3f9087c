"""Training settings are checked before anything is read or written."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given, HealthCheck, settings, strategies
import pytest

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.configuration import load_train_config, TrainConfig, TrainingError
from liquidspike_ros.training.model_building import build_model

SHIPPED = Path(__file__).parents[2] / 'config' / 'train.yaml'


def test_shipped_file_round_trips():
    config = load_train_config(SHIPPED)
    assert config.model['fusion_strategy'] == 'hybrid'
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_dotted_overrides():
    config = load_train_config(SHIPPED).override({'optimiser.epochs': 3, 'model.fusion_dim': 64,
                                                  'seed': 7})
    assert (config.optimiser.epochs, config.model['fusion_dim'], config.seed) == (3, 64, 7)
    assert config.data == load_train_config(SHIPPED).data


def test_an_empty_name_stands_for_an_empty_list():
    """A ROS parameter cannot be an empty list."""
    assert load_train_config(SHIPPED).data.allow_missing == ()
    data = TrainConfig().override({'data.allow_missing': ['', 'audio']}).data
    assert data.allow_missing == ('audio',)


@pytest.mark.parametrize(('key', 'value', 'text'), [
    ('optimiser.epochs', 0, r'optimiser.epochs: got 0, expected a whole number in \[1, 1'),
    ('optimiser.epochs', 'many', "optimiser.epochs: got 'many', expected int"),
    ('optimiser.speed', 1, 'optimiser.speed: unknown key, expected one of'),
    ('nowhere.at.all', 1, 'nowhere.at.all: got 1, expected a known setting'),
    ('data.lanes', True, 'data.lanes: got True, expected int'),
    ('data.validation', 1.5, r'data.validation: got 1.5, expected a number in \[0, 0.9'),
    ('augment.drop_audio', 1.0, r'augment.drop_audio: got 1.0, expected a number in \[0, 0.99'),
    ('augment.brightness', float('nan'), 'augment.brightness'),
    ('loss.kind', 'l7', "loss.kind: got 'l7', expected one of huber, mse"),
    ('loss.weights', [1.0, 'x'], r'loss.weights\[1\]: got'),
    ('loss.weights', [-1.0], r'loss.weights\[0\]: got'),
    ('seed', -1, 'seed: got -1'),
    ('data.allow_missing', ['audio', 'nose'], r"data.allow_missing\[1\]: got 'nose', expected one"),
    ('data.allow_missing', 7, 'data.allow_missing: got 7, expected a list'),
    ('data.label_from', 'wishes', 'data.label_from: got .* expected one of command, odometry'),
    ('data.namespace', 'a b', 'data.namespace: got .* expected a ROS namespace'),
    ('seed', 10**30, 'seed: got'),
    ('optimiser.clip', float('inf'), 'optimiser.clip: got inf, expected a finite number'),
    ('data.lanes', 4096, 'data.lanes: got 4096, expected with 32 ticks at most 2048'),
    ('loss.weights', [1.0] * 10**5, 'loss.weights: got 100000 entries'),
    ('device', 'x' * 10**6, 'device: got'),
    ('seed.of.all', 1, 'seed.of.all: got 1, expected a known setting'),
])
def test_wrong_settings_are_named(key, value, text):
    with pytest.raises(TrainingError, match=text) as caught:
        TrainConfig().override({key: value})
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize(('content', 'text'), [
    (None, 'No such file'), ('{', 'not YAML'), ('a: 1', 'ros__parameters'),
    ('', 'ros__parameters'), ('/**: {ros__parameters: {seed: x}}', "seed: got 'x'"),
])
def test_unreadable_files_are_named(tmp_path, content, text):
    file = tmp_path / 'train.yaml'
    if content is not None:
        file.write_text(content)
    with pytest.raises(TrainingError, match=text) as caught:
        load_train_config(file)
    assert str(file) in str(caught.value)
    assert '\n' not in str(caught.value)


@settings(max_examples=150, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=strategies.integers(0, len(SHIPPED.read_text())), removed=strategies.integers(0, 30),
       added=strategies.text('[]{}:*&!-#\'"|>%,0123456789einf \n\x1b\0', max_size=8))
def test_any_change_of_the_shipped_file_is_read_or_refused(tmp_path, place, removed, added):
    text, file = SHIPPED.read_text(), tmp_path / 'train.yaml'
    file.write_text(text[:place] + added + text[place + removed:])
    with contextlib.suppress(TrainingError):
        load_train_config(file)


def test_what_is_no_file_is_refused(not_a_file):
    with pytest.raises(TrainingError):
        load_train_config(not_a_file)


@pytest.mark.parametrize(('model', 'text'), [
    ({'liquid_units': 10**9}, 'model: .*liquid_units: got 1000000000'),
    ({'num_spike_steps': 10**9}, 'num_spike_steps: got 1000000000'),
    ({'liquid_units': 60_000, 'encoder_dim': 60_000}, 'model: got .* bytes of weights'),
    ({'wings': 2}, 'wings'),
    ({'backbone_options': {'backbone_layers': '\x1b'}}, 'backbone_layers: got'),
])
def test_a_model_beyond_the_limits_is_refused_before_it_is_built(model, text):
    config = TrainConfig.from_dict({'model': {'camera_architecture': 'simple', **model}})
    with pytest.raises(TrainingError, match=text) as caught:
        build_model(RobotSpec(), config)
    assert len(str(caught.value)) <= 500
