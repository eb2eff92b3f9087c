from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from liquidspike_ros.core.modality_preprocessing import LidarPreprocessor, SensorPreprocessor


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3), sensors=st.integers(1, 8), window=st.integers(1, 40),
    circular=st.booleans(),
)
def test_windows_of_any_length_become_features(batch, sensors, window, circular):
    model = SensorPreprocessor(sensors, 12, circular=circular)
    assert model(torch.randn(batch, sensors, window)).shape == (batch, 12)


def test_one_reading_is_a_window_of_one():
    model = SensorPreprocessor(10, 12)
    readings = torch.randn(3, 10)
    torch.testing.assert_close(model(readings), model(readings.unsqueeze(-1)))


def test_when_something_was_measured_is_kept():
    model = SensorPreprocessor(1, 32)
    early, late = torch.zeros(1, 1, 16), torch.zeros(1, 1, 16)
    early[..., 3] = 1.0
    late[..., 12] = 1.0
    assert (model(early) - model(late)).abs().max() > 1e-3


def test_a_circular_scan_has_no_seam():
    """Turning the robot by whole cells turns the features; nothing special happens at beam 0."""
    torch.manual_seed(0)
    model = LidarPreprocessor(180, 16).convolution
    scan = torch.rand(1, 3, 180)

    def cells(x):
        for convolution in model.convolutions:
            x = torch.nn.functional.silu(convolution(model._pad(x)))
        return model.pool(x)

    turned = cells(scan.roll(40, -1))
    torch.testing.assert_close(turned, cells(scan).roll(10, -1))
    flat = SensorPreprocessor(3, 16, stride=2, positions=45)
    flat.load_state_dict(model.state_dict())
    model = flat
    assert not torch.allclose(cells(scan.roll(40, -1)), cells(scan).roll(10, -1))


def test_direction_of_an_obstacle_reaches_the_features():
    torch.manual_seed(0)
    model = LidarPreprocessor(180, 64)
    features = []
    for beam in range(0, 180, 12):
        scan = torch.ones(1, 2, 180)
        scan[0, 0, beam:beam + 6] = 0.1
        features.append(model(scan)[0])
    distances = torch.cdist(torch.stack(features), torch.stack(features))
    assert distances[~torch.eye(len(features), dtype=torch.bool)].min() > 0.01


def test_range_of_an_invalid_beam_does_not_matter():
    model = LidarPreprocessor(36, 8)
    scan = torch.rand(2, 2, 36)
    scan[:, 1] = 1.0
    scan[:, 1, 5] = 0.0
    other = scan.clone()
    other[:, 0, 5] = 0.01
    assert torch.equal(model(scan), model(other))


@pytest.mark.parametrize(
    ('model', 'shape', 'message'),
    [
        (SensorPreprocessor(6, 8), (2, 5), r'sensors: got shape \(2, 5\), expected \[B, 6\] or'),
        (SensorPreprocessor(6, 8), (6,), r'sensors: got shape \(6,\)'),
        (LidarPreprocessor(36, 8), (2, 2, 35), r'lidar: got .* expected \[B, 2, 36\]'),
    ],
)
def test_wrong_shapes_are_refused(model, shape, message):
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(shape))


@pytest.mark.parametrize('name', ['num_sensors', 'positions', 'stride'])
def test_wrong_arguments_are_named(name):
    with pytest.raises(ValueError, match=f'{name}: got 0, expected at least 1'):
        SensorPreprocessor(**{'num_sensors': 6, 'output_dim': 8} | {name: 0})
