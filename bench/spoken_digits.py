"""Spoken digits in noise: the Free Spoken Digit Dataset (Jackson et al., CC BY-SA 4.0).

3,000 recordings at 8 kHz, six speakers; of each speaker's fifty recordings of a digit the first
five are the official test set.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import wave

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

RATE, WINDOW = 8000, 8000  # Hz; samples, so a second
TEST_SHARE = 5  # recordings with an index below that are the test set
NOISE = 10**-0.5  # power of the noise over that of the digit: 5 dB below
PLACES = ('start', 'middle', 'end', 'anywhere')


@dataclass(frozen=True)
class Digits:
    """Recordings of one half of the data set.

    Attributes:
        sounds: In [−1, 1], at most ``WINDOW`` samples each.
        labels: 0 to 9 ``[N]``.
    """

    sounds: list[NDArray[np.float32]]
    labels: Tensor

    def placed(self, chosen: Tensor, place: str, random: torch.Generator) -> Tensor:
        """Windows of noise ``[B, WINDOW]``, each with a digit in one place of it.

        Args:
            chosen: Which recordings ``[B]``.
            place: One of ``PLACES``.
            random: For the noise, and for where ``'anywhere'`` is.
        """
        windows = np.zeros((len(chosen), WINDOW), np.float32)
        power = np.empty((len(chosen), 1), np.float32)
        shares = {'start': 0.0, 'middle': 0.5, 'end': 1.0}
        where = torch.rand(len(chosen), generator=random).tolist()
        for row, (k, share) in enumerate(zip(chosen.tolist(), where, strict=True)):
            sound = self.sounds[k]
            first = round(shares.get(place, share) * (WINDOW - len(sound)))
            windows[row, first:first + len(sound)] = sound
            power[row] = np.square(sound).mean()
        noise = torch.randn(windows.shape, generator=random)
        return torch.from_numpy(windows) + noise * torch.from_numpy(np.sqrt(NOISE * power))


def load_digits(path: Path) -> tuple[Digits, Digits]:
    """The training and the test half.

    Args:
        path: An npz file with ``samples`` (int16, all recordings in one row), ``lengths``,
            ``labels`` and ``index``; or the folder of the public originals, with
            ``recordings/{digit}_{speaker}_{index}.wav``.

    Raises:
        SystemExit: There is nothing of that kind.
    """
    if path.is_dir():
        rows = _recordings(path)
    elif path.is_file():
        with np.load(path) as file:
            samples, ends = file['samples'], np.cumsum(file['lengths'])
            rows = list(zip(np.split(samples, ends[:-1]), file['labels'].tolist(),
                            file['index'].tolist(), strict=True))
    else:
        raise SystemExit(f'--data: {path}: no such file or folder, expected fsdd.npz or the folder '
                         'of the Free Spoken Digit Dataset')

    def half(test: bool) -> Digits:
        kept = [(sound, label) for sound, label, index in rows if (index < TEST_SHARE) == test]
        return Digits([sound[:WINDOW].astype(np.float32) / 32768 for sound, _ in kept],
                      torch.tensor([label for _, label in kept]))

    return half(False), half(True)


def _recordings(folder: Path) -> list[tuple[NDArray[np.int16], int, int]]:
    """Samples, digit and index of every recording."""
    rows = []
    for path in sorted((folder / 'recordings').glob('*_*_*.wav')):
        digit, _speaker, index = path.stem.split('_')
        with wave.open(str(path), 'rb') as file:
            form = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if form != (1, 2, RATE):
                raise SystemExit(f'{path.name}: got {form} channels, bytes and Hz, '
                                 f'expected {(1, 2, RATE)}')
            sound = np.frombuffer(file.readframes(file.getnframes()), '<i2')
        rows.append((sound, int(digit), int(index)))
    if not rows:
        raise SystemExit(f'--data: {folder}: no recordings/*_*_*.wav, expected the folder of the '
                         'Free Spoken Digit Dataset')
    return rows
