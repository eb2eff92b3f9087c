"""One process per node: start, turn, stop on a signal, one-line errors, exit code."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
import gc
from pathlib import Path
import signal
import sys
import traceback
from typing import Any

import rclpy
from rclpy.context import Context

from ..untrusted import text
from .executors import make_executor, spin_until
from .ros_arguments import initialise, StartError, UsageError

__all__ = ['StartError', 'StopRequest', 'UsageError', 'one_line', 'run_contained', 'run_node']

LONGEST = 480
"""Characters of an error at most: a line that a log and a screen take whole."""



class StopRequest:
    """Set by SIGINT, SIGTERM or the node itself.

    Attributes:
        set: Whether the process is to end.
        code: Its exit code.
        error: Why, where ``code`` is not 0; one line.
    """

    def __init__(self) -> None:
        self.set, self.code, self.error = False, 0, ''

    def __call__(self, error: str = '', code: int = 1) -> None:
        """Ask the process to end; the first call counts.

        Args:
            error: Why; empty if all is well.
            code: Exit code if there is an error.
        """
        if not self.set:
            self.error, self.code, self.set = error, code if error else 0, True


def run_node(name: str, make: Callable[[Context, StopRequest], Any],
             args: Sequence[str] | None = None,
             executor: Callable[[Any], str] = lambda node: 'single') -> int:
    """Run one node until a signal or its own request; returns the exit code.

    Args:
        name: Shown before errors.
        make: Makes the node; it has ``close()`` to stop and release everything.
        args: Command line; ``sys.argv`` if none.
        executor: Kind of executor for the node made.
    """
    def turn(context: Context, stop: StopRequest) -> None:
        node = make(context, stop)
        try:
            turning = make_executor(executor(node), context)
            turning.add_node(node)
            spin_until(turning, lambda: stop.set)
        finally:
            node.close()
            node.destroy_node()

    return run_contained(name, turn, args)


def run_contained(name: str, work: Callable[[Context, StopRequest], None],
                  args: Sequence[str] | None = None, *, raising: bool = False) -> int:
    """A rclpy context around the life of a node; every error becomes one line and an exit code.

    rclpy's own signal handlers close the context at once, so nothing could be published any more;
    here a signal only sets the stop request, and the context lives until ``work`` ends.

    Args:
        name: Shown before errors.
        work: What the process is for.
        args: Command line; ``sys.argv`` if none.
        raising: The first signal also breaks off ``work``, which does not look at the request.

    Returns:
        The exit code: 0, 1 after an error, 2 for arguments that are wrong, 130 or 143 where a
        signal broke off ``work``.
    """
    # At exit Python looks through every object once more; with torch loaded that takes half a
    # second of a core, and launch grows impatient after five.
    atexit.register(gc.freeze)
    context, stop = Context(), StopRequest()

    def handle(number: int, frame: object) -> None:
        if raising and not stop.set:
            stop('interrupted', 128 + number)
            raise KeyboardInterrupt
        stop()

    handlers = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        initialise(context, sys.argv if args is None else args)
        work(context, stop)
    except UsageError as error:
        stop(f'{one_line(error)} (try: {name} --help)', 2)
    except Exception as error:
        stop(one_line(error))
    except KeyboardInterrupt:
        stop('interrupted', 128 + signal.SIGINT)
    finally:
        rclpy.try_shutdown(context=context)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if stop.error:
        print(f'{name}: error: {stop.error}', file=sys.stderr, flush=True)  # noqa: T201
    return stop.code


def one_line(error: BaseException) -> str:
    """What a user is told of an error: at most 480 characters without a line break.

    Errors that this package, ROS or the operating system word for their user stand as they are;
    any other is a fault of the program and also says its class and the place that raised it.
    """
    line = str(error).strip().removesuffix('^')  # rclpy points at the letter it means
    worded = isinstance(error, (StartError, ValueError, RuntimeError, OSError))
    if not worded and not type(error).__module__.startswith('rclpy'):
        places = traceback.extract_tb(error.__traceback__)
        where = f' ({Path(places[-1].filename).name}:{places[-1].lineno})' if places else ''
        line = f'{type(error).__name__}: {line}{where}'
    return text.one_line(line, LONGEST) or type(error).__name__
