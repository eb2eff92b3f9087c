"""Pictures of results: a bar per candidate, the number written on it, the machine below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
import numpy as np
from PIL import Image

COLOURS = {'ours': '#2f7f4f', 'stock': '#8a8a8a', 'bare': '#d5d5d5', 'our bare': '#bcd9c6',
           'gru': '#7f9fc4', 'lstm': '#7f9fc4'}
BAR_INCHES, HEAD_INCHES, LABEL_INCHES, WIDTH_INCHES = 0.24, 0.62, 0.14, 8.0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One group of bars.

    Attributes:
        section: Key of the results.
        title: Over the panel.
        key: What the bars show; rows without it are left out.
        unit: Stands behind the number on the bar.
        note: What else is written there, of the row's entries.
        bar: Drawn as a dashed line: what the project holds itself to.
        bare: The same, as a multiple of the bare products' duration.
        log: Logarithmic scale.
    """

    section: str
    title: str
    key: str = 'over_stock'
    unit: str = '×'
    note: str = '{median_ms} ms'
    bar: float | None = None
    bare: float | None = None
    log: bool = True


def draw(path: Path, script: str, title: str, results: Mapping[str, Any],
         panels: Sequence[Panel]) -> None:
    """Draw the panels one above the other into a PNG file.

    Args:
        path: Of the file.
        script: That measured.
        title: Over everything.
        results: The machine's description and ``rows[section][candidate][key]``.
        panels: Those of which there is nothing in the results are left out.

    Raises:
        SystemExit: There is nothing to draw.
    """
    shown = [(panel, {name: row for name, row in results['rows'][panel.section].items()
                      if panel.key in row})
             for panel in panels if panel.section in results['rows']]
    shown = [(panel, rows) for panel, rows in shown if rows]
    if not shown:
        raise SystemExit(f'{path.name}: the results hold nothing of what is drawn, measure anew: '
                         f'python {script}')
    heights = [HEAD_INCHES + BAR_INCHES * len(rows)
               + (LABEL_INCHES if _lines(panel, rows) else 0.0) for panel, rows in shown]
    foot = 0.55
    total = 0.45 + sum(heights) + foot
    figure = Figure(figsize=(WIDTH_INCHES, total), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.02, 1 - 0.28 / total, title, fontsize=11, weight='bold', va='center')
    top = total - 0.45
    for (panel, rows), height in zip(shown, heights, strict=True):
        bottom = top - height + 0.32
        axes = figure.add_axes((0.25, bottom / total, 0.71,
                                BAR_INCHES * len(rows) / total))
        _bars(axes, panel, rows)
        top -= height
    figure.text(0.02, 0.2 / total, _caption(script, results), fontsize=7, color='#444444',
                va='center', linespacing=1.4)
    canvas.draw()
    # A few dozen colours: a fifth of the size of what matplotlib writes by itself.
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB').quantize(48).save(
        path, optimize=True)


def _bars(axes: Any, panel: Panel, rows: Mapping[str, Mapping[str, Any]]) -> None:
    names, values = list(rows), [row[panel.key] for row in rows.values()]
    lines = _lines(panel, rows)
    reach = max([*values, *(value for value, _ in lines)])
    low = min([*values, *(value for value, _ in lines)])
    left, right = (0.6 * min(low, 1.0), reach * (reach / min(low, 1.0)) ** 0.35 * 1.3) \
        if panel.log else (0.0, 1.35 * reach)
    axes.barh(range(len(names)), [value - left for value in values], 0.78, left,
              color=[_colour(name) for name in names])
    for place, (value, row) in enumerate(zip(values, rows.values(), strict=True)):
        note = panel.note.format_map({key: _short(entry) for key, entry in row.items()})
        axes.text(value, place, f' {_short(value)}{panel.unit}   {note}', va='center',
                  fontsize=7.5, bbox={'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.4,
                                      'alpha': 0.75})
    for value, label in lines:
        axes.axvline(value, color='#b03030', linestyle='--', linewidth=1.0)
        axes.text(value, 1.0, f' {label} ', color='#b03030', fontsize=7, va='bottom',
                  ha='right' if len(lines) > 1 and value == min(lines)[0] else 'left',
                  transform=axes.get_xaxis_transform())
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.set_xscale('log' if panel.log else 'linear')
    axes.set_xlim(left, right)
    axes.set_title(panel.title, fontsize=8.5, loc='left', x=-0.32,
                   pad=15 if lines else 5)
    axes.tick_params(axis='x', labelsize=7, length=2)
    axes.tick_params(axis='y', length=0)
    if panel.log:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right < 1e3 * left else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)


def _lines(panel: Panel, rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Where the dashed lines stand, and what is written on them."""
    found = []
    if panel.bar is not None:
        found.append((panel.bar, f'goal {panel.bar:g}{panel.unit}'))
    if panel.bare is not None and 'bare products' in rows:
        found.append((rows['bare products'][panel.key] / panel.bare,
                      f'{panel.bare:g}× the bare products'))
    return found


def _short(value: float) -> str:
    """Three digits, and as many before the point as there are."""
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'


def _colour(name: str) -> str:
    for start in sorted(COLOURS, key=len, reverse=True):
        if name.startswith(start):
            return COLOURS[start]
    return '#8a8a8a'


def _caption(script: str, results: Mapping[str, Any]) -> str:
    known = [f'{results["cpu"]}, {results["cores"]} cores, {results["threads"]} threads']
    known += [f'{name} {results[key]}' for key, name in
              (('torch', 'torch'), ('python', 'Python'), ('load_average', 'load'),
               ('others_cores', 'cores used by others'), ('date', 'measured')) if key in results]
    turns = f'{results["rounds"]} ' if 'rounds' in results else ''
    return ', '.join(known) + f'\nmedians of {turns}interleaved rounds in one process; {script}'
