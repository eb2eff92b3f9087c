"""What a person sees of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
import math
import sys
import time
from typing import TextIO

from tqdm import tqdm

from ..untrusted.text import printable


@dataclass(frozen=True)
class StepReport:
    """One training step.

    Attributes:
        epoch, epochs: Current and planned.
        step, steps: Done and planned, over all epochs.
        loss: Running mean of the training loss.
        rate: Learning rate.
        remaining: Estimated time to the end, s.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    rate: float
    remaining: float


class Console:
    """Writes to a stream; anything with the same methods can take its place.

    Args:
        stream: Where to write; standard error by default.
        interval: Seconds between plain progress lines when the stream is no terminal.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 15.0) -> None:
        self.stream = stream or sys.stderr
        self.interval = interval
        self._bar: tqdm | None = None
        # The first of either is told at once.
        self._last = {'recording': -math.inf, 'step': -math.inf}

    def say(self, text: str) -> None:
        """One line of text, above the bar if there is one."""
        if self._bar is not None:
            self._bar.clear()
        self.stream.write(printable(text) + '\n')  # names of topics come from anybody
        self.stream.flush()

    def recording(self, done: int, count: int, line: str, problem: bool) -> None:
        """One recording was read; told if there is a problem, else now and then."""
        if self._due('recording') or problem or done == count:
            self.say(f'[{done}/{count}] {line}')

    def step(self, report: StepReport) -> None:
        """Progress of the training."""
        facts = (f'epoch {report.epoch}/{report.epochs} loss {report.loss:.4f} '
                 f'rate {report.rate:.1e}')
        if self.stream.isatty():
            if self._bar is None:
                self._bar = tqdm(total=report.steps, initial=report.step, file=self.stream,
                                 unit='step', dynamic_ncols=True, bar_format=(
                                     '{percentage:3.0f}%|{bar}| {n}/{total} {desc}'))
            self._bar.set_description_str(f'{facts} ETA {clock(report.remaining)}', refresh=False)
            self._bar.update(report.step - self._bar.n)
        elif self._due('step'):
            self.say(f'step {report.step}/{report.steps} {facts} ETA {clock(report.remaining)}')

    def _due(self, kind: str) -> bool:
        now = time.monotonic()
        if now - self._last[kind] < self.interval:
            return False
        self._last[kind] = now
        return True

    def close(self) -> None:
        """Leave the terminal tidy."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def clock(seconds: float) -> str:
    """A duration as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'
