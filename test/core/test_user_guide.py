"""What the user's guide promises to write runs as it is written, in small."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    CaptionLoss,
    generate_caption,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)
from liquidspike_ros.core.multimodal_fusion import (
    FusionStrategy,
    ModalityType,
    MultiModalFusionNetwork,
    TemporalAligner,
)

TINY = {'encoder_dim': 12, 'liquid_units': 8, 'spiking_units': 10, 'num_spike_steps': 4,
        'fusion_dim': 16}
WORDS = 23


def captioning(**arguments) -> VisionLanguageModel:
    torch.manual_seed(0)
    sizes = {'image_size': (3, 16, 16), 'text_vocab_size': WORDS, 'text_seq_length': 9,
             'num_classes': WORDS, 'vision_architecture': 'simple'} | TINY
    return VisionLanguageModel(**sizes | arguments)


def test_as_many_classes_as_words_is_captioning():
    model = captioning()
    assert model.task == 'captioning'
    assert model.config['task'] == 'captioning'
    assert captioning(task='classification').task == 'classification'
    assert captioning(num_classes=5).task == 'classification'


def test_captions_are_learnt_with_teacher_forcing_and_generated():
    model, criterion = captioning(), CaptionLoss()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    images, captions = torch.rand(4, 3, 16, 16), torch.randint(1, WORDS, (4, 9))
    losses = []
    for _ in range(12):
        loss = criterion(model(images, captions[:, :-1]), captions[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3
    with torch.no_grad():
        assert generate_caption(model, images[0]).dim() == 1


def test_the_loss_of_captions_is_the_usual_one_without_padding():
    torch.manual_seed(0)
    logits, words = torch.randn(2, 5, WORDS), torch.randint(1, WORDS, (2, 5))
    usual = nn.CrossEntropyLoss()(logits.transpose(1, 2), words)
    torch.testing.assert_close(CaptionLoss()(logits, words), usual)
    words[1, 3:] = 0
    kept = nn.CrossEntropyLoss()(logits.flatten(0, 1)[words.flatten() > 0], words[words > 0])
    torch.testing.assert_close(CaptionLoss()(logits, words), kept)
    torch.testing.assert_close(CaptionLoss(pad_id=-100, label_smoothing=0.1)(logits, words),
                               nn.CrossEntropyLoss(label_smoothing=0.1)(
                                   logits.transpose(1, 2), words))
    with pytest.raises(ValueError, match=r'captions: got logits \(2, 5, 23\) for words \(2, 4\)'):
        CaptionLoss()(logits, words[:, 1:])


def test_a_control_loop_has_no_batch():
    model = RobotMultiSensorModel(camera_size=(3, 16, 16), num_sensors=10, action_dim=7,
                                  camera_architecture='simple', **TINY).eval()
    camera, sensors = torch.rand(3, 16, 16), torch.randn(10)
    action = model(camera, sensors)
    assert action.shape == (7,)
    torch.testing.assert_close(action, model(camera[None], sensors[None])[0])
    assert model(camera, None).shape == (7,)
    action, info = model(camera, sensors, return_modality_features=True)
    assert action.shape == (7,)
    assert info.features['camera'].shape == (1, 12)
    with pytest.raises(ValueError, match='sensors: got shape'):
        model(camera[None], sensors)  # one with, one without


def test_samples_of_all_models_may_come_without_a_batch(application):
    model = application.build()
    if getattr(model, 'task', '') == 'captioning':
        pytest.skip('a caption is decoded word by word')
    given = {'camera': torch.rand(3, 16, 24), 'sensors': torch.randn(4), 'lidar': torch.rand(2, 16),
             'images': torch.rand(3, 16, 24), 'tokens': torch.randint(1, 11, (6,)),
             'video': torch.rand(4, 3, 16, 24),
             'audio': 0.1 * torch.randn(*(2,) if 'camera' in model.modalities else (), 1600)}
    named = {name: given[name] for name in model.modalities}
    alone = model(**named)
    together = model(**{name: value[None] for name, value in named.items()})
    torch.testing.assert_close(alone, together[0])


class Custom(nn.Module):
    """The guide's preprocessor, which does not say how wide its features are."""

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_dim, output_dim), nn.ReLU())
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.layers(x)


