"""Finds and opens the C code that was built with the package."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
import platform
import sysconfig
from typing import Any, NamedTuple
import zlib

import torch

from . import structures

FOLDER = Path(__file__).parent
X86 = ('x86_64', 'AMD64')


class Library(NamedTuple):
    """The functions that its C code exports; each returns 0 unless memory ran out.

    Attributes:
        variant: What it was built for: ``'avx512'``, ``'avx2'`` or ``'plain'``.
        tick: Late, hybrid or hierarchical fusion.
        early_tick: Early fusion.
        image: A picture to features, by the 'simple' trunk.
        efficient_image: The same by the 'efficient' trunk.
        window: A window of scalar sensors, or a scan, to features.
        sound: Sound to features.
        policy: What all sensors measured to an action.
    """

    variant: str
    tick: Any
    early_tick: Any
    image: Any
    efficient_image: Any
    window: Any
    sound: Any
    policy: Any


def variant_for(capability: str, machine: str) -> str | None:
    """Which build a processor can run; None if there is none for it.

    Args:
        capability: What torch found the processor to be capable of.
        machine: Its family.
    """
    if machine not in X86:
        return 'plain'
    return {'AVX512': 'avx512', 'AVX2': 'avx2'}.get(capability)


def find_library() -> tuple[Library | None, str]:
    """The library for this processor, or None and why."""
    if os.environ.get('LIQUIDSPIKE_NATIVE', '1') == '0':
        return None, 'LIQUIDSPIKE_NATIVE=0 is set'
    capability, machine = torch.backends.cpu.get_cpu_capability(), platform.machine()
    variant = variant_for(capability, machine)
    if variant is None:
        return None, f'got a processor of kind {capability}, expected AVX2 or AVX512'
    path = FOLDER / f'_stages_{variant}{sysconfig.get_config_var("EXT_SUFFIX")}'
    if not path.exists():
        return None, f'{path.name} was not built; install again where there is a C compiler'
    try:
        return _opened(path, variant), ''
    except (OSError, AttributeError) as error:
        return None, f'{path.name}: {error}'


def _is_of_these_sources(checksum: int) -> bool:
    """Whether a library is of the sources in this folder, by setup.py's checksum.

    Where the package was installed there are none, and the library came with the rest.
    """
    sources = sorted(FOLDER.glob('*.[ch]'))
    return not sources or checksum == zlib.crc32(b''.join(path.read_bytes() for path in sources))


def _opened(path: Path, variant: str) -> Library:
    """Open a library and state the types of its functions.

    Raises:
        OSError: It cannot be loaded, or is not of this version of the package.
    """
    opened = ctypes.CDLL(str(path))
    pointer, count, number = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_float
    opened.liquidspike_sizes.restype = count
    opened.liquidspike_sources.restype = ctypes.c_uint32
    if (opened.liquidspike_sizes() != structures.sizes()
            or not _is_of_these_sources(opened.liquidspike_sources())):
        raise OSError('was built for another version of the package; install again')

    def function(name: str, *arguments: Any) -> Any:
        found = getattr(opened, f'liquidspike_{name}')
        found.argtypes, found.restype = arguments, ctypes.c_int
        return found

    given = [*[pointer] * 4, number, count]
    return Library(
        variant, function('tick', *given, *[pointer] * 5),
        function('early_tick', *given, *[pointer] * 4),
        function('image', pointer, pointer, *[count] * 6, pointer),
        function('efficient_image', pointer, pointer, *[count] * 6, pointer),
        function('window', pointer, pointer, count, count, pointer),
        function('sound', pointer, pointer, count, count, pointer),
        function('policy', pointer, pointer, pointer, number, count, pointer, pointer))
