"""Panels of time: sound, spikes, attention, command."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..robot import CommandSpec
from .canvas import (
    blend,
    BLUE,
    CYAN,
    FAINT,
    INNER,
    LINE,
    line,
    MODALITY,
    MUTED,
    ORANGE,
    Picture,
    TEXT,
    text,
    VIOLET,
)
from .panel import dashed, Panel
from .recording import PolicyTick, Recording

HISTORY_NS = 6_000_000_000
"""How far back the scrolling panels look, ns."""
LABEL_WIDTH = 62
SOUND_NS = 1_000_000_000


class SoundPanel(Panel):
    """Both ears over the last second."""

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the envelope of each channel up to ``now``."""
        inside = self.inside(picture)
        times, chunks = recording.sounds.between(now - SOUND_NS, now)
        half = self.height / 2
        for channel, (name, colour) in enumerate((('left', VIOLET), ('right', CYAN))):
            middle = half * (channel + 0.5)
            dashed(inside, (0, middle), (self.width, middle), LINE)
            for time, chunk in zip(times, chunks, strict=True):
                self._envelope(inside, chunk[channel], time - now, middle, colour)
            text(inside, name, (6, middle - half / 2 + 12), 11, MUTED)

    def _envelope(self, inside: Picture, samples: NDArray[np.float32], end_ns: int, middle: float,
                  colour: tuple[int, int, int]) -> None:
        """One chunk, which ends ``end_ns`` (negative) before the right edge."""
        width = self.width * len(samples) / 16000 * 1e9 / SOUND_NS
        right = self.width * (1 + end_ns / SOUND_NS)
        columns = max(1, round(width))
        for k, part in enumerate(np.array_split(samples, columns)):
            x = round(right - width + k * width / columns)
            # Square root: a pillar four times as far is still to be seen.
            size = np.sqrt(np.abs(part).max(initial=0.0)) * self.height / 4 * 0.95
            if 0 <= x < self.width:
                inside[round(middle - size):round(middle + size) + 1, x] = colour


