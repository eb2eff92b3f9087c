"""The bench of hearing: its recordings, where they lie, and that a run ends in figures."""

from __future__ import annotations

from pathlib import Path
import wave

from curves import draw_curves
from hearing import CANDIDATES, Run, summary, train
import numpy as np
from PIL import Image
import pytest
from spoken_digits import Digits, load_digits, PLACES, WINDOW
import torch


@pytest.fixture
def recordings() -> list[tuple[np.ndarray, int, int]]:
    """Samples, digit and index: tones of different lengths, one longer than a window."""
    random = np.random.default_rng(0)
    return [((8000 * np.sin(0.1 * (digit + 1) * np.arange(length))).astype(np.int16), digit, index)
            for digit in range(10) for index in (0, 7)
            for length in [int(random.integers(500, 9000))]]


@pytest.fixture
def packed(tmp_path, recordings) -> Path:
    sounds, labels, index = zip(*recordings, strict=True)
    np.savez(tmp_path / 'digits.npz', samples=np.concatenate(sounds),
             lengths=[len(sound) for sound in sounds], labels=labels, index=index)
    return tmp_path / 'digits.npz'


@pytest.fixture
def folder(tmp_path, recordings) -> Path:
    (tmp_path / 'recordings').mkdir()
    for sound, digit, index in recordings:
        with wave.open(str(tmp_path / f'recordings/{digit}_ann_{index}.wav'), 'wb') as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(sound.tobytes())
    return tmp_path


def test_the_originals_and_the_packed_file_are_the_same(packed, folder):
    for one, other in zip(load_digits(packed), load_digits(folder), strict=True):
        assert one.labels.tolist() == other.labels.tolist() == list(range(10))
        for first, second in zip(one.sounds, other.sounds, strict=True):
            np.testing.assert_array_equal(first, second)


def test_the_first_five_recordings_are_the_test(packed, recordings):
    _, test = load_digits(packed)
    longest = min(len(recordings[0][0]), WINDOW)
    np.testing.assert_array_equal(test.sounds[0] * 32768, recordings[0][0][:longest])


@pytest.mark.parametrize(('path', 'said'), [
    ('nothing', 'nothing: no such file or folder'), ('.', r'no recordings/\*_\*_\*\.wav')])
def test_what_holds_no_digits_is_named(tmp_path, path, said):
    with pytest.raises(SystemExit, match=said):
        load_digits(tmp_path / path)


@pytest.mark.parametrize('place', PLACES)
def test_a_digit_lies_where_it_should_and_the_noise_5_db_below(place):
    digits = Digits([np.full(1000, 0.5, np.float32)], torch.zeros(1, dtype=torch.long))
    windows = digits.placed(torch.zeros(50, dtype=torch.long), place,
                            torch.Generator().manual_seed(0))
    loud = windows.unfold(1, 1000, 100).mean(2)  # about 0.5 where the digit is
    first = 100 * loud.argmax(1)
    expected = {'start': 0, 'middle': 3500, 'end': 7000}
    if place in expected:
        assert (first - expected[place]).abs().max() <= 100
    else:
        assert first.min() < 1500
        assert first.max() > 5500
    away = windows[first > 1500][:, :1000] if place != 'start' else windows[:, -1000:]
    assert away.square().mean().item() == pytest.approx(0.25 * 10**-0.5, rel=0.05)


@pytest.mark.parametrize('candidate', CANDIDATES)
def test_a_run_ends_in_a_curve_that_the_seed_decides(packed, candidate):
    run = Run(candidate, 'start', 0)
    (same, curve), (_, again) = (train(run, packed, 512) for _ in range(2))
    assert same == run
    assert [samples for samples, _ in curve] == [64 * step for step in range(1, 9)]
    assert curve == again
    rows = summary({candidate: {'start': {0: curve}}})
    assert rows[candidate]['accuracy'] == {'start': [curve[-1][1]]}
    assert rows[candidate]['parameters'] == sum(
        p.numel() for p in CANDIDATES[candidate]().parameters())


def test_the_picture_has_a_panel_for_each_place(tmp_path):
    curves = [[[100 * k, 10.0 * k] for k in range(1, 9)] for _ in range(3)]
    results = {'cpu': 'any', 'torch': '2', 'python': '3', 'date': 'today', 'rows': {'learning': {
        name: {'curves': dict.fromkeys(PLACES, curves)} for name in CANDIDATES}}}
    draw_curves(tmp_path / 'it.png', 'bench/hearing.py', results)
    colours = Image.open(tmp_path / 'it.png').convert('RGB').getcolors()
    assert colours is not None
    assert len(colours) > 5
