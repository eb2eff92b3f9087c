"""Audio to features: log-mel spectrum, and for several channels where the sound comes from."""

from __future__ import annotations

from functools import partial
from itertools import combinations
import math

import torch
from torch import nn, Tensor

from ..computed_buffers import register_constant
from .pooling import AttentionPooling, require_pooling
from .spectral import SpectralTrunk

MEL_SCALES = ('slaney', 'htk')
# Power below which a mel band counts as silence: about the quantisation noise of 16 bit PCM.
FLOOR = 1e-6


def hertz_to_mel(frequency: Tensor, scale: str = 'slaney') -> Tensor:
    """Hz to mel: HTK's ``2595 log10(1 + f / 700)``, or Slaney's, linear below 1 kHz."""
    if scale == 'htk':
        return 2595.0 * torch.log10(1.0 + frequency / 700.0)
    step = math.log(6.4) / 27.0
    linear = frequency * 3.0 / 200.0
    return torch.where(frequency < 1000.0, linear,
                       15.0 + torch.log(frequency.clamp(min=1000.0) / 1000.0) / step)


def mel_to_hertz(mel: Tensor, scale: str = 'slaney') -> Tensor:
    """Inverse of ``hertz_to_mel``."""
    if scale == 'htk':
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    step = math.log(6.4) / 27.0
    return torch.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * torch.exp(step * (mel - 15.0)))


def mel_filterbank(
    n_mels: int, n_fft: int, sample_rate: int, scale: str = 'slaney', *,
    norm: str | None = None, widen: bool = True,
) -> Tensor:
    """Triangular filters ``[n_fft // 2 + 1, n_mels]`` from 0 Hz to Nyquist.

    With ``widen=False`` these are the filters of ``librosa.filters.mel`` of the same ``norm``
    (transposed); with ``widen=True`` too, wherever no filter is narrower than the bin spacing.

    Args:
        n_mels: Filters.
        n_fft: Window of the Fourier transform, samples.
        sample_rate: Hz.
        scale: ``'slaney'`` or ``'htk'``.
        norm: None for filters of peak 1, ``'slaney'`` for filters of area 1 (over Hz).
        widen: Widen filters narrower than the bin spacing to it, so that none is empty.

    Raises:
        ValueError: Unknown ``scale`` or ``norm``.
    """
    if scale not in MEL_SCALES:
        raise ValueError(f'mel_scale: got {scale!r}, expected one of {", ".join(MEL_SCALES)}')
    if norm not in (None, 'slaney'):
        raise ValueError(f"norm: got {norm!r}, expected None or 'slaney'")
    limits = hertz_to_mel(torch.tensor([0.0, sample_rate / 2], dtype=torch.float64), scale)
    edges = mel_to_hertz(torch.linspace(float(limits[0]), float(limits[1]), n_mels + 2,
                                        dtype=torch.float64), scale)
    bins = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1)
    spacing = sample_rate / n_fft if widen else 0.0
    centre = edges[1:-1]
    rising = 1.0 - (centre - bins) / (centre - edges[:-2]).clamp(min=spacing)
    falling = 1.0 - (bins - centre) / (edges[2:] - centre).clamp(min=spacing)
    bank = torch.minimum(rising, falling).clamp(min=0.0)
    if norm == 'slaney':
        bank = bank * 2.0 / (edges[2:] - edges[:-2])
    return bank.float()


