"""Many episodes on several processes, with a bar, an ETA and a clean end at Ctrl-C.

Each runs in one thread, in this process too: the network of a robot is so small that threads cost
more than they bring, and where other work holds a core they wait for each other. Results are the
same for any number of workers for that reason also: sums do not depend on how many share them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from typing import TypeVar

Job = TypeVar('Job')
Result = TypeVar('Result')

# Of torch, NumPy's BLAS and OpenCV. They are read when a library is loaded, so a process that is
# to keep to one thread must be born with them.
THREADS = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'OPENCV_FOR_THREADS_NUM')


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
        workers: Processes, never more than jobs; 1 stays in this one.
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
    workers = min(workers, len(jobs))
    results = _one_by_one(function, jobs) if workers <= 1 else _spread(function, jobs, workers)
    with bar:
        for result in results:
            bar.update()
            yield result


def _one_by_one(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    import torch

    for job in jobs:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            result = function(job)
        finally:
            torch.set_num_threads(threads)
        yield result


def _spread(
    function: Callable[[Job], Result], jobs: Sequence[Job], workers: int
) -> Iterator[Result]:
    # A forked copy of a process that holds GL contexts and torch threads is not safe: spawn.
    context = multiprocessing.get_context('spawn')
    waiting = iter(jobs)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle)

    def begin(count: int) -> set[Future[Result]]:
        with _birth():
            return {pool.submit(function, job) for job in itertools.islice(waiting, count)}

    try:
        # One job a worker and none queued, so that Ctrl-C waits for those in hand only.
        running = begin(workers)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= begin(len(done))
            for future in done:
                yield future.result()
    finally:  # also when the consumer is interrupted or stops early
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _birth() -> Iterator[None]:
    """Processes that start in here keep to one thread and never hear of Ctrl-C.

    Not even while they import: they inherit the signal as blocked. This process gets one that
    comes meanwhile at the end.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(dict.fromkeys(THREADS, '1'))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _settle() -> None:
    """Keep a worker to one thread, and let it end when its parent does, however that ended."""
    if 'torch' in sys.modules:  # whatever its environment says
        sys.modules['torch'].set_num_threads(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
