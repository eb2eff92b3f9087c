from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)

TINY = {'encoder_dim': 12, 'liquid_units': 8, 'spiking_units': 10, 'num_spike_steps': 4,
        'fusion_dim': 16}
IMAGE, TEXT = (3, 16, 24), {'text_vocab_size': 11, 'text_seq_length': 6}
INPUTS = {
    'camera': lambda: torch.rand(2, *IMAGE), 'sensors': lambda: torch.randn(2, 4),
    'lidar': lambda: torch.rand(2, 2, 16), 'images': lambda: torch.rand(2, *IMAGE),
    'tokens': lambda: torch.randint(0, 11, (2, 6)), 'video': lambda: torch.rand(2, 4, *IMAGE),
}


@dataclass(frozen=True)
class Application:
    """One of the ready-made models in small."""

    kind: type[Any]
    arguments: dict[str, Any]

    def build(self, **arguments: Any) -> Any:
        torch.manual_seed(0)
        return self.kind(**TINY | self.arguments | arguments).eval()

    def answer(self, model: nn.Module) -> Tensor:
        """What a model says to inputs that are always the same, in a state of rest."""
        torch.manual_seed(1)
        channels = (2,) if self.kind is RobotMultiSensorModel else ()
        sound = torch.randn(2, *channels, 1600) * 0.1
        return model(**{name: sound if name == 'audio' else INPUTS[name]()
                        for name in model.modalities})


APPLICATIONS = {
    'robot': Application(RobotMultiSensorModel, {
        'camera_size': IMAGE, 'num_sensors': 4, 'camera_architecture': 'simple',
        'lidar_shape': (2, 16), 'audio_channels': 2, 'audio_mels': 16}),
    'questions': Application(VisionLanguageModel, {
        'image_size': IMAGE, 'vision_architecture': 'simple', **TEXT}),
    'captions': Application(VisionLanguageModel, {
        'image_size': IMAGE, 'vision_architecture': 'simple', 'task': 'captioning', **TEXT}),
    'audio and video': Application(AudioVideoModel, {'video_frames': 4, 'audio_mels': 16}),
    'three modalities': Application(TriModalModel, {
        'image_size': IMAGE, 'vision_architecture': 'simple', 'audio_mels': 16, **TEXT}),
}


@pytest.fixture(params=APPLICATIONS)
def application(request: pytest.FixtureRequest) -> Application:
    """Each of the four models, vision and language in both of its tasks."""
    return APPLICATIONS[request.param]


@pytest.fixture
def robot() -> Application:
    return APPLICATIONS['robot']
