"""The benches run, say what is wrong with their options, and compare what they say they compare."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
import subprocess
import sys

import comparison
import interleave
from pictures import draw, Panel
from PIL import Image
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parents[2]
# Script -> its cheapest section, and who takes turns in it.
SCRIPTS = {
    'step_latency': ('core, small', {'bare products', 'stock', 'gru twin', 'lstm twin',
                                     'ours, hybrid', 'ours, hybrid, deployed',
                                     'ours, hybrid, deployed without C'}),
    'train_throughput': ('core', {'bare products', 'stock', 'gru twin', 'lstm twin', 'ours',
                                  'our bare products'}),
    'lif': ('1x128, forward + backward', {'bare copies', 'stock', 'gru twin', 'lstm twin', 'ours'}),
    'liquid': ('64->64, batch 16, 16 ticks, forward + backward', {
        'bare products', 'stock', 'gru twin', 'lstm twin', 'ours'}),
    'strategies': ('tick, small', {'bare products', 'stock', 'gru twin', 'lstm twin', 'ours, early',
                            'ours, late', 'ours, hybrid', 'ours, hierarchical'}),
}
LINEAR = nn.Linear(64, 64)


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, f'bench/{script}.py', *options], cwd=ROOT, text=True,
                          capture_output=True, timeout=200)


@pytest.mark.slow
@pytest.mark.parametrize('script', SCRIPTS)
def test_everybody_takes_turns_and_runs(script: str):
    name, expected = SCRIPTS[script]
    it = importlib.import_module(script).BENCH
    assert it.name == script
    (chosen,) = (section for section in it.sections if section.name == name)
    cases = chosen.build()
    assert set(cases) == expected
    for call in cases.values():
        call()
    assert {panel.section for panel in it.panels} <= {section.name for section in it.sections}


@pytest.mark.slow
def test_a_script_runs_from_the_command_line():
    done = run('lif', '--only', '1x128, forward', '--rounds', '1', '--threads', '1')
    assert done.returncode == 0, done.stderr
    for name in SCRIPTS['lif'][1]:
        assert f'\n{name} ' in done.stdout
    assert 'Nothing is written: sections were left out.' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(('option', 'message'), [
    (('--only', 'x'),
     "--only: got 'x', expected part of one of 'tick', 'tick, small', 'training'"),
    (('--threads', '0'), "--threads: got '0', expected a whole number of at least 1"),
], ids=str)
def test_wrong_options_are_named(option: tuple[str, str], message: str):
    done = run('strategies', *option)
    assert done.returncode == 2
    assert message in ' '.join(done.stderr.split())


def bench(sections: list[comparison.Section], panels: list[Panel]) -> comparison.Bench:
    return comparison.Bench(name='it', doc='', title='It', sections=sections, panels=panels,
                            rounds=2, columns={'over_bare': '.2f', 'extra': 'd'})


def section(name: str) -> comparison.Section:
    def cases() -> comparison.Cases:
        return {name: lambda: LINEAR(torch.ones(1, 64))
                for name in ('bare products', 'stock', 'ours')}

    def more(rows: comparison.Rows) -> None:
        rows['ours']['extra'] = 3

    return comparison.Section(name=name, about='', build=cases, measure=more)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / 'bench' / 'results'
    for module in (interleave, comparison):
        monkeypatch.setattr(module, 'RESULTS', folder)
    monkeypatch.setattr(sys, 'argv', ['it.py'])
    # Of this process, which other tests share.
    monkeypatch.setattr(torch, 'set_num_threads', lambda threads: None)
    return folder


def test_a_bench_leaves_figures_with_their_machine_and_a_picture(results, capsys):
    bench([section('a'), section('b')], [Panel(section='a', title='')]).main()
    written = json.loads((results / 'it.json').read_text())
    assert {'cpu', 'cores', 'threads', 'torch', 'others_cores', 'date'} <= set(written)
    assert list(written['rows']) == ['a', 'b']
    row = written['rows']['a']['ours']
    assert row['over_stock'] == pytest.approx(
        written['rows']['a']['stock']['median_ms'] / row['median_ms'])
    assert row['over_bare'] == pytest.approx(
        row['median_ms'] / written['rows']['a']['bare products']['median_ms'])
    assert (row['extra'], row['operator_calls'] > 0) == (3, True)
    assert (results / 'it.png').stat().st_size < 60_000
    assert 'Others used' in capsys.readouterr().out


@pytest.mark.parametrize('options', [['--no-write'], ['--only', 'b']])
def test_a_partial_or_trial_run_leaves_published_figures_alone(results, monkeypatch, options):
    monkeypatch.setattr(sys, 'argv', ['it.py', *options])
    bench([section('a'), section('b')], [Panel(section='a', title='')]).main()
    assert not results.exists()


def test_a_picture_is_drawn_again_from_its_figures(results, monkeypatch):
    it = bench([section('a')], [Panel(section='a', title='')])
    it.main()
    figures, first = (results / 'it.json').read_bytes(), (results / 'it.png').read_bytes()
    (results / 'it.png').unlink()
    monkeypatch.setattr(sys, 'argv', ['it.py', '--redraw'])
    it.main()
    assert (results / 'it.png').read_bytes() == first
    assert (results / 'it.json').read_bytes() == figures


def test_there_is_nothing_to_draw_before_something_was_measured(results, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['it.py', '--redraw'])
    with pytest.raises(SystemExit):
        bench([section('a')], [Panel(section='a', title='')]).main()
    assert '--redraw: there is no bench/results/it.json' in capsys.readouterr().err


FACTS = {'cpu': 'Some CPU', 'cores': 2, 'threads': 2, 'torch': '2'}


def test_panels_of_what_is_not_there_are_left_out(tmp_path: Path):
    row = {'over_stock': 2.0, 'median_ms': 1.0}
    panels = [Panel(section='a', title='', bar=7, bare=1.5), Panel(section='a', title='', key='no'),
              Panel(section='z', title='')]
    for name, shown in (('all', panels), ('one', panels[:1])):
        draw(tmp_path / f'{name}.png', 'it.py', 'It',
             {**FACTS, 'rows': {'a': {'ours': row, 'bare products': row}}}, shown)
    with Image.open(tmp_path / 'all.png') as first, Image.open(tmp_path / 'one.png') as second:
        assert first.size == second.size
    with pytest.raises(SystemExit, match=r'nothing of what is drawn, measure anew: python it\.py'):
        draw(tmp_path / 'none.png', 'it.py', 'It', {**FACTS, 'rows': {'a': {'ours': row}}},
             panels[1:])


def test_a_candidate_that_does_not_run_is_named():
    def broken() -> None:
        raise ValueError('no')

    with pytest.raises(RuntimeError, match=r"core: 'stock' does not run: no"):
        interleave.interleaved({'stock': broken}, 1, title='core')
