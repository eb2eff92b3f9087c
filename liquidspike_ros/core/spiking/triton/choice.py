"""Whether a LIF population runs by Triton kernel, decided call by call.

On CUDA, in single or half precision, with a surrogate that the kernels know, they are taken by
themselves; anything else, and everything on a CPU, in double precision or under ``torch.compile``
and ``torch.export``, takes the plain path. Before a kind of call is first served, the very kernels
that it needs are held against the plain path on a small random case, gradients too. What fails to
build, to run or to agree switches Triton off for the process, with one warning that says what
happened. Building takes about a second a kernel, once per machine (Triton keeps what it built), and
belongs in a warm-up. Nothing is built or proven while a CUDA graph is captured: only calls that
have run before, in the same shapes, are captured as kernels.

``LIQUIDSPIKE_TRITON=0`` in the environment switches Triton off from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
import os
from pathlib import Path
import re
import sys
import threading
from typing import Any
import warnings

import torch
from torch import nn, Tensor

from .lif import CHUNK, Population, run, SpikeGradient, Surrogate, Variant, variant_of

PRECISIONS = (torch.float32, torch.float16, torch.bfloat16)
DEVICES = ('cuda',)
# Graphics drivers whose LLVM Triton's own does not get along with, if it is loaded after them.
OTHER_LLVM = re.compile(r'/\S*/lib(?:LLVM|gallium)[^/\s]*$', re.MULTILINE)
# The plain path: ``lif.leaky_sequence`` and ``rates.spike_rates`` enter themselves here.
PLAIN: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {}
# A potential nearer than this to the threshold may fall on either side by rounding.
TIE = 1e-4


@dataclass
class Verdict:
    """What this process has found out about the kernels.

    Attributes:
        off: Why they are not used; None while they may be.
        proven: Kinds of call that were found to agree with the plain path.
        ran: Calls, with their shapes, that need no compiling any more.
    """

    off: str | None = None
    proven: set[tuple[Any, ...]] = field(default_factory=set)
    ran: set[tuple[Any, ...]] = field(default_factory=set)
    proving: bool = False
    lock: Any = field(default_factory=threading.Lock)


def _at_start() -> str | None:
    if os.environ.get('LIQUIDSPIKE_TRITON', '1') == '0':
        return 'LIQUIDSPIKE_TRITON=0 is set'
    try:
        installed = find_spec('triton') is not None
    except (ImportError, ValueError):  # something stands in its place
        installed = False
    return None if installed else 'triton is not installed'


verdict = Verdict(_at_start())


def triton_sequence(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    surrogate: SpikeGradient,
) -> tuple[Tensor, Tensor] | None:
    """``lif.leaky_sequence`` by kernel, beta clamped already; None: take the plain path."""
    if _out_of_question(current, membrane, beta, threshold):
        return None
    current = current.transpose(0, 1)
    result = _run(current, membrane, beta, threshold, num_steps, surrogate, rates=False)
    if result is None:
        return None
    spikes, after = result
    return spikes.flatten(1, 2).transpose(0, 1), after.view(membrane.shape)


def triton_rates(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    surrogate: SpikeGradient,
) -> tuple[Tensor, Tensor] | None:
    """``rates.spike_rates`` by kernel; None: take the plain path."""
    if _out_of_question(current, membrane, beta, threshold):
        return None
    result = _run(current, membrane, beta, threshold, num_steps, surrogate, rates=True)
    if result is None:
        return None
    rates, after = result
    return rates.view(current.shape), after.view(membrane.shape)


def _out_of_question(*tensors: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    if verdict.off is not None or verdict.proving:
        return True
    device = tensors[0].device
    return device.type not in DEVICES or not all(
        type(value) in (Tensor, nn.Parameter)  # no fake tensors and the like: there is no data
        and value.device == device and value.dtype in PRECISIONS and value.numel()
        for value in tensors)


def _capturing(device: torch.device) -> bool:
    return device.type == 'cuda' and torch.cuda.is_current_stream_capturing()


def _run(
    current: Tensor, membrane: Tensor, beta: Tensor, threshold: Tensor, num_steps: int,
    function: SpikeGradient, *, rates: bool,
) -> tuple[Tensor, Tensor] | None:
    surrogate = Surrogate.of(function)
    if surrogate is None or num_steps < 1 or current.shape[1:] != membrane.shape:
        return None
    population = Population.arranged(current, membrane, beta, threshold)
    variant = variant_of(population, num_steps, surrogate, rates)
    call = (variant, tuple((value.device, value.dtype, value.shape, value.stride(),
                            value.data_ptr() % 16) for value in population))
    if _capturing(current.device):
        if call not in verdict.ran or (variant.gradients and (call, 'back') not in verdict.ran):
            return None
        return run(population, variant)
    dtypes = tuple(value.dtype for value in population)
    if not prove(variant, current.device, dtypes, function):
        return None
    result = run(population, variant, lambda: verdict.ran.add((call, 'back')))
    verdict.ran.add(call)
    return result


def prove(
    variant: Variant, device: torch.device, dtypes: tuple[torch.dtype, ...],
    function: SpikeGradient,
) -> bool:
    """Hold the kernels of ``variant`` against the plain path, once.

    Args:
        variant: What is to be run.
        device: Where.
        dtypes: Of current, membrane, beta and threshold.
        function: The surrogate that ``variant`` names.

    Returns:
        Whether they may be used; if not, Triton is now off and the user has been warned.
    """
    key = (variant, device, dtypes)
    if key in verdict.proven:
        return True
    with verdict.lock:
        if verdict.off is None and key not in verdict.proven:
            verdict.proving = True
            try:
                different = clash() or difference(variant, device, dtypes, function)
            except Exception as error:  # whatever it is, the robot goes on by the plain path
                different = f'{type(error).__name__}: {str(error).strip() or "no message"}'
            finally:
                verdict.proving = False
            if different is None:
                verdict.proven.add(key)
            else:
                verdict.off = different
                warnings.warn(
                    f'Triton LIF kernels: switched off in this process, the plain path runs '
                    f'instead (same results, slower). On {device} with {dtypes[0]} currents and '
                    f'surrogate {variant.surrogate.name!r}: {different}', RuntimeWarning)
    return verdict.off is None


def clash() -> str | None:
    """Why importing Triton now would crash this process; None if it would not.

    Only Linux tells. The simulator imports Triton before it draws (``sim.graphics``); other
    programs may draw first.
    """
    if 'triton' in sys.modules or find_spec('triton') is None:
        return None
    try:
        found = OTHER_LLVM.search(Path('/proc/self/maps').read_text())
    except OSError:
        return None
    return found and (f'{found[0]} is loaded already and does not bear the LLVM of Triton after '
                      f'it; import triton before anything that draws')


def difference(
    variant: Variant, device: torch.device, dtypes: tuple[torch.dtype, ...],
    function: SpikeGradient,
) -> str | None:
    """What differs between kernels and plain path on a small random case; None if nothing does.

    The case fills more than one tile and chunk, with ragged edges. The plain path gets it in
    single precision, so that results in half precision are one rounding away.
    """
    with torch.inference_mode(False), torch.set_grad_enabled(variant.gradients), torch.autocast(
            device.type, enabled=False):
        case = _case(variant, device, dtypes)
        clear = _clear_of_ties(case, variant.num_steps)
        got = _outcome(case, clear, variant, None)
        expected = _outcome(Population(*(value.float() for value in case)), clear, variant,
                            function)
    for name, value in expected.items():
        if name not in got:
            return f'{name}: none came'
        scale = float(value.abs().max()) + 1e-6
        apart = float((got[name].float() - value).abs().max()) / scale
        limit = max(1e-4, 4 * torch.finfo(got[name].dtype).eps)
        if not apart <= limit:  # NaN too
            return f'{name}: off by {apart:.2g} of its range, expected at most {limit:.2g}'
    return None


def _case(
    variant: Variant, device: torch.device, dtypes: tuple[torch.dtype, ...]
) -> Population:
    groups, rows, cols = 1 + variant.rates, variant.block_rows + 1, variant.block_cols + 16
    ticks = next(t for t in count(3) if t * variant.num_steps > CHUNK
                 and (t * variant.num_steps % CHUNK == 0) == variant.even)
    generator = torch.Generator('cpu').manual_seed(0)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device='cpu') * (high - low) + low

    values = (uniform(0, 0.8, ticks, groups, rows, cols), uniform(-1, 1, groups, rows, cols),
              uniform(0.5, 1, groups, cols), uniform(0.7, 1.3, groups, cols))
    return Population(*(value.to(device, dtype)
                        for value, dtype in zip(values, dtypes, strict=True)))


def _clear_of_ties(case: Population, num_steps: int) -> Tensor:
    """Neurons whose potential keeps away from the threshold at every step, ``[G, R, C]``."""
    current, potential, beta, threshold = (value.double() for value in case)
    beta, threshold = beta.unsqueeze(1), threshold.unsqueeze(1)
    nearest = (potential - threshold).abs()
    for drive in current:
        for _ in range(num_steps):
            potential = potential * beta + drive - (potential > threshold) * threshold
            nearest = torch.minimum(nearest, (potential - threshold).abs())
    return nearest > TIE


def _outcome(
    case: Population, clear: Tensor, variant: Variant, function: SpikeGradient | None
) -> dict[str, Tensor]:
    """Values and gradients by name: by kernel, or by the plain path with the surrogate given."""
    wanted = (True, True, variant.for_beta, variant.for_threshold)
    leaves = Population(*(value.detach().clone().requires_grad_(variant.gradients and want)
                          for value, want in zip(case, wanted, strict=True)))
    out, after = run(leaves, variant) if function is None else _plain(leaves, variant, function)
    found = {'spikes': out.detach() * clear, 'potential': after.detach() * clear}
    if not variant.gradients:
        return found
    # From -1 to 2 in 64ths: exact in half precision too, so that only the kernels round.
    weight = (torch.arange(out.numel(), device=out.device) % 193 - 64).view(out.shape) / 64
    ((out * weight * clear).sum() + (after * clear).sum()).backward()
    for name, leaf in zip(Population._fields, leaves, strict=True):
        if leaf.grad is not None:
            found[f'gradient of {name}'] = leaf.grad
    return found


def _plain(
    leaves: Population, variant: Variant, function: SpikeGradient
) -> tuple[Tensor, Tensor]:
    current, membrane, beta, threshold = leaves
    if variant.rates:
        return PLAIN['rates'](current, membrane, beta.unsqueeze(1), threshold.unsqueeze(1),
                              variant.num_steps, function)
    spikes, after = PLAIN['spikes'](current[:, 0].transpose(0, 1), membrane[0], beta[0],
                                    threshold[0], variant.num_steps, function)
    return spikes.transpose(0, 1).unsqueeze(1), after.unsqueeze(0)
