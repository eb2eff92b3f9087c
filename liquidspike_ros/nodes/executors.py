"""Which rclpy executor turns the callbacks, and the loop that turns it."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any, TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

if TYPE_CHECKING:
    from rclpy.context import Context

PROOF_TIMEOUT = 0.5
"""Longest time an executor may take to show one timer callback, s."""


def make_executor(kind: str, context: Context) -> Any:
    """An executor for ``kind``: 'single', 'events', or 'auto'.

    The multi-threaded one is no choice: at a few hundred messages a second it costs a core and
    drops most of them. The events executor takes a quarter of the time of the single-threaded one,
    but some builds of it make no progress, so 'auto' first sees it work.

    Raises:
        ValueError: ``kind`` is unknown, or 'events' is asked for and does not work here.
    """
    if kind == 'single':
        return SingleThreadedExecutor(context=context)
    if kind not in ('auto', 'events'):
        raise ValueError(f'executor: got {kind!r}, expected auto, single or events')
    executor = _events_executor(context)
    if executor is not None and makes_progress(executor, context):
        return executor
    if kind == 'events':
        raise ValueError("executor: 'events' makes no progress here, expected 'auto' or 'single'")
    return SingleThreadedExecutor(context=context)


def _events_executor(context: Context) -> Any | None:
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return None
    return EventsExecutor(context=context)


def makes_progress(executor: Any, context: Context, timeout: float = PROOF_TIMEOUT) -> bool:
    """Whether ``executor`` calls a timer back within ``timeout`` s."""
    calls: list[None] = []
    probe = Node('executor_probe', context=context, use_global_arguments=False,
                 start_parameter_services=False, enable_rosout=False)
    try:
        probe.create_timer(0.005, lambda: calls.append(None),
                           clock=Clock(clock_type=ClockType.STEADY_TIME))
        executor.add_node(probe)
        end = time.monotonic() + timeout
        while not calls and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.02)
        executor.remove_node(probe)
    finally:
        probe.destroy_node()
    return bool(calls)


def spin_until(executor: Any, stop: Callable[[], bool]) -> None:
    """Turn ``executor`` until ``stop`` says so, looked at every 50 ms.

    ``spin_once`` with a timeout, because ``EventsExecutor.spin()`` never returns control (nor runs
    anything) in some builds.
    """
    while not stop():
        executor.spin_once(timeout_sec=0.05)