class SpikePanel(Panel):
    """Spikes per neuron and tick of every population, scrolling to the left."""

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the ticks of the last seconds up to ``now``."""
        inside = self.inside(picture)
        times, ticks = recording.ticks.between(now - HISTORY_NS, now)
        names = list(ticks[-1].spikes) if ticks else []
        for place, name in enumerate(names):
            top = round(place * self.height / len(names))
            bottom = round((place + 1) * self.height / len(names)) - 3
            colour = MODALITY.get(name, BLUE)
            rows = self._raster(times, ticks, name, now, bottom - top)
            shade = INNER + rows[:, :, None] * (np.array(colour, np.float32) - INNER)
            inside[top:bottom, LABEL_WIDTH:] = shade.astype(np.uint8)
            text(inside, name, (4, (top + bottom) / 2 - 8), 12, colour, bold=True)
            rate = float(np.mean(ticks[-1].spikes[name]))
            text(inside, f'{100 * rate:4.1f} %', (4, (top + bottom) / 2 + 9), 11, MUTED)
        if not names:
            text(inside, 'no ticks yet', (self.width / 2, self.height / 2), 13, FAINT, align=0.5)

    def _raster(self, times: list[int], ticks: list[PolicyTick], name: str, now: int,
                height: int) -> NDArray[np.float32]:
        """Brightness ``[height, width]`` in [0, 1]: one column of pixels a slice of time."""
        width = self.width - LABEL_WIDTH
        columns = np.stack([_rows(tick.spikes[name], height) for tick in ticks if
                            name in tick.spikes], axis=1)
        stamps = [t for t, tick in zip(times, ticks, strict=True) if name in tick.spikes]
        moments = now - HISTORY_NS * (1 - (np.arange(width) + 1) / width)
        newest = np.searchsorted(np.array(stamps), moments, side='right') - 1
        return np.where(newest >= 0, columns[:, np.maximum(newest, 0)], 0.0).astype(np.float32)


def _rows(rates: NDArray[np.float32], height: int) -> NDArray[np.float32]:
    """Spike rates ``[units]`` as ``height`` rows: every neuron its own band, or the brightest."""
    if len(rates) <= height:
        return np.sqrt(rates[np.arange(height) * len(rates) // height])
    edges = np.linspace(0, len(rates), height, endpoint=False).astype(int)
    return np.sqrt(np.maximum.reduceat(rates, edges))


class AttentionPanel(Panel):
    """Which modality attends to which, and how much each counts in the end."""

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw the attention and the weights of the newest tick."""
        inside, tick = self.inside(picture), recording.ticks.at(now)
        if tick is None or not tick.weights:
            text(inside, 'no ticks yet', (self.width / 2, self.height / 2), 13, FAINT, align=0.5)
            return
        names = list(tick.weights)
        cell = min((self.width - LABEL_WIDTH - 60) // len(names), (self.height - 50) // len(names))
        self._labels(inside, names, tick, cell)
        text(inside, 'a row attends to the columns (mean of all heads)',
             (self.width / 2, self.height - 14), 11, FAINT, align=0.5)
        if tick.attention is not None:
            self._matrix(inside, names, tick.attention, cell)
        left = LABEL_WIDTH + cell * len(names) + 8
        text(inside, 'weight', (left, 12), 11, MUTED)
        room = self.width - left - 6
        for row, name in enumerate(names):
            top = 24 + row * cell
            share = float(np.clip(tick.weights[name], 0.0, 1.0))
            colour = MODALITY.get(name, BLUE)
            inside[top + 4:top + cell - 6, left:left + room] = blend(LINE, INNER, 0.5)
            inside[top + 4:top + cell - 6, left:left + max(1, round(share * room))] = colour
            text(inside, f'{100 * share:.0f} %', (left + room / 2, top + cell / 2 - 1), 11, TEXT,
                 bold=True, align=0.5)

    def _labels(self, inside: Picture, names: list[str], tick: PolicyTick, cell: int) -> None:
        for k, name in enumerate(names):
            present = tick.present.get(name, True)
            colour = MODALITY.get(name, BLUE) if present else FAINT
            text(inside, name, (LABEL_WIDTH - 6, 24 + (k + 0.5) * cell), 12, colour, bold=present,
                 align=1.0)
            text(inside, name[:3], (LABEL_WIDTH + (k + 0.5) * cell, 12), 11, colour, align=0.5)

    def _matrix(self, inside: Picture, names: list[str], attention: NDArray[np.float32],
                cell: int) -> None:
        top = max(float(np.max(attention)), 1e-6)
        for row in range(len(names)):
            for column in range(len(names)):
                value = float(attention[row, column])
                y, x = 24 + row * cell, LABEL_WIDTH + column * cell
                colour = blend(MODALITY.get(names[column], BLUE), INNER, 0.08 + 0.8 * value / top)
                inside[y:y + cell - 2, x:x + cell - 2] = colour
                if cell >= 30:
                    text(inside, f'{value:.2f}', (x + cell / 2 - 1, y + cell / 2 - 1), 11, TEXT,
                         align=0.5)


class CommandPanel(Panel):
    """The published command over the last seconds."""

    def __init__(self, x: int, y: int, width: int, height: int, title: str,
                 spec: CommandSpec) -> None:
        super().__init__(x, y, width, height, title)
        self._spec = spec

    def draw(self, picture: Picture, recording: Recording, now: int) -> None:
        """Draw both commanded speeds up to ``now``."""
        inside = self.inside(picture)
        times, commands = recording.commands.between(now - HISTORY_NS, now)
        newest = recording.commands.at(now) or (0.0, 0.0)
        rows = (('forward', 'm/s', BLUE), ('turn', 'rad/s', ORANGE))
        for index, (name, unit, colour) in enumerate(rows):
            self._curve(inside, index, np.array(times, dtype=np.int64) - now,
                        np.array([command[index] for command in commands]), colour)
            top = index * self.height / 2
            text(inside, name, (8, top + 14), 12, colour, bold=True)
            text(inside, f'{newest[index]:+.2f} {unit}', (self.width - 8, top + 14), 13, TEXT,
                 bold=True, align=1.0)

    def _curve(self, inside: Picture, index: int, ages: NDArray[np.int64],
               values: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
        half = self.height / 2
        low, high = self._spec.lower[index], self._spec.upper[index]
        top, bottom = index * half + 28, (index + 1) * half - 10
        zero = bottom - (0 - low) / (high - low) * (bottom - top)
        dashed(inside, (0, zero), (self.width, zero), FAINT)
        if len(values):
            x = self.width * (1 + ages / HISTORY_NS)
            y = bottom - (values - low) / (high - low) * (bottom - top)
            steps = np.stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]], axis=1)
            line(inside, np.concatenate([steps, [[self.width, y[-1]]]]), colour, 2)
