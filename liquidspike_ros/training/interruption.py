"""Ctrl-C during training: the first asks for a tidy end, the second insists."""

from __future__ import annotations

from collections.abc import Callable
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

BURST = 1.0
"""Signals this soon after the first, s, are the same request: a terminal or a supervisor signals
the whole process group, and `ros2 launch` passes on what it got itself."""


class Interruption:
    """Turns SIGINT and SIGTERM into a flag that is read between two training steps.

    May be entered again while it is entered. Outside the main thread, where Python delivers no
    signals, it only holds the flag.

    Args:
        notice: Called once, from the signal handler, when the first signal arrives.

    Attributes:
        notice: As given; may be set later.
        requested: Whether training should end; may also be set by hand (a node's stop service).
    """

    def __init__(self, notice: Callable[[], None] | None = None) -> None:
        self.requested = False
        self.notice = notice
        self._since = 0.0
        self._previous: dict[int, Any] = {}
        self._depth = 0

    def __enter__(self) -> Interruption:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            if time.monotonic() - self._since > BURST:
                raise KeyboardInterrupt
            return
        self.requested, self._since = True, time.monotonic()
        if self.notice:
            self.notice()
