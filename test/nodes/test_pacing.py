from __future__ import annotations

import threading

import pytest

from liquidspike_ros.nodes.pacing import Pacer


class SteppedClock(threading.Event):
    """A steady clock that sleeping moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


def test_a_thousand_steps_end_where_the_clock_says_although_each_takes_time():
    clock = SteppedClock()
    pacer = Pacer(1.0, clock)
    for step in range(1001):
        pacer.wait(step * 5_000_000, clock)
        clock.now += 0.002
    assert clock.now == pytest.approx(100.0 + 5.0 + 0.002)


def test_factor_two_takes_half_the_time():
    clock = SteppedClock()
    pacer = Pacer(2.0, clock)
    for step in range(101):
        pacer.wait(step * 10_000_000, clock)
    assert clock.now == pytest.approx(100.5)


def test_a_slow_simulation_says_its_factor_once_in_five_seconds():
    clock = SteppedClock()
    pacer = Pacer(1.0, clock)
    said = []
    for step in range(1200):
        said.append(pacer.wait(step * 5_000_000, clock))
        clock.now += 0.010
    complaints = [text for text in said if text]
    assert len(complaints) == 2
    assert 'factor 0.50, expected 1' in complaints[-1]


def test_lost_time_is_not_raced_after():
    clock = SteppedClock()
    pacer = Pacer(1.0, clock)
    pacer.wait(0, clock)
    clock.now += 3.0
    pacer.wait(5_000_000, clock)
    before = clock.now
    pacer.wait(105_000_000, clock)
    assert clock.now == pytest.approx(before + 0.1)
