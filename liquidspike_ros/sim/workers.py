"""Many episodes on several processes, with a bar, an ETA and a clean end at Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed, Future, ProcessPoolExecutor
import multiprocessing
import os
import signal
from typing import Any, TypeVar

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
    count = min(workers, max(len(jobs), 1))
    with ProcessPoolExecutor(count, mp_context=context, initializer=_settle) as pool:
        futures: list[Future[Any]] = [pool.submit(function, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # also when the consumer is interrupted or stops early
            pool.shutdown(wait=False, cancel_futures=True)


def _settle() -> None:
    """Make a worker leave Ctrl-C to its parent and keep to one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
        os.environ[name] = '1'
