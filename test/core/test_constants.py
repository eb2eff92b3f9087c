"""Mel filters, windows and the like are whole, whichever way a model came to its weights."""

from __future__ import annotations

import copy
from functools import partial
import pickle
from typing import Any

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.constants import register_constant
from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.modality_preprocessing import (
    AudioPreprocessor,
    TextPreprocessor,
    VisionPreprocessor,
)
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
    VisionLanguageModel,
)
from liquidspike_ros.core.multimodal_fusion import FusionStrategy

STRATEGIES = [strategy.value for strategy in FusionStrategy]
TINY = {'encoder_dim': 12, 'liquid_units': 8, 'spiking_units': 10, 'num_spike_steps': 4,
        'fusion_dim': 16}
IMAGE, TEXT = (3, 16, 24), {'text_vocab_size': 11, 'text_seq_length': 6}
APPLICATIONS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    'robot': (RobotMultiSensorModel, {
        'camera_size': IMAGE, 'num_sensors': 4, 'camera_architecture': 'simple',
        'lidar_shape': (2, 16), 'audio_channels': 2}),
    'vision and language': (VisionLanguageModel, {
        'image_size': IMAGE, 'vision_architecture': 'resnet', **TEXT}),
    'captioning': (VisionLanguageModel, {
        'image_size': IMAGE, 'vision_architecture': 'simple', 'task': 'captioning', **TEXT}),
    'audio and video': (AudioVideoModel, {'video_frames': 4, 'audio_mels': 16}),
    'three modalities': (TriModalModel, {
        'image_size': IMAGE, 'vision_architecture': 'simple', 'audio_mels': 16, **TEXT}),
}
INPUTS = {
    'camera': lambda: torch.rand(2, *IMAGE), 'sensors': lambda: torch.randn(2, 4),
    'lidar': lambda: torch.rand(2, 2, 16), 'images': lambda: torch.rand(2, *IMAGE),
    'tokens': lambda: torch.randint(0, 11, (2, 6)), 'video': lambda: torch.rand(2, 4, *IMAGE),
}


def built(name: str, **arguments: Any) -> Any:
    kind, own = APPLICATIONS[name]
    return kind(**TINY | own | arguments).eval()


def inputs(model: Any) -> dict[str, Tensor]:
    torch.manual_seed(1)
    several = isinstance(model, RobotMultiSensorModel)
    sound = torch.randn(2, 2, 1600) if several else torch.randn(2, 1600)
    return {name: sound * 0.1 if name == 'audio' else INPUTS[name]() for name in model.modalities}


def same(model: Any, source: Any) -> None:
    torch.testing.assert_close(model(**inputs(source)), source(**inputs(source)), rtol=0, atol=0)


@pytest.mark.parametrize('name', APPLICATIONS)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_model_built_without_memory_is_whole_once_it_has_weights(name, strategy):
    source = built(name, fusion_strategy=strategy)
    with torch.device('meta'):
        model = built(name, fusion_strategy=strategy)
    assert all(p.is_meta for p in model.parameters())
    model.load_state_dict(source.state_dict(), assign=True)
    same(model, source)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same(twin, source)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_whatever_the_liquid_cell(backbone):
    source = built('robot', backbone=backbone, fusion_strategy='hybrid')
    with torch.device('meta'):
        model = built('robot', backbone=backbone, fusion_strategy='hybrid')
        model.load_state_dict(source.state_dict(), assign=True)  # still in the context
    same(model, source)


@pytest.mark.parametrize('name', APPLICATIONS)
def test_emptied_memory_is_filled_again_with_the_weights(name):
    source = built(name)
    with torch.device('meta'):
        model = built(name)
    model.to_empty(device='cpu')
    for buffer in model.buffers():
        buffer.fill_(7)  # what was in the memory before
    model.load_state_dict(source.state_dict())
    same(model, source)


def test_the_way_of_the_weights_makes_no_difference_to_learning():
    source = built('robot').train()
    with torch.device('meta'):
        model = built('robot').train()
    model.load_state_dict(source.state_dict(), assign=True)
    for one in (source, model):
        one(**inputs(one)).square().sum().backward()
    for (name, got), expected in zip(model.named_parameters(), source.parameters(), strict=True):
        torch.testing.assert_close(got.grad, expected.grad, msg=name)


PREPROCESSORS = {
    'audio': (lambda: AudioPreprocessor(output_dim=8, channels=2),
              lambda: torch.randn(2, 2, 1600)),
    'text': (lambda: TextPreprocessor(11, 8), lambda: torch.randint(0, 11, (2, 6))),
    'vision': (lambda: VisionPreprocessor(3, 8, 'simple'), lambda: torch.rand(2, 3, 16, 24)),
    'other vision': (lambda: VisionPreprocessor(1, 8, 'simple'), lambda: torch.rand(2, 1, 16, 24)),
}


@pytest.mark.parametrize('name', PREPROCESSORS)
def test_a_preprocessor_built_without_memory_is_whole_once_it_has_weights(name):
    build, draw = PREPROCESSORS[name]
    source, given = build(), draw()
    with torch.device('meta'):
        module = build()
    module.load_state_dict(source.state_dict(), assign=True)
    torch.testing.assert_close(module(given), source(given), rtol=0, atol=0)


class Scaled(nn.Module):
    def __init__(self, factor: float = 3.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.factor: Tensor
        register_constant(self, 'factor', partial(torch.full, (2,), factor))


def test_a_constant_is_in_no_checkpoint_and_follows_the_module():
    module = Scaled()
    assert list(module.state_dict()) == ['weight']
    assert module.to(torch.float64).factor.dtype is torch.float64
    module.load_state_dict(Scaled().state_dict())
    assert module.factor.dtype is torch.float64  # loading converts the file, not the module


def test_loading_writes_into_the_memory_that_others_read():
    module = Scaled()
    held = module.factor
    held.zero_()
    module.load_state_dict(Scaled().state_dict())
    assert module.factor is held
    assert held.tolist() == [3.0, 3.0]


def test_a_constant_waits_for_the_weights():
    with torch.device('meta'):
        module = Scaled()
    assert module.factor.is_meta
    with pytest.warns(UserWarning, match='no-op'):  # torch's own: nothing to copy into
        module.load_state_dict(Scaled().state_dict())
    assert module.factor.is_meta
    module.load_state_dict(Scaled().state_dict(), assign=True)
    assert module.factor.tolist() == [3.0, 3.0]
