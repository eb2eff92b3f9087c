"""Training settings are checked before anything is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from liquidspike_ros.training.configuration import load_train_config, TrainConfig, TrainingError

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
    ('optimiser.epochs', 0, 'optimiser.epochs: got 0, expected at least 1'),
    ('optimiser.epochs', 'many', "optimiser.epochs: got 'many', expected int"),
    ('optimiser.speed', 1, 'optimiser.speed: unknown key, expected one of'),
    ('nowhere.at.all', 1, 'nowhere.at.all: got 1, expected a known setting'),
    ('data.lanes', True, 'data.lanes: got True, expected int'),
    ('data.validation', 1.5, 'data.validation: got 1.5, expected in'),
    ('augment.drop_audio', 1.0, 'augment.drop_audio: got 1.0, expected a share'),
    ('augment.brightness', float('nan'), 'augment.brightness'),
    ('loss.kind', 'l7', "loss.kind: got 'l7', expected huber or mse"),
    ('loss.weights', [1.0, 'x'], r'loss.weights\[1\]: got'),
    ('loss.weights', [-1.0], 'loss.weights: got'),
    ('seed', -1, 'seed: got -1'),
    ('data.allow_missing', ['audio', 'nose'], "data.allow_missing: got 'nose', expected one of"),
    ('data.allow_missing', 'audio', "data.allow_missing: got 'audio', expected a list"),
    ('data.label_from', 'wishes', 'data.label_from: got .* expected command or odometry'),
    ('data.namespace', 'a b', 'data.namespace: got .* expected a ROS namespace'),
])
def test_wrong_settings_are_named(key, value, text):
    with pytest.raises(TrainingError, match=text):
        TrainConfig().override({key: value})


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
