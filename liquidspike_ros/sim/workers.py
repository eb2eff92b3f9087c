"""Many episodes on several processes, with a bar, an ETA and a clean end at Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
import itertools
import multiprocessing
import os
import signal
from typing import TypeVar

Job = TypeVar('Job')
Result = TypeVar('Result')


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    description: str = '',
    progress: bool = True,
) -> Iterator[Result]:
    """Call ``function`` on every job and yield the results as they come.

    Ctrl-C lets the jobs that run already end (results of theirs on disk stay whole), drops the
    others and raises KeyboardInterrupt.

    Args:
        function: A module-level function; with several workers it is sent to other processes.
        jobs: Its arguments.
        workers: Processes; 1 stays in this one.
        description: Left of the bar.
        progress: Whether to draw the bar (on stderr).

    Raises:
        ValueError: Fewer than one worker.
    """
    from tqdm import tqdm

    if workers < 1:
        raise ValueError(f'workers: got {workers}, expected at least 1')
    bar = tqdm(total=len(jobs), desc=description, unit='ep', disable=not progress,
               dynamic_ncols=True, smoothing=0.1)
    results = map(function, jobs) if workers == 1 else _spread(function, jobs, workers)
    with bar:
        for result in results:
            bar.update()
            yield result


def _spread(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    # A forked copy of a process that holds GL contexts and torch threads is not safe: spawn.
    context = multiprocessing.get_context('spawn')
    waiting = iter(jobs)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)
    try:
        # One job a worker and none queued, so that Ctrl-C waits for those in hand only.
        running: set[Future[Result]] = {
            pool.submit(function, job) for job in itertools.islice(waiting, workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(function, job) for job in itertools.islice(waiting, len(done))}
            for future in done:
                yield future.result()
    finally:  # also when the consumer is interrupted or stops early
        pool.shutdown(wait=True, cancel_futures=True)


def _settle() -> None:
    """Make a worker leave Ctrl-C to its parent and keep to one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
        os.environ[name] = '1'
