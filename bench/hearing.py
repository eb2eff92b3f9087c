"""How fast it is learnt what was said in a window of sound, wherever in it that was.

Spoken digits (Free Spoken Digit Dataset, 8 kHz, official split) lie at the start, in the middle, at
the end or anywhere in a window of one second, in white noise 5 dB below them. Who hears is:

attention  AudioPreprocessor as it is: convolutions over mel and time, attention over the frames,
           and the last state of a GRU
last       AudioPreprocessor(pooling='last'): one convolution over all mel bands, and the last state
           of the GRU alone, as checkpoints from before the choice have it
plain CNN  three convolutions over mel and time with BatchNorm and max pooling, of the same log-mel

each with a linear layer to the ten digits behind it, and the same recipe for all: AdamW, learning
rate 3e-3 with warm-up and cosine decay, weight decay 0.05, label smoothing 0.1, batches of 64, and
fresh noise for every sound. Accuracy is over the 300 recordings of the test set, each in four draws
of noise.

Then it takes the time of one window of a robot (two channels, 1600 samples at 16 kHz), in torch and
in C, batch of one.

  export PYTHONPATH=.
  python bench/hearing.py --data fsdd.npz        # everything: 36 trainings
  python bench/hearing.py --data free-spoken-digit-dataset --jobs 4
  python bench/hearing.py --data fsdd.npz --only last --places start --seeds 0 --samples 6400
                                                 # a look, writes nothing
  python bench/hearing.py --redraw               # the picture from the JSON beside it
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
import json
import math
import multiprocessing
from pathlib import Path
import statistics
from typing import Any, NamedTuple

from curves import draw_curves
from interleave import interleaved, machine, Neighbours, RESULTS, write
from spoken_digits import Digits, load_digits, PLACES, RATE
import torch
from torch import nn, Tensor
from torch.nn import functional
from tqdm import tqdm

from liquidspike_ros.core.modality_preprocessing import AudioPreprocessor
from liquidspike_ros.core.modality_preprocessing.in_c import in_c

MELS, WIDTH = 40, 128
BATCH, RATE_OF_LEARNING, DECAY, SMOOTHING, WARM_UP = 64, 3e-3, 0.05, 0.1, 50  # warm-up in steps
DRAWS, POINTS = 4, 8  # draws of noise per test recording; evaluations per run
ROBOT = {'sample_rate': 16000, 'n_mels': 40, 'output_dim': 128, 'channels': 2}
ROBOT_WINDOW = (1, 2, 1600)


class PlainCNN(nn.Module):
    """Log-mel ``[B, samples]`` through three convolutions to features ``[B, WIDTH]``."""

    def __init__(self) -> None:
        super().__init__()
        # It lends its spectrogram alone, and its weights are no part of this.
        object.__setattr__(self, 'ears', AudioPreprocessor(RATE, MELS, WIDTH))
        channels = (1, 16, 32, 64)
        self.layers = nn.Sequential(*(
            nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs),
                          nn.ReLU(), nn.MaxPool2d(2))
            for inputs, outputs in pairwise(channels)))
        self.head = nn.Linear(channels[-1] * 4 * 5, WIDTH)

    def forward(self, samples: Tensor) -> Tensor:
        """``[B, samples]`` -> ``[B, WIDTH]``."""
        rows = self.ears.bands(*self.ears.spectrum(samples.unsqueeze(1)))  # [B, frames, mels]
        maps = self.layers(rows.transpose(1, 2).unsqueeze(1))
        return functional.relu(self.head(functional.adaptive_avg_pool2d(maps, (4, 5)).flatten(1)))


CANDIDATES: dict[str, Callable[[], nn.Module]] = {
    'attention': partial(AudioPreprocessor, RATE, MELS, WIDTH),
    'last': partial(AudioPreprocessor, RATE, MELS, WIDTH, pooling='last'),
    'plain CNN': PlainCNN,
}


class Run(NamedTuple):
    """One training: who, where the digit lies, and the seed of weights, order and noise."""

    candidate: str
    place: str
    seed: int


def accuracy(model: nn.Module, windows: Tensor, labels: Tensor) -> float:
    """Per cent of the windows that are heard right."""
    model.eval()
    with torch.inference_mode():
        right = torch.cat([model(some).argmax(1) for some in windows.split(300)]) == labels
    model.train()
    return 100.0 * right.double().mean().item()


def train(run: Run, data: Path, samples: int) -> tuple[Run, list[tuple[int, float]]]:
    """One training from scratch.

    Returns:
        The run, and samples seen with the accuracy after them.
    """
    digits, test = load_digits(data)
    windows, labels = _test_windows(test, run.place)
    torch.manual_seed(run.seed)
    random = torch.Generator().manual_seed(run.seed)
    model = nn.Sequential(CANDIDATES[run.candidate](), nn.Linear(WIDTH, 10))
    steps = max(1, samples // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), RATE_OF_LEARNING, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(
        1.0, (step + 1) / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * step / steps)))
    marks = {round(steps * (point + 1) / POINTS) for point in range(POINTS)}
    curve = []
    for step in range(1, steps + 1):
        chosen = torch.randint(len(digits.labels), (BATCH,), generator=random)
        scores = model(digits.placed(chosen, run.place, random))
        loss = functional.cross_entropy(scores, digits.labels[chosen], label_smoothing=SMOOTHING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step in marks:
            curve.append((step * BATCH, accuracy(model, windows, labels)))
    return run, curve


def _test_windows(test: Digits, place: str) -> tuple[Tensor, Tensor]:
    """The same for every candidate and seed."""
    everything = torch.arange(len(test.labels)).repeat(DRAWS)
    windows = test.placed(everything, place, torch.Generator().manual_seed(1000))
    return windows, test.labels[everything]


def trained(runs: list[Run], data: Path, samples: int,
            jobs: int) -> Iterator[tuple[Run, list[tuple[int, float]]]]:
    """All runs, ``jobs`` at a time, with a progress line."""
    work = partial(train, data=data, samples=samples)
    with multiprocessing.get_context('spawn').Pool(jobs, torch.set_num_threads, (1,)) as pool, \
            tqdm(total=len(runs), unit='run', desc='training') as bar:
        for run, curve in pool.imap_unordered(work, runs):
            bar.set_postfix_str(f'{run.candidate}, {run.place}, seed {run.seed}: '
                                f'{curve[-1][1]:.1f} %')
            bar.update()
            yield run, curve


def robot_steps(rounds: int) -> dict[str, dict[str, float]]:
    """Time of one window of a robot, batch of one, one thread."""
    torch.manual_seed(0)
    sound = 0.1 * torch.randn(ROBOT_WINDOW)
    cases = {}
    for pooling in ('attention', 'last'):
        module = AudioPreprocessor(**ROBOT, pooling=pooling).eval()
        cases[f'{pooling}, torch'] = partial(module, sound)
        cases[f'{pooling}, C'] = partial(in_c(module), sound)
    with torch.inference_mode():
        return interleaved(cases, rounds, title='a robot’s window')


def summary(curves: dict[str, dict[str, dict[int, Any]]]) -> dict[str, dict[str, Any]]:
    """Rows of the table: accuracy by place and seed, and parameters, per candidate."""
    return {candidate: {
        'parameters': sum(p.numel() for p in CANDIDATES[candidate]().parameters()),
        'accuracy': {place: [seeds[seed][-1][1] for seed in sorted(seeds)]
                     for place, seeds in places.items()},
        'curves': {place: [seeds[seed] for seed in sorted(seeds)]
                   for place, seeds in places.items()},
    } for candidate, places in curves.items()}


def print_table(rows: dict[str, dict[str, Any]], steps: dict[str, dict[str, float]]) -> None:
    """Accuracy per seed, and the time of a robot's window."""
    print(f'\n{"accuracy, % (by seed)":24s}{"digit lies":>12s}{"mean":>8s}   by seed')
    for candidate, row in rows.items():
        for place, values in row['accuracy'].items():
            print(f'{candidate:24s}{place:>12s}{statistics.fmean(values):8.2f}   '
                  + '  '.join(f'{value:.2f}' for value in values))
        print(f'{"":24s}{row["parameters"]:12,d} parameters')
    print(f'\n{"a robot’s window":24s}{"median":>12s}{"best":>12s}')
    for name, row in steps.items():
        print(f'{name:24s}{row["median_ms"]:9.3f} ms{row["best_ms"]:9.3f} ms')


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, help='fsdd.npz, or the folder of the originals')
    parser.add_argument('--only', default='', help='candidates with this in their name')
    parser.add_argument('--places', nargs='+', choices=PLACES, default=list(PLACES))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--samples', type=int, default=60000, help='per training')
    parser.add_argument('--jobs', type=int, default=2, help='trainings at a time, a core each')
    parser.add_argument('--rounds', type=int, default=100, help='turns when time is taken')
    parser.add_argument('--redraw', action='store_true', help='only draw the JSON that is there')
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.redraw:
        parser.error('--data: expected fsdd.npz, or the folder of the originals')
    if not any(arguments.only in name for name in CANDIDATES):
        parser.error(f'--only: got {arguments.only!r}, expected part of one of '
                     f'{", ".join(CANDIDATES)}')
    return arguments


