"""Mel filters, windows and the like are whole, whichever way a model came to its weights."""

from __future__ import annotations

import copy
from functools import partial
import pickle

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.computed_buffers import register_constant
from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.modality_preprocessing import (
    AudioPreprocessor,
    TextPreprocessor,
    VisionPreprocessor,
)
from liquidspike_ros.core.multimodal_fusion import FusionStrategy

STRATEGIES = [strategy.value for strategy in FusionStrategy]


def same(application, model, source) -> None:
    torch.testing.assert_close(application.answer(model), application.answer(source),
                               rtol=0, atol=0)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_model_built_without_memory_is_whole_once_it_has_weights(application, strategy):
    source = application.build(fusion_strategy=strategy)
    with torch.device('meta'):
        model = application.build(fusion_strategy=strategy)
    assert all(p.is_meta for p in model.parameters())
    model.load_state_dict(source.state_dict(), assign=True)
    for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same(application, twin, source)


@pytest.mark.parametrize('changes', [
    *({'backbone': backbone} for backbone in BACKBONES), {'camera_architecture': 'resnet'},
], ids=str)
def test_whatever_the_parts(robot, changes):
    source = robot.build(fusion_strategy='hybrid', **changes)
    with torch.device('meta'):
        model = robot.build(fusion_strategy='hybrid', **changes)
        model.load_state_dict(source.state_dict(), assign=True)  # still in the context
    same(robot, model, source)


def test_emptied_memory_is_filled_again_with_the_weights(application):
    source = application.build()
    with torch.device('meta'):
        model = application.build()
    model.to_empty(device='cpu')
    for buffer in model.buffers():
        buffer.fill_(7)  # what was in the memory before
    model.load_state_dict(source.state_dict())
    same(application, model, source)


def test_the_way_of_the_weights_makes_no_difference_to_learning(robot):
    source = robot.build().train()
    with torch.device('meta'):
        model = robot.build().train()
    model.load_state_dict(source.state_dict(), assign=True)
    for one in (source, model):
        robot.answer(one).square().sum().backward()
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
