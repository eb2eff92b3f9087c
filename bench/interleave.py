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

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parent.parent


def interleaved(
    cases: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 3, burst: int = 3
) -> dict[str, dict[str, float]]:
    """Time every case in turn, ``rounds`` times over.

    Args:
        cases: What to time, by name.
        rounds: Turns per case.
        warm_up: Calls before the first turn.
        burst: Calls per turn; the first refills the caches and does not count if there are more.

    Returns:
        ``median_ms``, ``best_ms`` and ``cpu_ms`` by name: the last is the median of the processor
        time of all threads, to which waiting on a busy machine adds nothing.
    """
    for call in cases.values():
        for _ in range(warm_up):
            call()
    spent: dict[str, list[float]] = {name: [] for name in cases}
    used: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            for k in range(burst):
                begin, begin_cpu = time.perf_counter(), time.process_time()
                call()
                end_cpu, end = time.process_time(), time.perf_counter()
                if k or burst == 1:
                    spent[name].append(1e3 * (end - begin))
                    used[name].append(1e3 * (end_cpu - begin_cpu))
    return {name: {'median_ms': float(np.median(times)), 'best_ms': min(times),
                   'cpu_ms': float(np.median(used[name]))}
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
    with _Count() as count:
        call()
    return count.calls


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            model = line.partition(':')[2].strip()
            break
    return {'cpu': model, 'cores': os.cpu_count(), 'threads': torch.get_num_threads(),
            'torch': torch.__version__, 'load_average': os.getloadavg()[0]}


def print_rows(rows: Mapping[str, Mapping[str, float]], base: str) -> None:
    """A table of medians, and how many times faster than ``base`` each is."""
    print(f'{"":26s}{"median":>10s}{"best":>10s}{"cpu":>10s}{"vs " + base:>14s}{"cpu":>10s}')
    for name, row in rows.items():
        print(f'{name:26s}{row["median_ms"]:7.3f} ms{row["best_ms"]:7.3f} ms'
              f'{row["cpu_ms"]:7.3f} ms'
              f'{rows[base]["median_ms"] / row["median_ms"]:12.2f}×'
              f'{rows[base]["cpu_ms"] / row["cpu_ms"]:8.2f}×', flush=True)


def write(name: str, rows: Mapping[str, Any]) -> None:
    """Write ``bench/results/<name>.json``."""
    path = ROOT / 'bench/results' / f'{name}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**machine(), 'rows': rows}, indent=2) + '\n')
