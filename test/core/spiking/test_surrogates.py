from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.spiking.surrogates import (
    functional_spike,
    SLOPES,
    spike_gradient,
    SURROGATES,
)


def distances() -> torch.Tensor:
    return torch.linspace(-1, 1, 41, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize('name', SLOPES)
def test_functional_spikes_have_the_values_and_gradients_of_snntorch(name):
    results = []
    for fire in (functional_spike(name), spike_gradient(name)):
        x = distances()
        spikes = fire(x)
        (slope,) = torch.autograd.grad(spikes.sum(), x)
        results.append((spikes.detach(), slope))
    torch.testing.assert_close(*results, check_dtype=False)  # snntorch spikes in float32


@pytest.mark.parametrize('name', SLOPES)
def test_functional_spikes_take_transforms(name):
    fire, x = functional_spike(name), distances().detach()
    (wanted,) = torch.autograd.grad(fire(y := distances()).sum(), y)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(fire))(x), wanted)
    torch.testing.assert_close(torch.func.jvp(fire, (x,), (torch.ones_like(x),))[1], wanted)


@pytest.mark.parametrize('name', sorted(set(SURROGATES) - SLOPES.keys()))
def test_other_surrogates_are_refused_by_name(name):
    with pytest.raises(NotImplementedError, match=f"surrogate: got '{name}' under a transform"):
        functional_spike(name)
