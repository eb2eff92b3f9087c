"""Every liquid cell in every fusion strategy."""

from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.liquid import BACKBONES
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.core.multimodal_fusion import FusionStrategy, MultiModalFusionNetwork

STRATEGIES = [strategy.value for strategy in FusionStrategy]
VARIANTS = [
    *[{'backbone': backbone} for backbone in BACKBONES],
    {'backbone': 'cfc', 'backbone_options': {'mixed_memory': True, 'mode': 'pure'}},
    {'backbone': 'ltc', 'backbone_options': {'ode_unfolds': 2, 'proj_size': 3}},
    {'backbone': 'ncp', 'backbone_options': {'outputs': 1, 'sparsity': 0.8, 'mixed_memory': True}},
]


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('modality', VARIANTS, ids=str)
def test_unroll_is_repeated_step_with_any_part_missing(network, sequence, strategy, modality):
    model = network(strategy, modality=modality)
    inputs, dt = sequence(3, 4), torch.rand(3, 4).double() * 0.2
    dt[0, 1] = 0.0
    present = torch.rand(3, 4, 4) > 0.4
    outputs, after = model.unroll(inputs, None, dt, present)
    state = None
    for tick in range(4):
        now = {name: value[:, tick] for name, value in inputs.items()}
        output, state = model.step(now, state, dt[:, tick], present[:, tick])
        torch.testing.assert_close(output, outputs[:, tick], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, after, rtol=1e-5, atol=1e-5)
    outputs.square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters()
               if p.grad is not None)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('modality', VARIANTS, ids=str)
def test_fused_is_reference_in_value_and_gradient(network, sequence, strategy, modality):
    inputs, dt = sequence(2, 3), torch.rand(2, 3).double() + 0.001
    results = []
    for backend in ('fused', 'reference'):
        model = network(strategy, modality=modality, backend=backend)
        outputs, state = model.unroll(inputs, None, dt)
        outputs.square().sum().backward()
        results.append((outputs, state, {n: p.grad for n, p in model.named_parameters()
                                         if p.grad is not None}))
    (*values, gradients), (*expected, expected_gradients) = results
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_the_robot_drives_with_every_backbone(backbone, strategy):
    torch.manual_seed(0)
    model = RobotMultiSensorModel(
        (3, 32, 32), 4, 16, 2, camera_architecture='simple', fusion_strategy=strategy,
        encoder_dim=16, liquid_units=8, spiking_units=8, num_spike_steps=4, backbone=backbone,
    )
    inputs = {'camera': torch.rand(2, 3, 32, 32), 'sensors': torch.randn(2, 4)}
    first, state = model.step(inputs)
    second, _ = model.step(inputs, state)
    slower, _ = model.step(inputs, state, dt=1.0)
    assert first.shape == (2, 2)
    assert not torch.allclose(first, second)
    assert not torch.allclose(second, slower)


def test_modalities_may_have_different_backbones():
    configs = {
        backbone: {'type': 'custom', 'input_dim': 3, 'encoder_dim': 8, 'liquid_units': 6,
                   'spiking_units': 5, 'backbone': backbone}
        for backbone in BACKBONES
    }
    model = MultiModalFusionNetwork(configs, 'hierarchical', 8, 2, 2)
    assert model({name: torch.randn(2, 3) for name in configs}).shape == (2, 2)
    kinds = [type(encoder.liquid).__name__ for encoder in model.fusion.encoders.values()]
    assert kinds == ['CfC', 'LTC', 'WiredCfC', 'LTC']
