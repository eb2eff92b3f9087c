"""Jobs spread over processes come back whole, in any order, and end when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import operator
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
import torch

from liquidspike_ros.sim.workers import cores, run_jobs, THREADS


@pytest.mark.parametrize('workers', [1, 2])
def test_every_job_comes_back_once(workers: int) -> None:
    results = run_jobs(operator.neg, [3, 1, 2], workers=workers, progress=False)
    assert sorted(results) == [-3, -2, -1]


@pytest.mark.parametrize('workers', [1, 2])
def test_a_failing_job_raises_here(workers: int) -> None:
    with pytest.raises(TypeError, match='bad operand'):
        list(run_jobs(operator.neg, [1, 'x'], workers=workers, progress=False))


def test_stopping_early_drops_the_jobs_that_wait(tmp_path: Path) -> None:
    jobs = [f'sleep 0.2 && touch {tmp_path}/{index}' for index in range(100)]
    results = run_jobs(os.system, jobs, workers=2, progress=False)
    next(results)
    results.close()
    done = len(list(tmp_path.iterdir()))
    # Those in hand are finished, the rest is never begun.
    assert 1 <= done <= 4


def test_no_worker_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match='workers: got 0'):
        list(run_jobs(operator.neg, [1], workers=0, progress=False))


def test_the_bar_counts_and_says_what_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    list(run_jobs(operator.neg, [1, 2], description='record', progress=True))
    assert 'record: 100%' in capsys.readouterr().err


# A worker finds ``eval`` anywhere, and no function of this module.
THREADS_SEEN = f"""(
    __import__('torch').get_num_threads(),
    [__import__('os').environ.get(name) for name in {THREADS}],
)"""


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures('two_threads')
def test_a_worker_runs_in_one_thread_whatever_this_process_does(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    monkeypatch.delenv('OPENBLAS_NUM_THREADS', raising=False)
    seen = list(run_jobs(eval, [THREADS_SEEN] * 2, workers=2, progress=False))
    assert seen == [(1, ['1'] * len(THREADS))] * 2
    assert os.environ['OMP_NUM_THREADS'] == '2'
    assert 'OPENBLAS_NUM_THREADS' not in os.environ


@pytest.mark.usefixtures('two_threads')
def test_without_workers_torch_has_its_threads_back_between_the_jobs() -> None:
    results = run_jobs(eval, [THREADS_SEEN] * 2, workers=1, progress=False)
    assert next(results)[0] == 1
    assert torch.get_num_threads() == 2
    results.close()
    failing = run_jobs(operator.neg, ['x'], workers=1, progress=False)
    with pytest.raises(TypeError):
        next(failing)
    assert torch.get_num_threads() == 2


def test_there_are_no_more_workers_than_jobs() -> None:
    assert list(run_jobs(eval, ['__import__("os").getpid()'], workers=8, progress=False)
                ) == [os.getpid()]
    assert list(run_jobs(eval, [], workers=8, progress=False)) == []


def test_cores_are_those_that_may_be_used() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


PROGRAM = """if True:
    import operator, os, sys
    from liquidspike_ros.sim.workers import run_jobs
    if __name__ == '__main__':
        for result in run_jobs(os.system, ['touch begun; sleep 1; touch done'] * 2 + ['touch more'],
                               workers=2, progress=False):
            pass
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """A program with two workers, in a session of its own."""
    path = tmp_path / 'program.py'
    path.write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(subprocess.Popen(
            [sys.executable, str(path)], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
            env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])}))
        return started[-1]

    yield start
    for process in started:
        if members(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def members(session: int) -> list[int]:
    """Processes of a session that run."""
    shown = subprocess.run(['ps', '-s', str(session), '-o', 'pid=,stat='], capture_output=True,
                           text=True).stdout
    return [int(line.split()[0]) for line in shown.splitlines() if 'Z' not in line]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_ctrl_c_is_for_the_parent_alone(
        program: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = program()
    wait_until((tmp_path / 'begun').exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=60)
    assert said.count('Traceback') == 1
    assert said.strip().endswith('KeyboardInterrupt')
    assert not (tmp_path / 'more').exists()
    wait_until(lambda: not members(process.pid))  # one may still be on its way out


def test_workers_do_not_outlive_a_parent_that_is_killed(
        program: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = program()
    wait_until((tmp_path / 'begun').exists)
    process.kill()
    process.wait()
    wait_until(lambda: members(process.pid) == [])
