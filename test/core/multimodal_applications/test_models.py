"""What all ready-made models promise: the user's calls at the user's sizes, subsets, copies."""

from __future__ import annotations

import copy
from itertools import combinations
import json
from pathlib import Path
import pickle
from typing import Any

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained, save_pretrained
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)
from liquidspike_ros.core.multimodal_applications.presets import PRESETS
from liquidspike_ros.core.multimodal_fusion import FusionStrategy

STRATEGIES = [strategy.value for strategy in FusionStrategy]
TINY = {'encoder_dim': 12, 'liquid_units': 8, 'spiking_units': 10, 'num_spike_steps': 4,
        'fusion_dim': 16}
IMAGE = (3, 16, 24)
SMALL: dict[type[nn.Module], dict[str, Any]] = {
    VisionLanguageModel: {'image_size': IMAGE, 'text_vocab_size': 11, 'text_seq_length': 6,
                          'num_classes': 5, 'vision_architecture': 'simple'},
    AudioVideoModel: {'video_frames': 4, 'num_classes': 5, 'audio_mels': 16},
    TriModalModel: {'image_size': IMAGE, 'text_vocab_size': 11, 'text_seq_length': 6,
                    'num_classes': 5, 'vision_architecture': 'simple', 'audio_mels': 16},
}
MODELS = list(SMALL)


def small(kind: type[nn.Module], **arguments: Any) -> Any:
    torch.manual_seed(0)
    return kind(**TINY | SMALL[kind] | arguments).eval()


def inputs(kind: type[nn.Module], seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    images, tokens = torch.rand(2, *IMAGE), torch.randint(0, 11, (2, 6))
    audio = torch.randn(2, 1600) * 0.1
    return {VisionLanguageModel: {'images': images, 'tokens': tokens},
            AudioVideoModel: {'video': torch.rand(2, 4, 3, 16, 24), 'audio': audio},
            TriModalModel: {'images': images, 'audio': audio, 'tokens': tokens}}[kind]


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for count in range(1, len(names) + 1) for chosen in combinations(names, count)]


@pytest.mark.parametrize('kind', MODELS)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_subset_of_inputs_gives_an_answer_and_a_gradient(kind, strategy):
    model = small(kind, fusion_strategy=strategy).train()
    given = inputs(kind)
    answers = []
    for chosen in subsets(model.modalities):
        now = {name: value if name in chosen else None for name, value in given.items()}
        model.zero_grad()
        answer, info = model(**now, return_modality_features=True)
        answer.square().sum().backward()
        assert answer.shape == (2, 5)
        assert info.present.tolist() == [[name in chosen for name in model.modalities]] * 2
        torch.testing.assert_close(info.weights.sum(-1), torch.ones(2))
        assert all(p.grad is None or bool(torch.isfinite(p.grad).all())
                   for p in model.parameters())
        answers.append(answer.detach())
    for one, other in combinations(answers, 2):
        assert not torch.allclose(one, other)
    with pytest.raises(ValueError, match='inputs: got none, expected at least one of'):
        model(**dict.fromkeys(given))


@pytest.mark.parametrize('kind', MODELS)
def test_info_tells_what_was_asked_for(kind):
    model = small(kind, fusion_strategy='hybrid')
    count = len(model.modalities)
    plain = model(**inputs(kind))
    answer, info = model(**inputs(kind), return_modality_features=True,
                         return_attention_maps=True)
    torch.testing.assert_close(answer, plain)
    assert {name: tuple(value.shape) for name, value in info.features.items()
            } == dict.fromkeys(model.modalities, (2, 12))
    assert info.attention.shape[0] == 2
    assert info.attention.shape[2:] == (count, count)
    _, info = model(**inputs(kind), return_attention_maps=True)
    assert info.features == {}


@pytest.mark.parametrize('kind', MODELS)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_copies_pickles_and_checkpoints(kind, strategy, tmp_path: Path):
    model = small(kind, fusion_strategy=strategy)
    expected = model(**inputs(kind))
    save_pretrained(model, tmp_path, {'note': 'kept'})
    loaded, metadata = from_pretrained(tmp_path)
    assert metadata == {'note': 'kept'}
    assert type(loaded) is kind
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        torch.testing.assert_close(twin(**inputs(kind)), expected)
    rebuilt = kind(**json.loads(json.dumps(model.config)))
    rebuilt.load_state_dict(model.state_dict(), assign=True)
    torch.testing.assert_close(rebuilt.eval()(**inputs(kind)), expected)


