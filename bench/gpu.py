"""Everything that needs a GPU, in one call: the tests marked `gpu`, then the measurements.

Needs torch with CUDA, Triton, numpy, snntorch, ncps and safetensors; pytest and hypothesis for the
tests; no ROS. Exit status 0: all ran and passed; 1: a test or a part failed; 2: nothing could run,
for want of a GPU or of a package, which one line says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import product
import re
import subprocess
import sys
from typing import Any

from interleave import machine, ROOT, write
import numpy as np
import torch

from liquidspike_ros.core.spiking.triton import lif as lif_kernels

NEEDED = ('triton', 'snntorch', 'ncps', 'safetensors', 'pytest', 'hypothesis')
TICKS, BATCH, UNITS = 32, 64, 65536
FLUSH = 1 << 30  # bytes; written before a call, it empties the caches and hides the launches


def missing() -> list[str]:
    """Packages without which the tests and measurements cannot run."""
    return [name for name in NEEDED if find_spec(name) is None]


def describe() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    found = {}
    for name in NEEDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = 'unknown'
    return {**machine(), 'gpu': properties.name, 'gpu_memory_gb': properties.total_memory / 1e9,
            'multiprocessors': properties.multi_processor_count,
            'capability': f'{properties.major}.{properties.minor}', 'cuda': torch.version.cuda,
            **found}


def run_tests() -> dict[str, Any]:
    """Run the tests marked ``gpu`` of all folders that can be imported here."""
    folders = ['test/core', 'test/control']
    if find_spec('rclpy') and find_spec('diagnostic_msgs'):
        folders.append('test/nodes')
    else:
        print('no rclpy here: the gpu tests of test/nodes are left out')
    command = [sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', '-p', 'no:cacheprovider',
               *folders]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print('\n'.join(result.stdout.splitlines()[-40:]), flush=True)
    return {'folders': folders, 'status': result.returncode,
            'summary': result.stdout.strip().splitlines()[-1:]}


def timed(cases: Mapping[str, Callable[[], object]], rounds: int, busy: bool = False
          ) -> dict[str, dict[str, float]]:
    """Median and best time of every case, in ms, by device events; cases take turns.

    An idle device waits for the host between launches. With ``busy`` it has other work until the
    host is done, as in the middle of a training step, and what is measured is its own time.
    """
    other = torch.empty(FLUSH if busy else 0, dtype=torch.uint8, device='cuda')
    for call in cases.values():
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            for _ in range(4):
                other.zero_()
            begin.record()
            call()
            end.record()
            end.synchronize()
            spent[name].append(begin.elapsed_time(end))
    return {name: {'median_ms': float(np.median(times)), 'best_ms': min(times)}
            for name, times in spent.items()}


def without_kernels(call: Callable[[], object]) -> Callable[[], object]:
    """The same call by the plain path."""
    from liquidspike_ros.core.spiking.triton.choice import verdict

    def plain() -> None:
        before, verdict.off = verdict.off, 'for comparison'
        try:
            call()
        finally:
            verdict.off = before

    return plain


def sequence_cases(dtype: torch.dtype, stock: bool = True) -> dict[str, Callable[[], object]]:
    """A population over 32 currents, forward and backward, and a copy of as many bytes."""
    import snntorch

    from liquidspike_ros.core.spiking.population import leaky_sequence
    from liquidspike_ros.core.spiking.surrogates import spike_gradient

    def tensor(*shape: int) -> torch.Tensor:
        return torch.rand(shape, device='cuda').to(dtype)

    current = tensor(BATCH, TICKS, UNITS).requires_grad_()
    incoming = tensor(BATCH, TICKS, UNITS)
    rest = torch.zeros(BATCH, UNITS, device='cuda', dtype=dtype)
    beta = torch.full((UNITS,), 0.95, device='cuda').requires_grad_()
    threshold, surrogate = torch.ones(UNITS, device='cuda'), spike_gradient('fast_sigmoid')
    leaky = snntorch.Leaky(beta=0.95, spike_grad=surrogate).cuda()
    # I and dS are read and S and dI written: two tensors go in, two come out.
    source, target = (torch.empty(2, BATCH, TICKS, UNITS, device='cuda', dtype=dtype)
                      for _ in range(2))
    source.copy_(incoming)

    def back(spikes: torch.Tensor) -> None:
        current.grad = beta.grad = None
        spikes.backward(incoming)

    def ours() -> None:
        back(leaky_sequence(current, rest, beta, threshold, 1, surrogate)[0])

    def loop() -> None:
        membrane, spikes = rest, []
        for drive in current.unbind(1):
            fired, membrane = leaky(drive, membrane)
            spikes.append(fired)
        back(torch.stack(spikes, 1).to(dtype))

    cases = {'copy': lambda: target.copy_(source), 'triton': ours}
    return {**cases, 'plain': without_kernels(ours), 'snntorch': loop} if stock else cases


def rate_cases() -> dict[str, Callable[[], object]]:
    """Four modalities of 128 neurons at a batch of one, 32 steps: as called, and captured."""
    from liquidspike_ros.core.spiking.rates import spike_rates
    from liquidspike_ros.core.spiking.surrogates import spike_gradient

    current, membrane = torch.rand(1, 4, 1, 128).cuda(), torch.zeros(4, 1, 128).cuda()
    beta, threshold = torch.full((4, 1, 128), 0.95).cuda(), torch.ones(4, 1, 128).cuda()
    surrogate = spike_gradient('fast_sigmoid')

    @torch.inference_mode()
    def ours() -> None:
        spike_rates(current, membrane, beta, threshold, 32, surrogate)

    def captured(call: Callable[[], object]) -> Callable[[], object]:
        call()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return graph.replay

    plain = without_kernels(ours)
    return {'triton': ours, 'plain': plain, 'triton captured': captured(ours),
            'plain captured': captured(plain)}


def print_table(title: str, rows: Mapping[str, Mapping[str, float]], base: str) -> None:
    print(f'\n{title}\n{"":26s}{"median":>11s}{"best":>11s}{"of " + base:>18s}')
    for name, row in rows.items():
        print(f'{name:26s}{row["median_ms"]:8.3f} ms{row["best_ms"]:8.3f} ms'
              f'{row["median_ms"] / rows[base]["median_ms"]:17.2f}×', flush=True)


def sweep(rounds: int) -> dict[str, dict[str, float]]:
    """The first case with other sizes of the kernels' tiles."""

    rows = {}
    before = lif_kernels.LARGE, lif_kernels.WARPS, lif_kernels.CHUNK
    cases = sequence_cases(torch.float16, stock=False)
    for sizes in product((128, 256, 512, 1024), (2, 4, 8), (4, 8, 16)):
        lif_kernels.LARGE, lif_kernels.WARPS, lif_kernels.CHUNK = sizes
        name = '{} neurons, {} warps, {} steps'.format(*sizes)
        rows[name] = timed(cases, rounds, busy=True)['triton']
    lif_kernels.LARGE, lif_kernels.WARPS, lif_kernels.CHUNK = before
    best = min(rows, key=lambda name: rows[name]['median_ms'])
    print_table('float16 by size of the tiles', rows, best)
    return rows


