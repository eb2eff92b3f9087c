"""Ctrl-C asks once, however often it is delivered, and insists when it is typed again."""

from __future__ import annotations

import signal

import pytest

from liquidspike_ros.training import interruption
from liquidspike_ros.training.interruption import BURST, Interruption


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(interruption.time, 'monotonic', lambda: now[0])
    return now


def test_a_signal_delivered_twice_is_one_request(clock: list[float]) -> None:
    notices: list[str] = []
    with Interruption(lambda: notices.append('seen')) as asked:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        clock[0] += BURST
        signal.raise_signal(signal.SIGINT)
        assert asked.requested
    assert notices == ['seen']


def test_a_signal_after_that_insists(clock: list[float]) -> None:
    with Interruption() as asked:
        signal.raise_signal(signal.SIGINT)
        clock[0] += BURST + 0.01
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert asked.requested


def test_afterwards_signals_go_where_they_went_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
