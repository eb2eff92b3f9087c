"""What was heard anywhere in a window is learnt, and what is heard now stays sharp."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn, Tensor

from liquidspike_ros.core.modality_preprocessing import AudioPreprocessor
from liquidspike_ros.core.modality_preprocessing.pooling import AttentionPooling
from liquidspike_ros.core.modality_preprocessing.spectral import SpectralTrunk

RATE, HOP = 8000, 256


def ears(pooling: str = 'attention', seed: int = 0, **arguments) -> AudioPreprocessor:
    torch.manual_seed(seed)
    return AudioPreprocessor(RATE, **{'n_mels': 40, 'output_dim': 64} | arguments, pooling=pooling)


def tone(frequency: float, samples: int = 1024) -> Tensor:
    return 0.3 * torch.sin(2 * math.pi * frequency * torch.arange(samples) / RATE)


def second_with(*sounds: tuple[int, Tensor]) -> Tensor:
    """A silent second ``[1, 8000]`` with each sound from a sample on."""
    window = torch.zeros(1, RATE)
    for first, sound in sounds:
        window[0, first:first + len(sound)] = sound
    return window


def reach_of_the_beginning(model: AudioPreprocessor) -> float:
    """How far the first fifth of a window of noise moves the features, over the last fifth."""
    window = (0.1 * torch.randn(4, RATE)).requires_grad_()
    (model(window) * torch.randn(64)).sum().backward()
    gradient = window.grad.view(4, 5, -1).norm(dim=(0, 2))
    assert bool((gradient > 0).all())
    return (gradient[:-1].min() / gradient[-1]).item()


@pytest.mark.parametrize('seed', range(3))
def test_every_part_of_a_window_moves_the_features(seed):
    assert reach_of_the_beginning(ears(seed=seed)) > 0.2
    assert reach_of_the_beginning(ears('last', seed)) < 0.01


@pytest.mark.parametrize('seed', range(3))
def test_what_is_heard_now_is_told_from_what_was_heard_before(seed):
    model = ears(seed=seed)
    with torch.inference_mode():
        silence = model(second_with())
        now, before = (model(second_with((first, tone(500)))) for first in (RATE - 1024, 3648))
    assert (now - before).norm() > 0.5 * (now - silence).norm()


def test_the_order_of_sounds_is_heard():
    """Means over time are the same in either order; the last state of the GRU is not."""
    model = ears()

    def gap() -> float:
        """Between the features of two tones, far from each other and the edges, in either order."""
        places = (8 * HOP + 64, 19 * HOP + 64)
        low, high = tone(500, 512), tone(2500, 512)
        with torch.inference_mode():
            one, other = (model(second_with(*zip(places, order, strict=True)))
                          for order in ((low, high), (high, low)))
            return ((one - other).norm() / one.norm()).item()

    assert gap() > 1e-3
    nn.init.zeros_(model.temporal.weight_ih_l0)  # deaf
    assert gap() < 1e-5


def test_loudness_is_heard():
    """It tells how far away something is, so normalising the maps must not take it away."""
    model = ears()
    with torch.inference_mode():
        near, far = (model(second_with((0, level * tone(500, RATE)))) for level in (1.0, 0.1))
    assert (near - far).norm() > 0.05 * near.norm()


def chirps(rows: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half seconds ``[rows, 4000]`` of noise that begin with one of four chirps, and which."""
    labels = torch.randint(0, 4, (rows,), generator=random)
    begin = torch.tensor([400.0, 1200.0, 1200.0, 2400.0])[labels].unsqueeze(1)
    end = torch.tensor([1200.0, 400.0, 2400.0, 1200.0])[labels].unsqueeze(1)
    time = torch.arange(800) / RATE
    windows = 0.05 * torch.randn(rows, 4000, generator=random)
    windows[:, 200:1000] += 0.2 * torch.sin(
        2 * math.pi * (begin * time + (end - begin) * time.square() / 0.2))
    return windows, labels


def learnt(pooling: str) -> float:
    """Share of chirps at the beginning that are told apart after 80 steps."""
    model = nn.Sequential(ears(pooling, n_mels=24, output_dim=32, hidden_dim=32),
                          nn.Linear(32, 4))
    random = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(80):
        windows, labels = chirps(32, random)
        loss = nn.functional.cross_entropy(model(windows), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    windows, labels = chirps(200, random)
    with torch.inference_mode():
        return (model(windows).argmax(1) == labels).float().mean().item()


def test_a_sound_at_the_beginning_is_learnt_in_a_few_steps():
    assert learnt('attention') > 0.9
    assert learnt('last') < 0.5


def test_attention_gives_the_mean_of_equal_moments_whatever_it_looks_for():
    torch.manual_seed(0)
    moment = torch.randn(2, 1, 6)
    features = AttentionPooling(6, queries=3)(moment.expand(2, 9, 6))
    torch.testing.assert_close(features, moment[:, 0].repeat(1, 3))


def test_attention_turns_to_the_moment_with_the_highest_score():
    pooling = AttentionPooling(2, queries=1)
    with torch.no_grad():
        pooling.score.weight.copy_(torch.tensor([[50.0, 0.0]]))
    moments = torch.tensor([[[0.0, 7.0], [1.0, 5.0], [0.5, 3.0]]])
    torch.testing.assert_close(pooling(moments), torch.tensor([[1.0, 5.0]]))


@pytest.mark.parametrize(('mels', 'rows'), [(1, 16), (3, 16), (9, 32), (40, 80), (128, 256)])
def test_the_trunk_keeps_every_frame_and_an_eighth_of_the_bands(mels, rows):
    trunk = SpectralTrunk(3, mels)
    assert trunk.rows == rows
    assert trunk(torch.randn(2, 3, 7, mels)).shape == (2, 7, rows)


def test_sounds_of_a_batch_do_not_hear_each_other():
    model = ears(channels=2).train()
    sounds = torch.randn(3, 2, 2000) * torch.tensor([0.01, 0.1, 1.0]).view(3, 1, 1)
    torch.testing.assert_close(model(sounds)[1:2], model(sounds[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('pooling', ['attention', 'last'])
def test_half_precision_stays_half_precision(pooling):
    model, sound = ears(pooling), 0.1 * torch.randn(2, 2000)
    expected = model(sound)
    with torch.autocast('cpu', torch.bfloat16):
        features = model(sound)
    assert features.dtype == torch.bfloat16
    torch.testing.assert_close(features.float(), expected, rtol=0.1, atol=0.02)
    assert model.bfloat16()(sound.bfloat16()).dtype == torch.bfloat16


def test_there_are_two_ways_and_no_other():
    with pytest.raises(ValueError, match="pooling: got 'mean', expected one of attention, last"):
        ears('mean')
    assert ears().pooling == 'attention'
    assert AudioPreprocessor().pooling == 'attention'
    names = [name for name, _ in ears('last').named_children()]
    assert names == ['convolution', 'temporal', 'head']