def measure(rounds: int) -> dict[str, Any]:
    from liquidspike_ros.core.spiking.triton.choice import verdict

    results: dict[str, Any] = {}
    for dtype in (torch.float16, torch.float32):
        name = str(dtype).removeprefix('torch.')
        title = f'{name}, T={TICKS}, N={BATCH}x{UNITS}, forward + backward'
        for key, busy in (('lif', True), ('lif_idle', False)):
            rows = timed(sequence_cases(dtype), rounds, busy)
            print_table(f'{title}, device {"busy" if busy else "idle"} before', rows, 'copy')
            results[f'{key}_{name}'] = rows
        torch.cuda.empty_cache()
    results['rates_batch_1'] = timed(rate_cases(), 10 * rounds)
    print_table('spike rates, batch 1, 4x128, 32 steps', results['rates_batch_1'], 'plain')
    results['kernels'] = verdict.off or 'used'
    print(f'\nTriton kernels: {results["kernels"]}', flush=True)
    return results


def run_script(name: str, *options: str) -> dict[str, Any] | None:
    """Another measurement as a process of its own; None where it is not there."""
    torch.cuda.empty_cache()
    script = ROOT / 'bench' / name
    if not script.exists():
        return None
    print(f'\n{name}', flush=True)
    result = subprocess.run([sys.executable, str(script), *options], cwd=ROOT, capture_output=True,
                            text=True, check=False)
    print(result.stdout[-6000:] + result.stderr[-2000:], flush=True)
    return {'status': result.returncode, 'output': result.stdout}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--no-tests', action='store_true', help='only measure')
    parser.add_argument('--sweep', action='store_true', help='also try other tile sizes')
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print('bench/gpu.py: no CUDA device here, nothing was run')
        return 2
    if lacking := missing():
        print(f'bench/gpu.py: missing packages: {", ".join(lacking)} '
              '(pip install --no-deps -c constraints.txt ...); nothing was run')
        return 2
    results: dict[str, Any] = {'machine': describe()}
    print(results['machine'], flush=True)
    if not arguments.no_tests:
        results['tests'] = run_tests()
    results |= measure(arguments.rounds)
    if arguments.sweep:
        results['sweep'] = sweep(max(arguments.rounds // 3, 5))
    quiet = ('--gpu-only', *(['--no-write'] if arguments.no_write else []))
    results['policy_runtime'] = run_script('policy_runtime.py', *quiet)
    if not arguments.no_write:
        slug = re.sub(r'\W+', '_', results['machine']['gpu']).strip('_').lower()
        write(f'gpu_{slug}', results)
    parts = (results.get('tests'), results['policy_runtime'])
    failed = any(part is not None and part['status'] != 0 for part in parts)
    return int(failed or results['kernels'] != 'used')


if __name__ == '__main__':
    sys.exit(main())
