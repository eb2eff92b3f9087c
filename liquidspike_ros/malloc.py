"""Keep freed memory in the process instead of giving it back to the kernel.

A training step frees tensors of tens of megabytes and asks for them again, and so does a node with
every picture that arrives. glibc hands such blocks back at once, and page faults then cost more
than what is done with them.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_GIBIBYTE = 1 << 30


def keep_freed_memory() -> bool:
    """Let glibc reuse large freed blocks; whether the C library took the setting.

    The process keeps its peak memory until it ends. Without glibc nothing happens.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2 * _GIBIBYTE - 1), (_TOP_PAD, _GIBIBYTE // 8))
    taken = [mallopt(name, value) for name, value in settings]
    return all(answer == 1 for answer in taken)
