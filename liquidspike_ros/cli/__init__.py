"""``liquidspike``: record, train, evaluate and show a policy; one module a command.

Commands: ``record``, ``train``, ``evaluate``, ``demo``, ``info`` (recordings by ``recordings``),
``export``, ``version``. Around them: ``program`` (parsing, one-line errors, exit codes),
``options`` (what several commands share), ``spelling`` (what was probably meant).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..interrupts import end_interrupted, INTERRUPTED, quiet_loading

__all__ = ['main']


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    with quiet_loading('liquidspike', __name__):
        from .program import run

        code = run(argv)
    if argv is None and code == INTERRUPTED:  # else somebody called who goes on
        end_interrupted()
    return code
