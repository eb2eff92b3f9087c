"""What the comparing benches share: options, turns, ratios, tables, JSON and picture.

In every section the same things take turns in one process, where they have a meaning:

bare products  the matrix products of those shapes and nothing else; what nobody can save
stock          what a user would assemble today from stock parts, eager (stock_build.py)
gru, lstm twin the stock build with a GRU or LSTM cell of the same width for spikes and liquid cell
ours           this package
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import json
from typing import Any

from interleave import (
    interleaved,
    machine,
    Neighbours,
    operator_calls,
    print_rows,
    RESULTS,
    write,
)
from pictures import draw, Panel
import torch

Cases = Mapping[str, Callable[[], object]]
Rows = dict[str, dict[str, Any]]
QUIET = 0.1  # cores that others may use before figures are not worth publishing
STOCK, BARE = 'stock', 'bare products'


@dataclass(frozen=True, kw_only=True)
class Section:
    """Candidates that take turns.

    Attributes:
        name: Key of the results.
        about: What one call is.
        build: Makes the candidates, ``STOCK`` among them; called when the section's turn comes.
        share: Of ``--rounds``, for slow sections.
        burst: Calls per turn; see ``interleave``.
        measure: Adds to the rows what is not a duration.
    """

    name: str
    about: str
    build: Callable[[], Cases]
    share: float = 1.0
    burst: int = 8
    measure: Callable[[Rows], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A bench as the command line sees it.

    Attributes:
        name: Of script, results and picture.
        doc: For ``--help``: the script's docstring.
        title: Over the picture.
        sections: In the order in which they are run.
        panels: Of the picture.
        rounds: Turns per candidate, if not given.
        columns: What rows hold besides durations, with its format: printed below the durations.
    """

    name: str
    doc: str
    title: str
    sections: Sequence[Section]
    panels: Sequence[Panel]
    rounds: int
    columns: Mapping[str, str]

    def main(self) -> None:
        """Parse the command line, then measure, print, write and draw."""
        arguments = self._parse()
        if arguments.redraw:
            self._draw(json.loads((RESULTS / f'{self.name}.json').read_text()))
            return
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(0)
        chosen = [section for section in self.sections if arguments.only in section.name]
        partial = len(chosen) < len(self.sections)
        facts = machine() | {'rounds': arguments.rounds}
        print(f'{facts["cpu"]}, {facts["cores"]} cores, {facts["threads"]} threads, torch '
              f'{facts["torch"]}, load {facts["load_average"]}')
        neighbours = Neighbours()
        rows = {section.name: self._run(section, arguments.rounds) for section in chosen}
        facts['others_cores'] = neighbours.cores()
        print(f'\nOthers used {facts["others_cores"]} cores meanwhile' + (
            ': measure again before you publish this.' if facts['others_cores'] > QUIET else '.'))
        if arguments.no_write or partial:
            print(f'Nothing is written{": sections were left out" if partial else ""}.')
            return
        write(self.name, rows, facts)
        self._draw(facts | {'rows': rows})

    def _run(self, section: Section, rounds: int) -> Rows:
        print(f'\n{section.name}: {section.about}', flush=True)
        cases = section.build()
        rows: Rows = {**interleaved(cases, max(2, round(rounds * section.share)),
                                    warm_up=3 if section.burst > 1 else 1, burst=section.burst,
                                    title=section.name)}
        for name, call in cases.items():
            rows[name]['operator_calls'] = operator_calls(call)
        add_ratios(rows)
        if section.measure is not None:
            section.measure(rows)
        print_rows(rows, STOCK)
        print(f'{"":36s}' + ''.join(f'{key.replace("_", " "):>18s}' for key in self.columns))
        for name, row in rows.items():
            print(f'{name:36s}' + ''.join(
                f'{format(row[key], form) if key in row else "":>18s}'
                for key, form in self.columns.items()), flush=True)
        return rows

    def _draw(self, results: Mapping[str, Any]) -> None:
        path = RESULTS / f'{self.name}.png'
        draw(path, f'bench/{self.name}.py', self.title, results, self.panels)
        print(f'{path.relative_to(RESULTS.parent.parent)}: {path.stat().st_size // 1000} kB')

    def _parse(self) -> argparse.Namespace:
        names = '\n'.join(f'  {section.name:34s}{section.about}' for section in self.sections)
        parser = argparse.ArgumentParser(
            description=f'{self.doc}\n{__doc__}\nsections:\n{names}',
            epilog=f'examples:\n'
                   f'  python bench/{self.name}.py\n'
                   f'  python bench/{self.name}.py --rounds 5 --no-write         a quick look\n'
                   f'  python bench/{self.name}.py --only "{self.sections[-1].name}"\n'
                   f'  python bench/{self.name}.py --redraw                      only the picture',
            formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument('--threads', type=_positive, default=2,
                            help="torch's threads (default: %(default)s)")
        parser.add_argument('--rounds', type=_positive, default=self.rounds,
                            help='turns per candidate, fewer in slow sections '
                                 '(default: %(default)s)')
        parser.add_argument('--only', metavar='TEXT', default='',
                            help='only the sections whose name contains this; writes nothing')
        parser.add_argument('--no-write', action='store_true', help='only print')
        parser.add_argument('--redraw', action='store_true',
                            help=f'draw bench/results/{self.name}.png from the JSON beside it, '
                                 f'without measuring')
        arguments = parser.parse_args()
        if not any(arguments.only in section.name for section in self.sections):
            parser.error(f'--only: got {arguments.only!r}, expected part of one of '
                         f'{", ".join(repr(section.name) for section in self.sections)}')
        if arguments.redraw and not (RESULTS / f'{self.name}.json').exists():
            parser.error(f'--redraw: there is no bench/results/{self.name}.json, measure first')
        return arguments


def add_ratios(rows: Rows) -> None:
    """How many times faster than the stock build, and how many times the bare products."""
    for row in rows.values():
        row['over_stock'] = rows[STOCK]['median_ms'] / row['median_ms']
        if BARE in rows:
            row['over_bare'] = row['median_ms'] / rows[BARE]['median_ms']
            row['over_bare_cpu'] = row['cpu_ms'] / rows[BARE]['cpu_ms']


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'got {text!r}, expected a whole number of at least 1')
    return int(text)
