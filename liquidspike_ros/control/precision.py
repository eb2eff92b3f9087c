"""Which precision a policy may run in: a lower one only where its actions stay the same."""

from __future__ import annotations

from typing import Any

import torch

from ..robot import RobotSpec
from .eager_step import EagerStep
from .rehearsal import compare, rehearsal

TOLERANCE = 1e-2  # of full scale: 1 % of the largest command
DTYPES = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}
PRECISIONS = ('auto', *DTYPES)


def choose_precision(asked: str, model: Any, robot: RobotSpec, device: torch.device
                     ) -> tuple[str, str]:
    """The precision to run in, and why it is another than was asked for, or ''.

    ``'auto'`` is float32 on the CPU and asks for bfloat16 on GPUs that have it. A lower precision
    drives a rehearsal beside float32, each on its own state; it is refused where any action is
    more than ``TOLERANCE`` apart.

    Args:
        asked: One of ``PRECISIONS``.
        model: The policy, on ``device``, that gives finite values.
        robot: The robot.
        device: Where the model is.
    """
    wanted = asked
    if asked == 'auto':
        capable = device.type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False)
        wanted = 'bfloat16' if capable else 'float32'
    dtype = DTYPES[wanted]
    if dtype is None:
        return wanted, ''
    try:
        gap = compare(EagerStep(model, robot, device), EagerStep(model, robot, device, dtype),
                      rehearsal(robot))
    except Exception as error:  # an operator that has no such precision on this device
        return 'float32', f'{wanted}: {one_line(error)}'
    if gap.action > TOLERANCE:
        return 'float32', (f'{wanted}: actions differ from float32 by up to {gap.action:.2g} of '
                           f'full scale, expected at most {TOLERANCE:g}')
    return wanted, ''


def one_line(error: BaseException) -> str:
    """An error as part of a message: the first one, where others came of it.

    A capture that is broken off fails once more when it is ended, and says less then.
    """
    while error.__context__ is not None and not error.__suppress_context__:
        error = error.__context__
    return f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
