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


def learnt(first: int) -> float:
    """Share of windows of noise told apart after 40 steps by a pulse, up or down."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(SensorPreprocessor(2, 32), torch.nn.Linear(32, 4))
    random = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)

    def windows(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        readings = torch.randn(rows, 2, 32, generator=random)
        labels = torch.randint(0, 4, (rows,), generator=random)
        for window, label in zip(readings, labels.tolist(), strict=True):
            window[label // 2, first:first + 3] += 4.0 * (label % 2) - 2.0
        return readings, labels

    for _ in range(40):
        readings, labels = windows(32)
        loss = torch.nn.functional.cross_entropy(model(readings), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    readings, labels = windows(200)
    with torch.inference_mode():
        return (model(readings).argmax(1) == labels).float().mean().item()


def test_an_early_event_is_learnt_as_fast_as_a_late_one():
    early, late = learnt(first=1), learnt(first=28)
    assert early > 0.7
    assert abs(early - late) < 0.15


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
