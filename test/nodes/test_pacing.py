from __future__ import annotations

import threading

import pytest

from liquidspike_ros.nodes.pacing import Follower, Pacer


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


def test_a_follower_takes_its_zero_and_its_pace_from_the_other_clock():
    ending = SteppedClock()
    half_pace = lambda: round(5e9 + (ending.now - 100.0) / 2 * 1e9)  # noqa: E731
    follower = Follower(half_pace)
    for step in range(201):
        follower.wait(step * 5_000_000, ending)
    assert follower.offset == 5_000_000_000
    assert ending.now == pytest.approx(102.0, abs=0.01)


@pytest.mark.parametrize('jump', [-3_000_000_000, 2_000_000_000])
def test_a_follower_goes_on_from_where_the_other_clock_jumped_to(jump: int):
    ending, moved = SteppedClock(), 0
    follower = Follower(lambda: round(5e9 + (ending.now - 100.0) * 1e9) + moved)
    for step in range(100):
        follower.wait(step * 10_000_000, ending)
    moved = jump
    for step in range(100, 200):
        follower.wait(step * 10_000_000, ending)
    assert follower.offset == pytest.approx(5_000_000_000 + jump, abs=20_000_000)
    assert ending.now == pytest.approx(102.0, abs=0.05)


def test_a_follower_without_a_clock_ends_when_it_is_asked_to():
    ending = threading.Event()
    threading.Timer(0.05, ending.set).start()
    follower = Follower(lambda: 0)
    assert follower.wait(0, ending) == ''
    assert follower.offset is None


def test_a_follower_that_is_too_slow_lets_time_go_rather_than_stamp_what_is_old():
    ending = SteppedClock()
    follower = Follower(lambda: round(5e9 + (ending.now - 100.0) * 1e9))
    for step in range(200):
        follower.wait(step * 5_000_000, ending)
        ending.now += 0.010  # twice as long as it has
        assert follower.offset is not None
        stamp = step * 5_000_000 + follower.offset
        assert 5e9 + (ending.now - 100.0) * 1e9 - stamp < 0.08e9
