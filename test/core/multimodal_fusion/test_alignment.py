from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import TemporalAligner


def ramp(rate: float, samples: int, batch: int = 2) -> torch.Tensor:
    """A stream whose value is its time, a second row ten seconds later."""
    times = torch.arange(samples) / rate
    return torch.stack([times + 10 * row for row in range(batch)]).unsqueeze(-1)


def test_streams_of_different_rates_come_to_a_common_length():
    aligner = TemporalAligner({'eye': 30.0, 'imu': 200.0, 'ear': 10.0}, 15.0)
    streams = {'eye': ramp(30, 60), 'imu': ramp(200, 400), 'ear': ramp(10, 20)}
    aligned, present = aligner(streams)
    ticks = torch.arange(30) / 15
    assert {name: value.shape for name, value in aligned.items()} == dict.fromkeys(
        streams, (2, 30, 1))
    assert bool(present.all())
    for name, rate in (('eye', 30), ('imu', 200), ('ear', 10)):
        newest = torch.floor(ticks * rate + 1e-4) / rate  # never a sample that is still to come
        torch.testing.assert_close(aligned[name][0, :, 0], newest, atol=1e-5, rtol=0)
        torch.testing.assert_close(aligned[name][1, :, 0], newest + 10, atol=1e-5, rtol=0)


def test_linear_interpolates_and_holds_the_end():
    aligner = TemporalAligner({'ear': 10.0, 'eye': 40.0}, 40.0, {'ear': 'linear'})
    aligned, _ = aligner({'ear': ramp(10, 5), 'eye': ramp(40, 20)})
    ticks = torch.arange(20) / 40
    torch.testing.assert_close(aligned['ear'][0, :, 0], ticks.clamp_max(0.4))
    torch.testing.assert_close(aligned['eye'][0, :, 0], ticks)


def test_before_the_first_and_long_after_the_last_sample_a_modality_is_absent():
    aligner = TemporalAligner({'eye': 10.0, 'ear': 10.0}, 10.0, max_age=0.15)
    times = torch.tensor([[0.05, 0.2, 0.6], [0.0, 0.1, 0.2]])
    aligned, present = aligner({'eye': ramp(10, 3)}, {'eye': times}, ticks=9)
    assert present[..., 0].int().tolist() == [
        [0, 1, 1, 1, 0, 0, 1, 1, 0], [1, 1, 1, 1, 0, 0, 0, 0, 0]]
    assert not present[..., 1].any()
    assert set(aligned) == {'eye'}


def test_what_is_aligned_goes_into_a_network(network):
    model = network('hybrid')
    rates = {'eye': 30.0, 'ear': 50.0, 'skin': 100.0, 'nose': 5.0}
    streams = {name: torch.randn(2, int(rate), width).double() for (name, rate), width in zip(
        rates.items(), (5, 3, 4, 2), strict=True)}
    aligned, present = TemporalAligner(rates, 15.0)(streams)
    outputs, _ = model.unroll(aligned, None, 1 / 15, present)
    assert outputs.shape == (2, 15, 2)


def test_gradients_go_through():
    for method in ('hold', 'linear'):
        stream = ramp(10, 5).requires_grad_()
        aligned, _ = TemporalAligner({'a': 10.0}, 20.0, method)({'a': stream})
        aligned['a'].sum().backward()
        assert stream.grad.min() > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'rates': {}}, 'rates: got {}'),
        ({'rates': {'a': 0.0}}, 'a: got 0.0 per second, expected a number above 0'),
        ({'rate': float('nan')}, 'rate: got nan'),
        ({'method': 'cubic'}, "method: got 'cubic', expected one of hold, linear"),
        ({'method': {'b': 'hold'}}, "method: got 'b', expected names among a"),
        ({'max_age': -1.0}, 'max_age: got -1.0'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemporalAligner(**{'rates': {'a': 10.0}, 'rate': 5.0} | arguments)


@pytest.mark.parametrize(
    ('streams', 'timestamps', 'message'),
    [
        ({'b': torch.zeros(2, 3, 1)}, None, "streams: got 'b', expected names among a"),
        ({'a': None}, None, 'streams: got none, expected at least one of a'),
        ({'a': torch.zeros(2, 0, 1)}, None, r'a: got shape \(2, 0, 1\), expected \[2, T, …\]'),
        ({'a': torch.zeros(2, 3, 1)}, {'a': torch.zeros(2, 4)}, r'timestamps of a: got shape \(2'),
    ],
)
def test_wrong_streams_are_named(streams, timestamps, message):
    with pytest.raises(ValueError, match=message):
        TemporalAligner({'a': 10.0}, 5.0)(streams, timestamps)