def test_a_captioning_checkpoint_says_the_same(tmp_path: Path):
    model = small(VisionLanguageModel, task='captioning', num_classes=1)
    save_pretrained(model, tmp_path)
    loaded, _ = from_pretrained(tmp_path)
    given = inputs(VisionLanguageModel)
    torch.testing.assert_close(loaded(**given), model(**given))


def test_weights_of_the_other_task_are_refused(tmp_path: Path):
    save_pretrained(small(VisionLanguageModel), tmp_path)
    document = json.loads((tmp_path / 'config.json').read_text())
    document['config']['task'] = 'captioning'
    (tmp_path / 'config.json').write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match='missing, expected shape'):
        from_pretrained(tmp_path)


@pytest.mark.parametrize('kind', MODELS)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_stream_is_walked_as_it_is_stepped(kind, strategy):
    model = small(kind, fusion_strategy=strategy)
    ticks = [inputs(kind, seed) for seed in range(3)]
    whole = {name: torch.stack([tick[name] for tick in ticks], 1) for name in model.modalities}
    expected, _ = model.unroll(whole, dt=0.1)
    state = model.init_state(2)
    for index, tick in enumerate(ticks):
        answer, state = model.step(tick, state, dt=0.1)
        torch.testing.assert_close(answer, expected[:, index], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', MODELS)
def test_a_wrong_input_is_named(kind):
    model, given = small(kind), inputs(kind)
    for name, value in given.items():
        with pytest.raises(ValueError, match=rf'^{name}: got shape'):
            model(**given | {name: value.unsqueeze(-1)})


def test_several_microphones_are_taken_when_asked_for():
    model = small(AudioVideoModel, audio_channels=2)
    assert model(None, torch.randn(2, 2, 1600)).shape == (2, 5)
    with pytest.raises(ValueError, match=r'audio: got shape .* expected \[B, 2, samples\]'):
        model(None, torch.randn(2, 1600))


def test_frame_by_frame_video():
    model = small(AudioVideoModel, video_architecture='frame', frame_architecture='simple')
    assert model(**inputs(AudioVideoModel)).shape == (2, 5)


ALL = {kind.__name__: kind for kind in [*MODELS, RobotMultiSensorModel]}
RECOMMENDED = [
    # model, preset, strategy, heads, what else the user recommends
    ('RobotMultiSensorModel', 'robot_control', 'early', 4, {'camera_architecture': 'efficient'}),
    ('VisionLanguageModel', 'image_captioning', 'hybrid', 8,
     {'task': 'captioning', 'vision_architecture': 'resnet'}),
    ('AudioVideoModel', 'video_understanding', 'hierarchical', 12, {'video_architecture': '3d'}),
    ('TriModalModel', 'content_moderation', 'late', 6, {}),
]


@pytest.mark.parametrize(('name', 'preset', 'strategy', 'heads', 'rest'), RECOMMENDED)
def test_presets_are_what_was_recommended(name, preset, strategy, heads, rest):
    model = ALL[name].preset(preset)
    wanted = {'fusion_strategy': strategy, 'num_attention_heads': heads, 'fusion_dim': 512} | rest
    assert {key: model.config[key] for key in wanted} == wanted
    assert model.network.fusion_strategy.value == strategy


def test_every_preset_is_held_to_its_recommendation():
    assert {(row[0], row[1]) for row in RECOMMENDED} == {
        (name, preset) for name, presets in PRESETS.items() for preset in presets}


def test_a_preset_can_be_changed_and_an_unknown_one_lists_the_known():
    sizes = TINY | SMALL[TriModalModel]
    model = TriModalModel.preset('content_moderation', **sizes | {'num_attention_heads': 2})
    assert (model.config['num_attention_heads'], model.config['fusion_strategy']) == (2, 'late')
    with pytest.raises(ValueError, match="preset: got 'cooking', expected one of content_mod"):
        TriModalModel.preset('cooking')
