from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import (
    ModalityConfig,
    ModalityEncoder,
    ModalityType,
    MultiModalFusionNetwork,
)


class Counting(torch.nn.Module):
    """A preprocessor that notes the shape of everything it is given."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, outputs)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(tuple(x.shape))
        return self.layer(x.flatten(1))


def config(preprocessing: torch.nn.Module | None = None, **changes) -> ModalityConfig:
    return ModalityConfig(**{
        'type': ModalityType.CUSTOM, 'input_dim': 4, 'encoder_dim': 8, 'liquid_units': 5,
        'spiking_units': 6, 'num_spike_steps': 3, 'dropout': 0.0, 'preprocessing': preprocessing,
    } | changes)


def at_rest(batch: int) -> dict[str, torch.Tensor]:
    return {'membrane': torch.zeros(batch, 6), 'hx': torch.zeros(batch, 5)}


def test_an_encoder_goes_from_raw_input_to_features_and_state():
    torch.manual_seed(0)
    encoder = ModalityEncoder(config(Counting(4)))
    inputs, dt = torch.randn(2, 3, 2, 3), torch.full((2, 3, 1), 0.1)
    features, state = encoder(inputs, at_rest(2), dt)
    assert features.shape == (2, 3, 8)
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        'membrane': (2, 6), 'hx': (2, 5)}
    first, middle = encoder(inputs[:, :1], at_rest(2), dt[:, :1])
    rest, after = encoder(inputs[:, 1:], middle, dt[:, 1:])
    torch.testing.assert_close(torch.cat([first, rest], 1), features)
    torch.testing.assert_close(after, state)


def test_preprocessors_run_once_over_all_rows_and_ticks():
    counting = Counting(4)
    model = MultiModalFusionNetwork({'it': config(counting)}, 'late', 8, 2, 1)
    model.unroll({'it': torch.randn(2, 5, 2, 3)})
    assert counting.calls == [(10, 2, 3)]


def test_currents_stay_between_rest_and_threshold_whatever_the_input():
    encoder = ModalityEncoder(config())
    present = torch.ones(1, 2, dtype=torch.bool)
    currents = encoder.currents(torch.full((1, 2, 4), 1e6), present)
    assert 0 <= currents.min() <= currents.max() <= 1


@pytest.mark.parametrize('width', [1, 4])
def test_the_size_of_a_raw_input_is_not_lost(width):
    torch.manual_seed(0)
    encoder = ModalityEncoder(config(input_dim=width))
    present = torch.ones(1, 1, dtype=torch.bool)
    small, large = (encoder.currents(torch.full((1, 1, width), x), present) for x in (0.1, 0.9))
    assert (small - large).abs().max() > 0.01


def test_a_preprocessor_of_the_wrong_width_is_named():
    model = MultiModalFusionNetwork({'it': config(Counting(3))}, 'late', 8, 2, 1)
    with pytest.raises(ValueError, match=r'it: got preprocessed features of shape \(2, 3\), expec'):
        model({'it': torch.randn(2, 6)})