@pytest.mark.parametrize('input_dim', [6, 9])
@pytest.mark.parametrize('strategy', list(FusionStrategy))
def test_the_width_of_a_custom_modality_is_read_either_way(strategy, input_dim):
    preprocessing = Custom(6, 9)
    model = MultiModalFusionNetwork(
        {'custom': {'type': ModalityType.CUSTOM, 'input_dim': input_dim, 'encoder_dim': 12,
                    'liquid_units': 8, 'spiking_units': 10, 'preprocessing': preprocessing},
         'other': {'type': ModalityType.SENSOR, 'input_dim': 4, 'encoder_dim': 12}},
        fusion_strategy=strategy, fusion_dim=16, num_attention_heads=4, output_dim=3)
    assert preprocessing.calls == 0
    assert model.feature_dims == {'custom': 9, 'other': 4}
    assert model({'custom': torch.randn(2, 6), 'other': torch.randn(2, 4)}).shape == (2, 3)


def test_a_preprocessor_that_takes_no_rows_is_left_alone():
    model = MultiModalFusionNetwork(
        {'custom': {'type': 'custom', 'input_dim': 8, 'encoder_dim': 12, 'preprocessing':
                    nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())}},
        'late', 16, 4, 3)
    assert model({'custom': torch.rand(2, 3, 9, 9)}).shape == (2, 3)
    with torch.device('meta'):
        MultiModalFusionNetwork({'custom': {'type': 'custom', 'input_dim': 9, 'encoder_dim': 12,
                                            'preprocessing': Custom(6, 9)}}, 'late', 16, 4, 3)


def test_features_of_one_time_are_aligned_without_rates():
    video, audio = torch.rand(2, 5, 8), torch.rand(2, 7, 20)
    aligned = TemporalAligner()(video, audio)
    assert [tuple(value.shape) for value in aligned] == [(2, 5, 20), (2, 7, 20)]
    torch.testing.assert_close(aligned[1], audio)
    torch.testing.assert_close(aligned[0], nn.functional.interpolate(video, 20, mode='linear'))
    assert TemporalAligner()(video, audio, ticks=4)[1].shape == (2, 7, 4)
    for wrong in ((video, None), (video[0], audio), (video, {'audio': audio})):
        with pytest.raises(ValueError, match=r'features: got .* expected two tensors \[B, C, T\]'):
            TemporalAligner()(*wrong)


def test_modalities_with_dropout_of_their_own_are_deployed_all_the_same():
    torch.manual_seed(0)
    configs = {name: {'type': 'custom', 'input_dim': 8, 'encoder_dim': 12, 'liquid_units': 8,
                      'spiking_units': 10, 'num_spike_steps': 4, 'dropout': dropout}
               for name, dropout in (('vision', 0.3), ('audio', 0.1))}
    model = MultiModalFusionNetwork(configs, 'hybrid', 16, 4, 3)
    given = {name: torch.randn(1, 8) for name in configs}
    dropped = copy.deepcopy(model).train()
    for encoder in dropped.fusion.encoders.values():
        encoder.dropout.p = 1.0 if encoder.dropout.p == 0.3 else 0.0
    *_, info = dropped.step(given, return_info=True)
    assert not info.features['vision'].any()
    assert info.features['audio'].any()
    with torch.no_grad():
        deployed = deploy(model)
        assert 'expected CfC cells' not in deployed.native_reason()
        torch.testing.assert_close(deployed(given), model.eval()(given), rtol=1e-5, atol=1e-5)


def test_the_other_applications_train():
    models = [
        (AudioVideoModel(video_frames=4, num_classes=5, **TINY),
         (torch.rand(2, 4, 3, 16, 16), torch.randn(2, 1600))),
        (TriModalModel(image_size=(3, 16, 16), text_vocab_size=WORDS, num_classes=5,
                       vision_architecture='simple', **TINY),
         (torch.rand(2, 3, 16, 16), torch.randn(2, 1600), torch.randint(0, WORDS, (2, 6))))]
    for model, inputs in models:
        predictions = model(*inputs)
        nn.CrossEntropyLoss()(predictions, torch.tensor([1, 2])).backward()
        assert predictions.shape == (2, 5)
