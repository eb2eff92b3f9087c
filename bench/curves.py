"""Pictures of learning: accuracy over samples, a panel per place, a line per candidate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image

COLOURS = {'attention': '#2f7f4f', 'last': '#8a8a8a', 'plain CNN': '#7f9fc4'}
TITLES = {'start': 'digit at the start', 'middle': 'digit in the middle',
          'end': 'digit at the end', 'anywhere': 'digit anywhere'}
GOAL = 98.0


def draw_curves(path: Path, script: str, results: Mapping[str, Any]) -> None:
    """Draw ``rows['learning']`` of ``hearing.json`` into a PNG file: means, and all seeds thinly.

    Args:
        path: Of the file.
        script: That measured.
        results: The machine's description and the rows.
    """
    rows = results['rows']['learning']
    places = list(next(iter(rows.values()))['curves'])
    figure = Figure(figsize=(8.0, 5.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharex=True, sharey=True).flatten()
    for place, ax in zip(places, axes, strict=True):
        for name, row in rows.items():
            _lines(ax, name, np.asarray(row['curves'][place]))
        ax.axhline(GOAL, color='#b03030', linestyle='--', linewidth=0.8)
        ax.set_title(TITLES.get(place, place), fontsize=9, loc='left')
        ax.legend(fontsize=7.5, frameon=False, loc='best')
        ax.set_ylim(0, 102)
        ax.tick_params(labelsize=7)
        ax.xaxis.set_major_formatter(lambda value, _: f'{value / 1000:g}k')
        for side in ('top', 'right'):
            ax.spines[side].set_visible(False)
    figure.supxlabel('training samples', fontsize=8, y=0.065)
    figure.supylabel(f'test accuracy, % (dashed: {GOAL:g})', fontsize=8)
    figure.suptitle('A spoken digit in a window of one second of noise', fontsize=11,
                    weight='bold', x=0.02, ha='left')
    figure.text(0.02, 0.02, f'{results["cpu"]}, torch {results["torch"]}, Python '
                f'{results["python"]}, measured {results["date"]}; thin: single seeds, bold: their '
                f'mean; {script}', fontsize=7, color='#444444')
    figure.subplots_adjust(left=0.09, right=0.98, top=0.88, bottom=0.14, hspace=0.22, wspace=0.08)
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB').quantize(48).save(
        path, optimize=True)


def _lines(axes: Any, name: str, curves: Any) -> None:
    """``curves [seeds, points, 2]``: samples and accuracy."""
    colour = COLOURS.get(name, '#444444')
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, 1], color=colour, linewidth=0.6, alpha=0.5)
    mean = curves.mean(0)
    axes.plot(mean[:, 0], mean[:, 1], color=colour, linewidth=1.8,
              label=f'{name} ({mean[-1, 1]:.1f} %)')
