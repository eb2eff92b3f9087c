"""One process per node: start, turn, stop on a signal, one-line errors, exit code."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import gc
import os
import signal
import sys
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

from ..share import transport_environment
from .executors import make_executor, spin_until


class StartError(Exception):
    """The node cannot do its work; the text is one line for the person who started it."""


class StopRequest:
    """Set by SIGINT, SIGTERM or the node itself.

    Attributes:
        set: Whether the process is to end.
        code: Its exit code.
        error: Why, where ``code`` is not 0; one line.
    """

    def __init__(self) -> None:
        self.set, self.code, self.error = False, 0, ''

    def __call__(self, error: str = '') -> None:
        """Ask the process to end, with exit code 1 if there is an error; the first call counts."""
        if not self.set:
            self.error, self.code, self.set = error, int(bool(error)), True


def run_node(name: str, make: Callable[[Context, StopRequest], Any],
             args: Sequence[str] | None = None,
             executor: Callable[[Any], str] = lambda node: 'single') -> int:
    """Run one node until a signal or its own request; returns the exit code.

    Args:
        name: Shown before errors.
        make: Makes the node; it has ``close()`` for last words.
        args: Command line; ``sys.argv`` if none.
        executor: Kind of executor for the node made.
    """
    with contained(name, args) as (context, stop):
        node = make(context, stop)
        try:
            turning = make_executor(executor(node), context)
            turning.add_node(node)
            spin_until(turning, lambda: stop.set)
        finally:
            node.close()
            node.destroy_node()
    return stop.code


@contextmanager
def contained(name: str, args: Sequence[str] | None = None, *, raising: bool = False
              ) -> Iterator[tuple[Context, StopRequest]]:
    """A rclpy context around the life of a node; known errors become one line and exit code 1.

    rclpy's own signal handlers close the context at once, so nothing could be published any more;
    here a signal only sets the stop request, and the context lives until the block ends.

    Args:
        name: Shown before errors.
        args: Command line; ``sys.argv`` if none.
        raising: The first signal also breaks off the block, which does not look at the request.
    """
    # At exit Python looks through every object once more; with torch loaded that takes half a
    # second of a core, and launch grows impatient after five.
    atexit.register(gc.freeze)
    context, stop = Context(), StopRequest()

    def handle(*_: Any) -> None:
        if raising and not stop.set:
            stop('interrupted')
            raise KeyboardInterrupt
        stop()

    handlers = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        _init(context, args)
        yield context, stop
    except (StartError, ValueError, OSError) as error:
        stop(_one_line(error))
    except KeyboardInterrupt:
        stop('interrupted')
    finally:
        rclpy.try_shutdown(context=context)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if stop.error:
        print(f'{name}: error: {stop.error}', file=sys.stderr, flush=True)  # noqa: T201


def _init(context: Context, args: Sequence[str] | None) -> None:
    os.environ.update(transport_environment(os.environ))  # however this process was started
    try:
        rclpy.init(args=list(sys.argv if args is None else args), context=context,
                   signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # bad remaps, parameter files, a broken middleware: many classes
        raise StartError(f'ROS arguments: {_one_line(error)}') from None


def _one_line(error: BaseException) -> str:
    text = ' '.join(str(error).split())
    return text or type(error).__name__
