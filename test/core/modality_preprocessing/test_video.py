from __future__ import annotations

import pytest
import torch

from liquidspike_ros.core.modality_preprocessing import VideoPreprocessor
from liquidspike_ros.core.modality_preprocessing.video import ARCHITECTURES


def small(architecture: str, **arguments) -> VideoPreprocessor:
    torch.manual_seed(0)
    return VideoPreprocessor(4, 12, architecture, frame_architecture='simple', **arguments).eval()


def test_defaults_are_what_was_agreed():
    model = VideoPreprocessor()
    assert (model.num_frames, model.architecture, model.input_channels) == (16, '3d', 3)
    assert model(torch.rand(1, 16, 3, 64, 64)).shape == (1, 1024)


@pytest.mark.parametrize('architecture', ARCHITECTURES)
@pytest.mark.parametrize('size', [(32, 48), (33, 47), (112, 112)])
def test_clips_of_any_frame_size_become_features(architecture, size):
    assert small(architecture)(torch.rand(2, 4, 3, *size)).shape == (2, 12)


@pytest.mark.parametrize('architecture', ARCHITECTURES)
@pytest.mark.parametrize('frames', [1, 5, 16])
def test_any_number_of_frames(architecture, frames):
    model = VideoPreprocessor(frames, 8, architecture, frame_architecture='simple')
    assert model(torch.rand(1, frames, 3, 32, 32)).shape == (1, 8)


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_the_direction_of_time_matters(architecture):
    """Left to right and right to left show the same frames."""
    clip = torch.zeros(1, 4, 3, 32, 32)
    for frame in range(4):
        clip[:, frame, :, :, 8 * frame:8 * frame + 8] = 1.0
    model = small(architecture)
    assert (model(clip) - model(clip.flip(1))).abs().max() > 1e-3


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_clips_of_a_batch_do_not_see_each_other(architecture):
    model = small(architecture).train()
    clips = torch.rand(3, 4, 3, 32, 32)
    torch.testing.assert_close(model(clips)[1:2], model(clips[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_weight_learns(architecture):
    model = small(architecture)
    model(torch.rand(2, 4, 3, 32, 32)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ('video', 'message'),
    [
        (torch.zeros(1, 5, 3, 8, 8), r'video: got shape .* expected \[B, 4, 3, H, W\]'),
        (torch.zeros(1, 4, 1, 8, 8), r'expected \[B, 4, 3, H, W\]'),
        (torch.zeros(4, 3, 8, 8), r'video: got shape \(4, 3, 8, 8\)'),
        (torch.zeros(1, 4, 3, 8, 8, dtype=torch.uint8), 'video: got torch.uint8'),
    ],
)
def test_wrong_clips_are_refused(video, message):
    with pytest.raises(ValueError, match=message):
        small('3d')(video)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="architecture: got '2d', expected one of 3d, frame"):
        VideoPreprocessor(architecture='2d')
    with pytest.raises(ValueError, match='num_frames: got 0'):
        VideoPreprocessor(0)
