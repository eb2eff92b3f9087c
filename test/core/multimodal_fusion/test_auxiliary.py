from __future__ import annotations

import pytest
import torch
from torch import nn

from liquidspike_ros.core.multimodal_fusion import FusionStrategy, UnimodalHeads

STRATEGIES = [strategy.value for strategy in FusionStrategy]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_modality_that_is_there_gets_a_gradient_of_its_own(network, sequence, strategy):
    model = network(strategy)
    heads = UnimodalHeads(model.modalities, 6, 2).double()
    inputs = {name: value.requires_grad_() for name, value in sequence(2, 3).items()}
    present = torch.ones(2, 3, 4, dtype=torch.bool)
    present[..., 2] = False
    *_, info = model.unroll(inputs, None, 0.1, present, return_info=True)
    outputs = heads(info)
    assert {name: value.shape for name, value in outputs.items()} == dict.fromkeys(
        model.modalities, (2, 3, 2))
    target = torch.randn(2, 3, 2).double()
    heads.loss(info, target, nn.MSELoss(reduction='none')).backward()
    for name in ('eye', 'ear', 'nose'):
        assert inputs[name].grad.abs().max() > 0
        assert heads.heads[name].weight.grad.abs().max() > 0
    assert inputs['skin'].grad.abs().max() == 0
    assert heads.heads['skin'].weight.grad.abs().max() == 0


def test_the_loss_is_the_mean_over_what_was_there(network, sequence):
    model = network('late')
    heads = UnimodalHeads(model.modalities, 6, 2).double()
    present = torch.rand(5, 3, 4) > 0.5
    *_, info = model.unroll(sequence(5, 3), None, 0.1, present, return_info=True)
    target = torch.randint(0, 2, (5, 3))

    def cross_entropy(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output.movedim(-1, 1), wanted, reduction='none')

    losses = torch.stack([cross_entropy(out, target) for out in heads(info).values()], -1)
    torch.testing.assert_close(heads.loss(info, target, cross_entropy), losses[present].mean())
    nobody = torch.zeros_like(present)
    *_, info = model.unroll(sequence(5, 3), None, 0.1, nobody, return_info=True)
    assert heads.loss(info, target, cross_entropy) == 0


def test_what_is_missing_is_named(network, sequence):
    model = network('hybrid')
    inputs = {name: value[:, 0] for name, value in sequence(2, 1).items()}
    _, maps_only = model(inputs, return_attention_maps=True)
    _, info = model(inputs, return_modality_features=True)
    heads = UnimodalHeads(model.modalities, 6, 2).double()
    with pytest.raises(ValueError, match=r'info.features: got none, expected eye: ask for them'):
        heads(maps_only)
    with pytest.raises(ValueError, match=r'info.features of eye: got width 6, expected 7'):
        UnimodalHeads(model.modalities, 7, 2)(info)
    with pytest.raises(ValueError, match=r"criterion: got a loss of shape \(\), .*'none'"):
        heads.loss(info, torch.zeros(2, 2).double(), nn.MSELoss())
    for arguments in (((), 6, 2), (('a',), 0, 2), (('a',), 6, 0)):
        with pytest.raises(ValueError, match=r'got .* expected at least'):
            UnimodalHeads(*arguments)
