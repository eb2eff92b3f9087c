from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import pytest
import torch

from liquidspike_ros.core.modality_preprocessing import AudioPreprocessor
from liquidspike_ros.core.modality_preprocessing.audio import (
    hertz_to_mel,
    mel_filterbank,
    mel_to_hertz,
)


def stereo(delay: int, seed: int = 0, loudness: tuple[float, float] = (0.1, 0.1)) -> torch.Tensor:
    """White noise ``[1, 2, 1600]`` that the first channel hears ``delay`` samples later."""
    torch.manual_seed(seed)
    source = torch.randn(1700)
    first, second = source[50 - delay:1650 - delay], source[50:1650]
    return torch.stack([first * loudness[0], second * loudness[1]]).unsqueeze(0)


def test_defaults_are_what_was_agreed():
    model = AudioPreprocessor()
    assert (model.sample_rate, model.mel.shape[1], model.output_dim) == (16000, 128, 1024)
    assert model(torch.randn(2, 16000)).shape == (2, 1024)


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 3), channels=st.integers(1, 4), samples=st.integers(1, 3000))
def test_windows_of_any_length_become_features(batch, channels, samples):
    model = AudioPreprocessor(16000, 16, 12, channels=channels, n_fft=256, hop_length=128)
    assert model(torch.randn(batch, channels, samples)).shape == (batch, 12)


@settings(max_examples=33, deadline=None)
@given(delay=st.integers(-16, 16), seed=st.integers(0, 100))
def test_cross_correlation_peaks_at_the_true_delay(delay, seed):
    model = AudioPreprocessor(16000, 16, 12, channels=2)
    agreement = model.delays(*model.spectrum(stereo(delay, seed)))[0, 0]
    assert agreement.argmax().item() - model.max_lag == delay
    assert agreement.max() > 0.8


def test_cross_correlation_does_not_care_about_loudness():
    model = AudioPreprocessor(16000, 16, 12, channels=2)
    loud = model.delays(*model.spectrum(stereo(5, loudness=(0.3, 0.1))))
    quiet = model.delays(*model.spectrum(stereo(5, loudness=(0.03, 0.02))))
    torch.testing.assert_close(loud, quiet, rtol=1e-3, atol=1e-3)


def test_level_difference_between_channels_is_a_feature():
    model = AudioPreprocessor(16000, 16, 12, channels=2)
    rows = model.bands(*model.spectrum(stereo(0, loudness=(0.2, 0.1))))[0]
    difference = rows[:, 32:]  # behind the 16 bands of either channel
    # A factor 2 in amplitude is log(4) in power; the feature is half of that.
    assert difference[1:].mean().item() == pytest.approx(math.log(4) / 2, rel=1e-2)


def test_delays_keep_their_place_in_the_last_layer():
    """The features tell left from right even where levels are equal."""
    torch.manual_seed(0)
    model = AudioPreprocessor(16000, 16, 32, channels=2)
    left, right = model(stereo(-6)), model(stereo(6))
    assert (left - right).abs().max() > 0.01


def test_newest_samples_are_never_lost():
    model = AudioPreprocessor(16000, 16, 12)
    samples = torch.zeros(1, 1601)
    samples[0, -200:] = 0.5
    quiet = model.bands(*model.spectrum(torch.zeros(1, 1, 1601)))
    heard = model.bands(*model.spectrum(samples.unsqueeze(1)))
    assert (heard - quiet).abs().max() > 0.5


@pytest.mark.parametrize('channels', [1, 2])
def test_digital_silence_is_finite_forward_and_backward(channels):
    model = AudioPreprocessor(16000, 16, 12, channels=channels)
    samples = torch.zeros(2, channels, 1600, requires_grad=True)
    features = model(samples)
    features.sum().backward()
    assert bool(torch.isfinite(features).all())
    assert samples.grad is not None
    assert bool(torch.isfinite(samples.grad).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_one_silent_channel_is_finite():
    model = AudioPreprocessor(16000, 16, 12, channels=2)
    samples = stereo(3)
    samples[:, 1] = 0.0
    samples.requires_grad_()
    model(samples).sum().backward()
    assert bool(torch.isfinite(samples.grad).all())


@pytest.mark.parametrize('scale', ['slaney', 'htk'])
@pytest.mark.parametrize(('n_mels', 'n_fft'), [(40, 512), (128, 512), (80, 1024)])
def test_no_mel_band_is_deaf(scale, n_mels, n_fft):
    bank = mel_filterbank(n_mels, n_fft, 16000, scale)
    assert bank.shape == (n_fft // 2 + 1, n_mels)
    assert bank.min() >= 0
    assert bank.max(0).values.min() > 0


def test_mel_scales_have_their_published_values():
    """HTK Book eq. 5.13: 1 kHz is 1000 mel; Slaney's: 1 kHz is 15, 6.4 kHz 27 steps above."""
    kilohertz = torch.tensor([1000.0, 6400.0], dtype=torch.float64)
    assert hertz_to_mel(kilohertz, 'htk')[0].item() == pytest.approx(1000.0, rel=1e-3)
    assert hertz_to_mel(kilohertz, 'slaney').tolist() == pytest.approx([15.0, 42.0])


@pytest.mark.parametrize('scale', ['slaney', 'htk'])
def test_mel_and_back(scale):
    frequencies = torch.linspace(0, 8000, 101, dtype=torch.float64)
    torch.testing.assert_close(mel_to_hertz(hertz_to_mel(frequencies, scale), scale), frequencies)


@pytest.mark.parametrize('frequency', [300.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_the_band_around_it(frequency):
    model = AudioPreprocessor(16000, 40, 12)
    tone = 0.3 * torch.sin(2 * math.pi * frequency * torch.arange(4096) / 16000)
    band = model.bands(*model.spectrum(tone.view(1, 1, -1)))[0].mean(0).argmax().item()
    limits = torch.linspace(0.0, hertz_to_mel(torch.tensor(8000.0)).item(), 42)
    low, high = mel_to_hertz(limits[[band, band + 2]]).tolist()
    assert low <= frequency <= high


@pytest.mark.parametrize(
    ('channels', 'shape', 'message'),
    [
        (2, (3, 1600), r'audio: got shape \(3, 1600\), expected \[B, 2, samples\]'),
        (1, (3, 2, 1600), r'expected \[B, samples\] or \[B, 1, samples\]'),
    ],
)
def test_wrong_shapes_are_refused(channels, shape, message):
    with pytest.raises(ValueError, match=message):
        AudioPreprocessor(16000, 16, 12, channels=channels)(torch.zeros(shape))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'sample_rate': 0}, 'sample_rate: got 0'),
        ({'max_lag': 256}, r'max_lag: got 256, expected within \[0, 256\)'),
        ({'mel_scale': 'bark'}, "mel_scale: got 'bark', expected one of slaney, htk"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        AudioPreprocessor(**arguments)


def test_no_index_is_brought_from_the_host_at_every_call():
    """A list as index is copied to the device each time: a stall, and no CUDA graph can hold it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Calls(TorchDispatchMode):
        names: set[str] = set()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.names.add(func.name())
            return func(*args, **(kwargs or {}))

    model = AudioPreprocessor(8000, 8, 4, channels=3).to('meta')
    with torch.inference_mode(), Calls() as calls:
        model(torch.empty(1, 3, 800, device='meta'))
    assert 'aten::index_select' in calls.names
    assert 'aten::index.Tensor' not in calls.names
