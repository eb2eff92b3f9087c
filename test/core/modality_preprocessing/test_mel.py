"""The mel filters against their published definition, and against librosa where installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from liquidspike_ros.core.modality_preprocessing.audio import mel_filterbank

CASES = [(scale, norm, n_mels, n_fft, rate)
         for scale in ('slaney', 'htk') for norm in (None, 'slaney')
         for n_mels, n_fft, rate in ((40, 512, 16000), (128, 512, 16000), (128, 2048, 22050))]


def published(scale: str, norm: str | None, n_mels: int, n_fft: int, rate: int) -> np.ndarray:
    """Filter by filter, bin by bin, as Slaney's Auditory Toolbox and the HTK Book define them."""
    def mel(hertz: float) -> float:
        if scale == 'htk':
            return 2595.0 * math.log10(1.0 + hertz / 700.0)
        return (hertz / (200.0 / 3.0) if hertz < 1000.0
                else 15.0 + 27.0 * math.log(hertz / 1000.0) / math.log(6.4))

    def hertz(mels: float) -> float:
        low, high = 0.0, float(rate)
        for _ in range(80):  # by bisection, so that no inverse formula is taken on trust
            middle = (low + high) / 2
            low, high = (middle, high) if mel(middle) < mels else (low, middle)
        return low

    edges = [hertz(mel(rate / 2) * index / (n_mels + 1)) for index in range(n_mels + 2)]
    bank = np.zeros((n_fft // 2 + 1, n_mels))
    for row in range(bank.shape[0]):
        frequency = row * rate / n_fft
        for column, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:],
                                                         strict=False)):
            if low < frequency <= centre:
                bank[row, column] = (frequency - low) / (centre - low)
            elif centre < frequency < high:
                bank[row, column] = (high - frequency) / (high - centre)
            if norm == 'slaney':
                bank[row, column] *= 2.0 / (high - low)
    return bank


@pytest.mark.parametrize('case', CASES, ids=str)
def test_filters_are_the_published_ones(case):
    scale, norm, n_mels, n_fft, rate = case
    bank = mel_filterbank(n_mels, n_fft, rate, scale, norm=norm, widen=False).numpy()
    expected = published(*case)
    assert np.abs(bank - expected).max() < 1e-3 * expected.max()


@pytest.mark.parametrize('case', CASES, ids=str)
@pytest.mark.filterwarnings('ignore:Empty filters:UserWarning')
def test_filters_are_those_of_librosa(case):
    librosa = pytest.importorskip('librosa')
    scale, norm, n_mels, n_fft, rate = case
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, htk=scale == 'htk',
                                   norm=norm)
    bank = mel_filterbank(n_mels, n_fft, rate, scale, norm=norm, widen=False).numpy().T
    assert np.abs(bank - expected).max() < 1e-3 * expected.max()


@pytest.mark.parametrize('scale', ['slaney', 'htk'])
def test_widening_leaves_filters_wider_than_a_bin_alone(scale):
    plain = mel_filterbank(40, 512, 16000, scale, widen=False)
    torch.testing.assert_close(mel_filterbank(40, 512, 16000, scale), plain)


def test_an_unknown_norm_is_named():
    with pytest.raises(ValueError, match="norm: got 'l2', expected None or 'slaney'"):
        mel_filterbank(40, 512, 16000, norm='l2')
