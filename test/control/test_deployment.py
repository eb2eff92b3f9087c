from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from liquidspike_ros.control.deployment import (
    deployed_copy,
    fold_batch_norms,
    keep_derived_weights,
)
from liquidspike_ros.control.eager_step import EagerStep
from liquidspike_ros.control.rehearsal import compare, rehearsal
from liquidspike_ros.core import native
from liquidspike_ros.core.modality_preprocessing import VisionPreprocessor
from liquidspike_ros.core.modality_preprocessing.in_c import InC

CPU = torch.device('cpu')
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


def test_a_folded_policy_acts_the_same_and_the_callers_stays_as_it_was(make_policy, small_robot):
    model = trained(make_policy(camera_architecture='resnet'))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deployed = deployed_copy(model, CPU)
    assert not deployed.training
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.inference_mode():
        gap = compare(EagerStep(model.eval(), small_robot, CPU),
                      EagerStep(deployed, small_robot, CPU), rehearsal(small_robot))
    assert gap.action < 1e-5


def test_trunks_without_batch_norm_keep_their_values_in_another_layout(make_policy):
    model = make_policy(camera_architecture='efficient')
    deployed = deployed_copy(model, CPU)
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
def test_kept_weights_give_the_same_actions_and_are_made_once(make_policy, small_robot, strategy):
    model = make_policy(fusion_strategy=strategy)
    kept = copy.deepcopy(model)
    assert keep_derived_weights(kept) > 0
    with torch.inference_mode():
        steppers = [EagerStep(m, small_robot, CPU) for m in (model, kept)]
        assert compare(*steppers, rehearsal(small_robot)).action == 0
    drive = rehearsal(small_robot, 1)
    with torch.inference_mode():
        steppers[1].reset()
        before = steppers[1].step(drive[0])[0]
        for name, value in kept.named_parameters():
            if 'current.weight' in name:
                value.zero_()
        steppers[1].reset()
        assert (steppers[1].step(drive[0])[0] == before).all()


@pytest.mark.skipif(native.kernels() is None, reason=native.reason())
def test_preprocessors_run_in_c_and_give_the_same(make_policy, small_robot):
    model = make_policy()
    deployed = deployed_copy(model, CPU)
    taken = [name for name, module in deployed.named_modules() if isinstance(module, InC)]
    assert [name.rpartition('.')[2] for name in taken] == ['camera', 'sensors', 'lidar', 'audio']
    assert not any(isinstance(module, InC) for module in model.modules())
    with torch.inference_mode():
        gap = compare(EagerStep(model, small_robot, CPU), EagerStep(deployed, small_robot, CPU),
                      rehearsal(small_robot))
    assert gap.action < 1e-5
