"""Fair timing on a shared machine: candidates take turns, medians and ratios are compared.

What slows the machine down for a while slows all candidates alike, so ratios hold where single
durations do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
import os
from pathlib import Path
import platform
import time
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from liquidspike_ros.core.tick.native import plain_memory

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'bench/results'
LONG = 0.4  # seconds over which processor time is measured
SETTLING = 3  # calls until a step of a millisecond is within 5 % of its lasting duration


def interleaved(
    cases: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 3, burst: int = 8,
    title: str = '',
) -> dict[str, dict[str, float]]:
    """Time every case in turn, ``rounds`` times over.

    Args:
        cases: What to time, by name.
        rounds: Turns per case.
        warm_up: Calls before the first turn.
        burst: Calls per turn. The first ``SETTLING`` refill the caches from what the others left
            there and do not count if there are more.
        title: Stands before the progress bar, which is shown on terminals only.

    Returns:
        ``median_ms``, ``best_ms``, ``cpu_ms`` and ``first_ms`` by name: ``cpu_ms`` is what
        ``processor_ms`` gives, ``first_ms`` the median of the first call of a turn, which finds the
        caches full of others' data.
    """
    from tqdm import tqdm  # here: the scripts for GPU machines time by themselves, without it

    for name, call in tqdm(cases.items(), f'{title}: warming up', leave=False, disable=None):
        try:
            for _ in range(warm_up):
                call()
        except Exception as error:
            raise RuntimeError(f'{title or "case"}: {name!r} does not run: {error}') from error
    spent: dict[str, list[float]] = {name: [] for name in cases}
    first: dict[str, list[float]] = {name: [] for name in cases}
    unsettled = SETTLING if burst > SETTLING else 0
    for _ in tqdm(range(rounds), title, leave=False, disable=None, unit='round'):
        for name, call in cases.items():
            for k in range(burst):
                begin = time.perf_counter()
                call()
                end = time.perf_counter()
                if k == 0:
                    first[name].append(1e3 * (end - begin))
                if k >= unsettled:
                    spent[name].append(1e3 * (end - begin))
    return {name: {'median_ms': float(np.median(times)), 'best_ms': min(times),
                   'cpu_ms': processor_ms(cases[name]),
                   'first_ms': float(np.median(first[name]))}
            for name, times in spent.items()}


class _Count(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def operator_calls(call: Callable[[], object]) -> int:
    """Operator calls of ``call``, views included: at a batch of one they are what costs."""
    # Ticks in C stay aside while somebody watches the operators; here they are to be seen as well.
    with patch.object(plain_memory, '_get_current_dispatch_mode', return_value=None), \
            _Count() as count:
        call()
    return count.calls


def processor_ms(call: Callable[[], object]) -> float:
    """Mean processor time of all threads, to which waiting on a busy machine adds nothing.

    Over many calls in a row, since of a thread that is running the system counts the time up only
    every few milliseconds.
    """
    calls, begin, begin_cpu = 0, time.perf_counter(), time.process_time()
    while not calls or time.perf_counter() - begin < LONG:
        call()
        calls += 1
    return 1e3 * (time.process_time() - begin_cpu) / calls


def machine() -> dict[str, Any]:
    """What is measured on, and how busy it is at this moment."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith('model name'):
            model = line.partition(':')[2].strip()
            break
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    return {'cpu': model, 'cores': os.cpu_count(), 'memory_gib': round(memory, 1),
            'system': f'{platform.system()} {platform.machine()}',
            'python': platform.python_version(), 'torch': torch.__version__,
            'threads': torch.get_num_threads(), 'load_average': round(os.getloadavg()[0], 2),
            'date': time.strftime('%Y-%m-%d')}


class Neighbours:
    """How much of the machine others use meanwhile: what makes figures worthless."""

    def __init__(self) -> None:
        self._begin = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds on the clock, busy seconds of all cores, and processor seconds of our own."""
        times = [int(field) for field in
                 Path('/proc/stat').read_text().splitlines()[0].split()[1:8]]
        user, nice, system, _idle, _waiting, *interrupts = times
        busy = (user + nice + system + sum(interrupts)) / os.sysconf('SC_CLK_TCK')
        own = os.times()
        return (time.monotonic(), busy,
                own.user + own.system + own.children_user + own.children_system)

    def cores(self) -> float:
        """Mean number of cores that others kept busy since this was made."""
        clock, busy, own = (now - then for now, then in zip(self._now(), self._begin, strict=True))
        return round(max(0.0, (busy - own) / max(clock, 1e-9)), 2)


def print_rows(rows: Mapping[str, Mapping[str, float]], base: str) -> None:
    """A table of durations, and how many times faster than ``base`` each is."""
    keys = ('median_ms', 'best_ms', 'cpu_ms', 'first_ms')
    print(f'{"":36s}{"median":>10s}{"best":>10s}{"cpu":>10s}{"first":>10s}{"vs " + base:>13s}'
          f'{"cpu":>9s}{"first":>9s}')
    for name, row in rows.items():
        median, cpu, first = (rows[base][key] / row[key] for key in keys if key != 'best_ms')
        print(f'{name:36s}' + ''.join(f'{row[key]:7.3f} ms' for key in keys)
              + f'{median:12.2f}×{cpu:8.2f}×{first:8.2f}×', flush=True)


def write(name: str, rows: Mapping[str, Any], facts: Mapping[str, Any] | None = None) -> None:
    """Write ``bench/results/<name>.json``.

    Args:
        name: Of the bench.
        rows: What was measured.
        facts: ``machine()`` from before measuring, which does not count the bench's own load.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**(facts or machine()), 'rows': rows}, indent=2)
    (RESULTS / f'{name}.json').write_text(text + '\n')
