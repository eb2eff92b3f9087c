"""The C code of single ticks on the CPU, and how it is found.

At a batch of one a tick in torch is a hundred and more operator calls that each cost more than what
they compute; the C code (``tick.c``) takes little longer than reading the weights once. So it is
with the preprocessors of a deployed policy (``senses.c``, ``sound.c``, ``efficient.c``), which
``modality_preprocessing.in_c`` calls. The code is built when the package is installed and needs no
header but C's own. Without a compiler, on processors it was not built for, or with
``LIQUIDSPIKE_NATIVE=0`` in the environment, ticks run in torch, with the same values up to
rounding.

``library`` opens the code, ``structures`` has its structures field by field, ``plain_memory`` says
which tensors it can read.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .library import find_library, Library

__all__ = ['Library', 'kernels', 'reason', 'takes']


@lru_cache(maxsize=1)
def _found() -> tuple[Library | None, str]:
    return find_library()


def kernels() -> Library | None:
    """The C code; None where it is not used, see ``reason``."""
    return _found()[0]


def reason() -> str:
    """Why ``kernels`` gives None; '' if it does not."""
    return _found()[1]


def takes(like: Tensor) -> bool:
    """Whether weights like this are for the C code: single precision, on the CPU."""
    return like.dtype is torch.float32 and like.is_cpu and kernels() is not None
