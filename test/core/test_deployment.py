from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from liquidspike_ros.core.deployment import (
    deploy,
    fold_batch_norms,
    freeze_derived_weights,
)
from liquidspike_ros.core.modality_preprocessing import VisionPreprocessor
from liquidspike_ros.core.modality_preprocessing.in_c import InC
from liquidspike_ros.core.tick import native

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def trained(model: nn.Module) -> nn.Module:
    """With batch norms as training leaves them; fresh ones do next to nothing."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, NORMS) and module.running_mean is not None:
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


@pytest.mark.parametrize('architecture', ['resnet', 'resnet50'])
def test_folded_trunks_give_the_same_features(architecture):
    plain = trained(VisionPreprocessor(3, 32, architecture))
    folded = copy.deepcopy(plain)
    assert fold_batch_norms(folded) == sum(isinstance(m, NORMS) for m in plain.modules())
    assert not any(isinstance(m, NORMS) for m in folded.modules())
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        expected = plain(images)
        assert torch.allclose(folded(images), expected, rtol=1e-5, atol=1e-5)


def drive(model: nn.Module, ticks: int = 12) -> torch.Tensor:
    """What a model says from tick to tick, ``[ticks, A]``."""
    generator, state, said = torch.Generator().manual_seed(2), None, []

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(1, *shape, generator=generator)

    with torch.inference_mode():
        for _ in range(ticks):
            output, state = model.step({
                'camera': draw(3, 16, 24), 'sensors': draw(4) - 0.5, 'lidar': draw(2, 16),
                'audio': 0.2 * draw(2, 1600) - 0.1}, state)
            said.append(output[0])
    return torch.stack(said)


def test_a_folded_policy_acts_the_same_and_the_callers_stays_as_it_was(robot):
    model = trained(robot.build(camera_architecture='resnet'))
    model.train()
    learning = [value.requires_grad for value in model.parameters()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deployed = deploy(model)
    assert not deployed.training
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [value.requires_grad for value in model.parameters()] == learning
    torch.testing.assert_close(drive(deployed), drive(model.eval()), rtol=1e-5, atol=1e-5)


def test_trunks_without_batch_norm_keep_their_values_in_another_layout(robot):
    model = robot.build(camera_architecture='efficient')
    deployed = deploy(model, 'cpu')
    weights = {name.replace('.module.', '.'): value
               for name, value in deployed.state_dict().items()}
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    for convolution in deployed.modules():
        if isinstance(convolution, nn.Conv2d):
            assert convolution.weight.is_contiguous(memory_format=torch.channels_last)


class Backwards(nn.Module):
    """Convolution and norm under the usual names, but called the other way round."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.conv1(self.bn1(x))


def test_only_what_is_known_to_follow_is_folded():
    assert fold_batch_norms(trained(Backwards())) == 0
    apart = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    assert fold_batch_norms(trained(apart)) == 0
    without = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    assert fold_batch_norms(trained(without)) == 0
    beside = nn.Sequential(nn.Conv1d(3, 3, 1), nn.BatchNorm1d(3))
    assert fold_batch_norms(trained(beside)) == 1


@pytest.mark.parametrize('strategy', ['early', 'late', 'hybrid', 'hierarchical'])
def test_derived_weights_give_the_same_actions_and_are_made_once(robot, strategy):
    model = robot.build(fusion_strategy=strategy)
    held = copy.deepcopy(model).requires_grad_(False)
    assert freeze_derived_weights(held) > 0
    before = drive(held)
    torch.testing.assert_close(before, drive(model), rtol=1e-5, atol=1e-5)
    for name, value in held.named_parameters():
        if 'current.weight' in name:
            value.zero_()
    assert torch.equal(drive(held), before)


@pytest.mark.skipif(native.kernels() is None, reason=native.reason())
@pytest.mark.parametrize('architecture', ['simple', 'efficient'])
def test_preprocessors_run_in_c_and_give_the_same(robot, architecture):
    model = robot.build(camera_architecture=architecture)
    deployed = deploy(model)
    taken = [name for name, module in deployed.named_modules() if isinstance(module, InC)]
    assert [name.rpartition('.')[2] for name in taken] == ['camera', 'sensors', 'lidar', 'audio']
    assert not any(isinstance(module, InC) for module in model.modules())
    torch.testing.assert_close(drive(deployed), drive(model), rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert (deployed.way(), model.way()) == ('in C', 'side by side')
    assert deployed.way() == 'side by side'  # with gradients


def test_weights_are_not_loaded_into_a_deployed_copy(robot):
    model = robot.build()
    with pytest.raises(RuntimeError, match='load_state_dict: got a deployed copy'):
        deploy(model).load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match='deploy it again'):
        deploy(model).network.fusion.load_state_dict(model.network.fusion.state_dict())


def test_a_deployed_copy_may_be_deployed_and_its_copies_load_nothing_either(robot):
    model = robot.build()
    again = copy.deepcopy(deploy(deploy(model)))
    torch.testing.assert_close(drive(again), drive(model), rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match='deploy it again'):
        again.load_state_dict(model.state_dict())
