from __future__ import annotations

from collections.abc import Iterator

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from liquidspike_ros.nodes import executors
from liquidspike_ros.nodes.executors import make_executor, makes_progress


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(args=[], context=context)
    yield context
    rclpy.try_shutdown(context=context)


class Stuck:
    """An executor that never runs anything, as EventsExecutor.spin() in some builds."""

    def add_node(self, node: object) -> None:
        pass

    remove_node = add_node

    def spin_once(self, timeout_sec: float) -> None:
        pass


def test_a_working_executor_proves_itself(context: Context) -> None:
    assert makes_progress(SingleThreadedExecutor(context=context), context, timeout=10.0)


def test_a_stuck_one_does_not(context: Context) -> None:
    assert not makes_progress(Stuck(), context, timeout=0.05)


def test_auto_falls_back_where_events_is_stuck(
        context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, '_events_executor', lambda context: Stuck())
    assert isinstance(make_executor('auto', context), SingleThreadedExecutor)
    with pytest.raises(ValueError, match='no progress'):
        make_executor('events', context)


def test_auto_falls_back_where_events_is_not_there(
        context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, '_events_executor', lambda context: None)
    assert isinstance(make_executor('auto', context), SingleThreadedExecutor)


def test_an_unknown_kind_is_refused(context: Context) -> None:
    with pytest.raises(ValueError, match="got 'multi', expected auto, single or events"):
        make_executor('multi', context)