class AudioPreprocessor(nn.Module):
    """Audio ``[B, samples]`` or ``[B, C, samples]`` in [−1, 1] to features ``[B, output_dim]``.

    Per channel a log-mel spectrogram. With several channels also what tells direction, per pair:
    the level difference in every mel band, and the generalised cross-correlation with phase
    transform (Knapp & Carter, IEEE Trans. ASSP 24(4), 1976) at delays of ±``max_lag`` samples,
    each delay its own input of the last layer. Convolutions over mel and time make the frames; the
    last layer is given the last state of a GRU over them, which tells what is heard now, and their
    attention-weighted means, which tell what was heard anywhere in the window. Digital silence is
    finite, in value and gradient.

    Args:
        sample_rate: Hz.
        n_mels: Mel bands.
        output_dim: Width of the features.
        channels: ``C``; 1 also takes ``[B, samples]``.
        n_fft: Window of the Fourier transform, samples.
        hop_length: Step between windows, samples.
        max_lag: Largest delay between channels, samples: distance / 343 m/s · sample_rate.
        mel_scale: ``'slaney'`` or ``'htk'``.
        hidden_dim: Width of the frames and of the GRU.
        pooling: ``'attention'``, as above; or ``'last'``, one convolution over all bands at once
            and the GRU's last state alone, which is slow to learn what is heard early in a window.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_mels: int = 128,
        output_dim: int = 1024,
        *,
        channels: int = 1,
        n_fft: int = 512,
        hop_length: int = 256,
        max_lag: int = 16,
        mel_scale: str = 'slaney',
        hidden_dim: int = 64,
        pooling: str = 'attention',
    ) -> None:
        super().__init__()
        for name, value in (('sample_rate', sample_rate), ('n_mels', n_mels),
                            ('channels', channels), ('hop_length', hop_length),
                            ('n_fft', n_fft), ('output_dim', output_dim)):
            if value < 1:
                raise ValueError(f'{name}: got {value!r}, expected at least 1')
        if not 0 <= max_lag < n_fft // 2:
            raise ValueError(f'max_lag: got {max_lag!r}, expected within [0, {n_fft // 2})')
        require_pooling(pooling)
        self.sample_rate, self.output_dim, self.channels = sample_rate, output_dim, channels
        self.pooling = pooling
        self.n_fft, self.hop_length, self.max_lag = n_fft, hop_length, max_lag
        self.pairs = list(combinations(range(channels), 2))
        self.mel: Tensor
        register_constant(
            self, 'mel', partial(mel_filterbank, n_mels, n_fft, sample_rate, mel_scale))
        self.window: Tensor
        register_constant(self, 'window', partial(torch.hann_window, n_fft))
        self.lags: Tensor
        register_constant(self, 'lags', partial(_lag_basis, n_fft, max_lag))
        # Buffers, not lists: a list as index is copied from the host at every call, which stalls
        # a GPU and cannot be part of a CUDA graph.
        self.left: Tensor
        self.right: Tensor
        for side, name in enumerate(('left', 'right')):
            chosen = [pair[side] for pair in self.pairs]
            register_constant(self, name, partial(torch.tensor, chosen, dtype=torch.long))
        maps = channels + len(self.pairs)
        rows, width = n_mels * maps, hidden_dim + len(self.pairs) * (2 * max_lag + 1)
        if pooling == 'attention':
            self.trunk = SpectralTrunk(maps, n_mels)
            self.attention = AttentionPooling(hidden_dim)
            rows, width = self.trunk.rows, width + self.attention.output_dim
        self.convolution = nn.Conv1d(rows, hidden_dim, 3, padding=1)
        self.temporal = nn.GRU(hidden_dim, hidden_dim, batch_first=True)
        self.head = nn.Linear(width, output_dim)

    def forward(self, samples: Tensor) -> Tensor:
        """``[B, samples]`` or ``[B, C, samples]`` -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape.
        """
        if samples.dim() == 2 and self.channels == 1:
            samples = samples.unsqueeze(1)
        if samples.dim() != 3 or samples.shape[1] != self.channels:
            form = '[B, samples] or [B, 1, samples]' if self.channels == 1 else (
                f'[B, {self.channels}, samples]')
            raise ValueError(f'audio: got shape {tuple(samples.shape)}, expected {form}')
        real, imaginary = self.spectrum(samples)
        maps = self.maps(real, imaginary).to(samples.dtype)
        rows = self.trunk(maps) if self.pooling == 'attention' else _by_frame(maps)
        frames = nn.functional.silu(self.convolution(rows.transpose(1, 2))).transpose(1, 2)
        _, last = self.temporal(frames)
        features = [last[-1]]
        if self.pooling == 'attention':
            features.append(self.attention(frames))
        if self.pairs:
            features.append(self.delays(real, imaginary).flatten(1).to(samples.dtype))
        return nn.functional.silu(self.head(torch.cat(features, 1)))

    def spectrum(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Short-time Fourier transform of ``[B, C, samples]``: two ``[B, C, frames, bins]``."""
        short = self.n_fft - samples.shape[-1]
        rest = short if short > 0 else -(samples.shape[-1] - self.n_fft) % self.hop_length
        # Padded in front: the newest samples are the ones that must not be lost.
        frames = nn.functional.pad(samples, (rest, 0)).unfold(-1, self.n_fft, self.hop_length)
        # The transform knows no bfloat16, and power needs more range than float16 has.
        frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
        transform = torch.fft.rfft(frames * self.window)
        return transform.real, transform.imag

    def bands(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Log-mel of every channel and level differences of every pair, ``[B, frames, rows]``."""
        return _by_frame(self.maps(real, imaginary))

    def maps(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """The same as ``bands``, ``[B, channels and pairs, frames, mels]``."""
        power = real.square() + imaginary.square()
        level = torch.log(power @ self.mel.to(power.dtype) + FLOOR)  # [B, C, frames, mels]
        rows = [(level + 5.0) / 5.0]  # silence −1.8, full scale about 2.5
        if self.pairs:
            difference = level.index_select(1, self.left) - level.index_select(1, self.right)
            rows.append(difference / 2.0)
        return torch.cat(rows, 1)

    def delays(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Phase-transformed cross-correlation ``[B, pairs, 2 · max_lag + 1]``.

        Index ``max_lag + d`` is the agreement of the pair when its first channel hears the
        sound ``d`` samples later than its second; 1 is perfect agreement.
        """
        ar, ai = real.index_select(1, self.left), imaginary.index_select(1, self.left)
        br, bi = real.index_select(1, self.right), imaginary.index_select(1, self.right)
        # Summed over the frames before whitening, so that loud frames count and silence does not.
        cross_r = (ar * br + ai * bi).sum(2)
        cross_i = (ai * br - ar * bi).sum(2)
        # The floor keeps the gradient of the square root finite at digital silence.
        size = torch.sqrt(cross_r.square() + cross_i.square() + FLOOR**2)
        return torch.cat([cross_r / size, cross_i / size], -1) @ self.lags.to(size.dtype)


def _by_frame(maps: Tensor) -> Tensor:
    """``[B, maps, frames, mels]`` -> ``[B, frames, maps · mels]``."""
    return maps.transpose(1, 2).flatten(2)


def _lag_basis(n_fft: int, max_lag: int) -> Tensor:
    """Inverse Fourier transform at the lags only, ``[2 · bins, 2 · max_lag + 1]``."""
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1)
    lags = torch.arange(-max_lag, max_lag + 1, dtype=torch.float64)
    phase = 2.0 * math.pi * bins * lags / n_fft
    weight = torch.full_like(bins, 2.0)
    weight[0] = 1.0
    if n_fft % 2 == 0:
        weight[-1] = 1.0
    return (torch.cat([weight * torch.cos(phase), -weight * torch.sin(phase)]) / n_fft).float()
