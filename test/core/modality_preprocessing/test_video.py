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


def clips(rows: int, first: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of noise; a bright square in one of four quarters for two frames, and in which."""
    frames = 0.5 * torch.rand(rows, 10, 1, 16, 16, generator=random)
    quarters = torch.randint(0, 4, (rows,), generator=random)
    for clip, quarter in zip(frames, quarters.tolist(), strict=True):
        row, column = 8 * (quarter // 2), 8 * (quarter % 2)
        clip[first:first + 2, :, row:row + 8, column:column + 8] += 0.5
    return frames, quarters


def learnt(first: int, **arguments) -> float:
    """Share of clips told apart after 25 steps, by the place in time of what tells them apart."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        VideoPreprocessor(10, 32, 'frame', input_channels=1, frame_architecture='simple',
                          **arguments), torch.nn.Linear(32, 4))
    random = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(25):
        frames, quarters = clips(16, first, random)
        loss = torch.nn.functional.cross_entropy(model(frames), quarters)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    frames, quarters = clips(60, first, random)
    with torch.inference_mode():
        return (model(frames).argmax(1) == quarters).float().mean().item()


def test_what_is_seen_early_is_learnt_as_what_is_seen_late():
    assert learnt(first=0) > 0.9
    assert learnt(first=8) > 0.9
    assert learnt(first=0, pooling='last') < 0.6
    assert learnt(first=8, pooling='last') > 0.9


def test_attention_is_the_way_unless_told_otherwise():
    assert small('frame').pooling == 'attention'
    assert 'attention' not in dict(small('frame', pooling='last').named_children())
    with pytest.raises(ValueError, match="pooling: got 'max', expected one of attention, last"):
        small('frame', pooling='max')


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