def main() -> None:
    arguments = parsed()
    path = RESULTS / 'hearing.json'
    if arguments.redraw:
        draw_curves(path.with_suffix('.png'), 'bench/hearing.py', json.loads(path.read_text()))
        return
    load_digits(arguments.data)  # complains before any work is done
    torch.set_num_threads(1)
    facts = machine() | {'samples': arguments.samples, 'jobs': arguments.jobs}
    neighbours = Neighbours()
    chosen = [name for name in CANDIDATES if arguments.only in name]
    runs = [Run(name, place, seed) for name in chosen for seed in arguments.seeds
            for place in arguments.places]
    curves: dict[str, dict[str, dict[int, Any]]] = {
        name: {place: {} for place in arguments.places} for name in chosen}
    for run, curve in trained(runs, arguments.data, arguments.samples, arguments.jobs):
        curves[run.candidate][run.place][run.seed] = curve
    steps = robot_steps(arguments.rounds)
    rows = summary(curves)
    print_table(rows, steps)
    facts['others_cores'] = neighbours.cores()
    whole = (len(chosen), arguments.places, arguments.samples) == (len(CANDIDATES), list(PLACES),
                                                                   60000)
    if not whole or len(arguments.seeds) < 3:
        print('\nNothing is written: this was a part.')
        return
    write('hearing', {'learning': rows, 'robot step': steps}, facts)
    draw_curves(path.with_suffix('.png'), 'bench/hearing.py', json.loads(path.read_text()))


if __name__ == '__main__':
    main()
