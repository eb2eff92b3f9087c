"""Precision, copies, export, weights by assignment: what is done to whole models."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.core.multimodal_fusion import FusionStrategy, MultiModalFusionNetwork
from liquidspike_ros.core.state import leaves

STRATEGIES = [strategy.value for strategy in FusionStrategy]
Named = dict[str, Tensor]


def robot(strategy: str = 'hybrid', backbone: str = 'cfc', seed: int = 0) -> RobotMultiSensorModel:
    torch.manual_seed(seed)
    return RobotMultiSensorModel(
        (3, 32, 32), 4, 16, 2, camera_architecture='simple', fusion_strategy=strategy,
        encoder_dim=16, liquid_units=8, spiking_units=8, num_spike_steps=4, backbone=backbone,
        lidar_shape=(2, 16), audio_channels=2, audio_window=1600,
    ).eval()


def senses(*leading: int) -> Named:
    torch.manual_seed(1)
    return {
        'camera': torch.rand(*leading, 3, 32, 32), 'sensors': torch.randn(*leading, 4),
        'lidar': torch.rand(*leading, 2, 16), 'audio': torch.randn(*leading, 2, 1600) * 0.1,
    }


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_autocast_keeps_the_state_whole_and_the_action_close(strategy, backbone):
    model, inputs = robot(strategy, backbone), senses(2, 4)
    expected, _ = model.unroll(inputs)
    with torch.autocast('cpu', torch.bfloat16):
        actions, state = model.unroll(inputs)
        model.train()
        trained, _ = model.unroll(inputs)
    trained.float().square().sum().backward()
    assert all(leaf.dtype is torch.float32 for leaf in leaves(state))
    assert (actions.float() - expected).abs().max() < 1e-2
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_model_in_bfloat16_steps_and_learns(strategy, backbone):
    model, inputs = robot(strategy, backbone), senses(2, 4)
    expected, _ = model.unroll(inputs)
    half = copy.deepcopy(model).to(torch.bfloat16)
    actions, state = half.unroll({name: value.bfloat16() for name, value in inputs.items()})
    assert actions.dtype is torch.bfloat16
    assert all(leaf.dtype is torch.bfloat16 for leaf in leaves(state))
    assert (actions.float() - expected).abs().max() < 5e-2
    actions.sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in half.parameters() if p.grad is not None)


class Stepped(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Named, state: dict, dt: Tensor) -> tuple[Tensor, dict]:
        return self.model.step(inputs, state, dt)


def check_export(model: nn.Module, inputs: Named) -> None:
    dt = torch.full((2,), 0.05)
    program = torch.export.export(
        Stepped(model), (inputs, model.init_state(2), dt), strict=False).module()
    _, state = model.step(inputs)
    _, expected_state = model.step(inputs, state, dt * 2)
    action, after = program(inputs, state, dt * 2)
    expected, _ = model.step(inputs, state, dt * 2)
    torch.testing.assert_close(action, expected)
    torch.testing.assert_close(leaves(after), leaves(expected_state))


@pytest.mark.slow
@pytest.mark.parametrize('gradients', [True, False])
@pytest.mark.parametrize(
    ('strategy', 'backbone'),
    [(s, 'cfc') for s in STRATEGIES] + [('hybrid', b) for b in BACKBONES if b != 'cfc'],
)
def test_a_step_exports_with_its_state_going_in_and_out(strategy, backbone, gradients):
    with torch.set_grad_enabled(gradients):
        check_export(robot(strategy, backbone), senses(2))


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes', [{'coding': 'latency'}, {'coding': 'delta'}, {'spiking_options': {'reset': 'zero'}},
                {'backbone_options': {'mixed_memory': True}}], ids=str)
def test_options_export_too(changes):
    torch.manual_seed(0)
    config = {'type': 'custom', 'input_dim': 3, 'encoder_dim': 6, 'liquid_units': 5,
              'spiking_units': 4, 'num_spike_steps': 6} | changes
    model = MultiModalFusionNetwork({'a': config, 'b': config}, 'hybrid', 8, 2, 2).eval()
    check_export(model, {'a': torch.randn(2, 3), 'b': torch.randn(2, 3)})


@pytest.mark.parametrize('backbone', BACKBONES)
def test_two_models_in_one_process_do_not_know_of_each_other(backbone):
    one, other = robot(backbone=backbone), robot(backbone=backbone, seed=1)
    inputs = senses(2)
    _, state = one.step(inputs)
    expected, _ = one.step(inputs, state)
    _, other_state = other.step(inputs)
    other.reset_state(other_state, torch.ones(2, dtype=torch.bool))
    other.to(torch.bfloat16)
    del other
    torch.testing.assert_close(one.step(inputs, state)[0], expected, rtol=0, atol=0)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_weights_load_by_assignment_and_are_then_the_ones_given(backbone):
    one, other = robot(backbone=backbone), robot(backbone=backbone, seed=1)
    weights = {name: value.clone() for name, value in one.state_dict().items()}
    other.load_state_dict(weights, assign=True)
    inputs = senses(2)
    torch.testing.assert_close(other.step(inputs), one.step(inputs), rtol=0, atol=0)
    for name, parameter in other.named_parameters():
        assert parameter.data_ptr() == weights[name].data_ptr()
    before, _ = other.step(inputs)
    with torch.no_grad():  # the forward pass reads these very tensors
        for value in weights.values():
            if value.is_floating_point():
                value.mul_(1.1)
    assert not torch.allclose(other.step(inputs)[0], before)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_copies_and_pickles_act_the_same_and_apart(backbone):
    model, inputs = robot(backbone=backbone), senses(2)
    expected = model.step(inputs)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.step(inputs), expected, rtol=0, atol=0)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.zero_()
        torch.testing.assert_close(model.step(inputs), expected, rtol=0, atol=0)
