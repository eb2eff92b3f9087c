"""Ctrl-C before the work begins: the program ends at once, quietly, with status 130.

Loading torch, rclpy or MuJoCo takes seconds. A KeyboardInterrupt in there is a page of traceback
through other people's modules, or is swallowed by one that tries an import.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT


def leave(program: str, code: int = INTERRUPTED) -> None:
    """End the process with one line; nothing is loaded yet that would have to be tidied up."""
    os.write(2, f'{program}: interrupted\n'.encode())
    os._exit(code)


@contextmanager
def on_signals(handle: Callable[[int, FrameType | None], object], *numbers: int
               ) -> Iterator[None]:
    """Let ``handle`` take signals that nobody took before; then as it was.

    Signals that the parent process had ignored (a shell's background jobs) stay ignored. Outside
    the main thread, where Python delivers no signals, nothing happens.
    """
    free = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number, handler in before.items() if handler in free]
    if threading.current_thread() is not threading.main_thread():
        taken = []
    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


@contextmanager
def quiet_start(program: str) -> Iterator[None]:
    """SIGINT and SIGTERM end the process without a traceback while the block loads libraries."""
    with on_signals(lambda number, frame: leave(program, 128 + number),
                    signal.SIGINT, signal.SIGTERM):
        yield


@contextmanager
def quiet_loading(program: str, package: str) -> Iterator[None]:
    """SIGINT ends the process while ``package`` itself imports; else it is a KeyboardInterrupt.

    For a program whose commands import what they need when they are called: work that has begun
    is to be tidied up, and nobody but the commands imports before it has.

    Args:
        program: Name before the one line.
        package: Dotted name of the package with the commands.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if loads(package, frame):
            leave(program)
        signal.default_int_handler(number, frame)

    with on_signals(handle, signal.SIGINT):
        yield


def loads(package: str, frame: FrameType | None) -> bool:
    """Whether the code of ``package`` that runs in ``frame`` is at an import statement."""
    while frame is not None:
        caller = frame.f_back
        if (caller is not None and frame.f_code.co_filename.startswith('<frozen importlib')
                and f'{caller.f_globals.get("__name__", "")}.'.startswith(f'{package}.')):
            return True
        frame = caller
    return False


def end_interrupted() -> None:
    """End a program that was interrupted and has tidied up, past the interpreter's own end.

    A KeyboardInterrupt that came up through other people's C++ can make that end abort, and one
    that passed an ``exec`` of text makes it end by the signal instead of with a status.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


def leave_quietly(code: int) -> int:
    """The exit status, once a program is done: a late signal does not change it any more.

    Ctrl-C comes twice under ``ros2 launch``, from the terminal and from launch. The interpreter
    takes a second to go, and gives signals that it had handled back to the system meanwhile, which
    would end it with another status; what is ignored stays ignored. SIGTERM still ends it at once.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(code))
    sys.stdout.flush()
    return code
