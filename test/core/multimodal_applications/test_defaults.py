"""The user's calls as they stand, at default sizes, forward and backward, every subset."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.modality_preprocessing import (
    AudioPreprocessor,
    SensorPreprocessor,
    TextPreprocessor,
    VideoPreprocessor,
    VisionPreprocessor,
)
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    generate_caption,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)
from liquidspike_ros.core.multimodal_fusion import FusionStrategy, MultiModalFusionNetwork

BATCH = 2


def images() -> Tensor:
    return torch.rand(BATCH, 3, 224, 224)


def tokens() -> Tensor:
    return torch.randint(0, 50257, (BATCH, 128))


def audio() -> Tensor:
    return torch.randn(BATCH, 16000) * 0.1


def video() -> Tensor:
    return torch.rand(BATCH, 16, 3, 224, 224)


def learn(model: nn.Module, given: tuple[Tensor | None, ...], shape: tuple[int, ...]) -> None:
    """One step forward and backward."""
    model.zero_grad()
    output = model(*given)
    assert output.shape == shape
    output.square().mean().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def every_subset(model: nn.Module, given: tuple[Tensor, ...], shape: tuple[int, ...]) -> None:
    indices = range(len(given))
    for count in range(1, len(given) + 1):
        for chosen in combinations(indices, count):
            learn(model, tuple(given[i] if i in chosen else None for i in indices), shape)


@pytest.mark.slow
def test_vision_and_language_classification():
    model = VisionLanguageModel(image_size=(3, 224, 224), text_vocab_size=50257,
                                text_seq_length=128, fusion_dim=512, num_classes=1000)
    every_subset(model, (images(), tokens()), (BATCH, 1000))
    answer, info = model(images(), tokens(), return_modality_features=True,
                         return_attention_maps=True)
    assert answer.shape == (BATCH, 1000)
    assert info.features['images'].shape == (BATCH, 512)
    assert info.attention.shape == (BATCH, 8, 2, 2)


@pytest.mark.slow
def test_captioning():
    model = VisionLanguageModel.preset('image_captioning')
    learn(model, (images(), tokens()), (BATCH, 128, 50257))
    learn(model, (None, tokens()), (BATCH, 128, 50257))
    learn(model, (images(), None), (BATCH, 1, 50257))
    for method in ('greedy', 'beam', 'sampling'):
        caption = generate_caption(model, torch.rand(3, 224, 224), method, max_length=5)
        assert 1 <= caption.shape[0] <= 5


@pytest.mark.slow
def test_audio_and_video():
    model = AudioVideoModel(video_frames=16, audio_sample_rate=16000, fusion_dim=512,
                            num_classes=400)
    every_subset(model, (video(), audio()), (BATCH, 400))


@pytest.mark.slow
def test_robot():
    model = RobotMultiSensorModel(camera_size=(3, 224, 224), num_sensors=10, fusion_dim=512,
                                  action_dim=7)
    every_subset(model, (images(), torch.randn(BATCH, 10)), (BATCH, 7))


@pytest.mark.slow
def test_robot_with_all_its_senses():
    model = RobotMultiSensorModel(lidar_shape=(2, 360), audio_channels=2)
    senses = (images(), torch.randn(BATCH, 10), torch.rand(BATCH, 2, 360),
              torch.randn(BATCH, 2, 1600) * 0.1)
    every_subset(model, senses, (BATCH, 7))


@pytest.mark.slow
def test_three_modalities():
    model = TriModalModel(image_size=(3, 224, 224), text_vocab_size=50257,
                          audio_sample_rate=16000, fusion_dim=512, num_classes=1000)
    every_subset(model, (images(), audio(), tokens()), (BATCH, 1000))


class Named(nn.Module):
    """A network whose inputs come one by one, as those of the ready-made models do."""

    def __init__(self, network: MultiModalFusionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor | None) -> Tensor:
        return self.network(dict(zip(self.network.modalities, given, strict=True)))


@pytest.mark.slow
@pytest.mark.parametrize('strategy', [strategy.value for strategy in FusionStrategy])
def test_a_network_of_four_modalities(strategy: str):
    widths = {'vision': 2048, 'audio': 1024, 'text': 512, 'sensor': 128}
    configs = {name: {'type': name, 'input_dim': width} for name, width in widths.items()}
    network = MultiModalFusionNetwork(configs, strategy, fusion_dim=512, num_attention_heads=8,
                                      output_dim=7)
    given = tuple(torch.randn(BATCH, width) for width in widths.values())
    every_subset(Named(network), given, (BATCH, 7))
    inputs = dict(zip(widths, given, strict=True))
    output, info = network(inputs, return_modality_features=True, return_attention_maps=True)
    assert output.shape == (BATCH, 7)
    assert {name: tuple(x.shape) for name, x in info.features.items()} == dict.fromkeys(
        widths, (BATCH, 512))


@pytest.mark.slow
def test_the_settings_that_save_memory():
    model = TriModalModel(fusion_strategy='early', fusion_dim=256, num_attention_heads=4)
    every_subset(model, (images(), audio(), tokens()), (BATCH, 1000))


PREPROCESSORS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor], int]] = {
    'vision': (VisionPreprocessor, images, 2048),
    'vision resnet': (lambda: VisionPreprocessor(architecture='resnet'), images, 2048),
    'vision simple': (lambda: VisionPreprocessor(architecture='simple'), images, 2048),
    'audio': (AudioPreprocessor, audio, 1024),
    'audio of one channel': (AudioPreprocessor, lambda: audio().unsqueeze(1), 1024),
    'text': (TextPreprocessor, tokens, 512),
    'sensor': (lambda: SensorPreprocessor(10), lambda: torch.randn(BATCH, 10), 128),
    'sensor window': (lambda: SensorPreprocessor(10), lambda: torch.randn(BATCH, 10, 50), 128),
    'video': (VideoPreprocessor, video, 1024),
    'video by frame': (lambda: VideoPreprocessor(architecture='frame'), video, 1024),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', PREPROCESSORS)
def test_preprocessors(name: str):
    build, draw, width = PREPROCESSORS[name]
    learn(build(), (draw(),), (BATCH, width))
