"""Jobs spread over processes come back whole, in any order, and end when told to."""

from __future__ import annotations

import operator
import os
from pathlib import Path

import pytest

from liquidspike_ros.sim.workers import run_jobs


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
