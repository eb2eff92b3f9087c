"""A signal asks a node to end, and breaks off work that cannot look whether it was asked."""

from __future__ import annotations

import signal

import pytest

from liquidspike_ros.nodes.process import contained


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    with contained('it', []) as (_, stop):
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.set
    assert stop.code == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_off_a_block_that_does_not_look(
        number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    reached = []
    with contained('it', [], raising=True) as (_, stop):
        try:
            signal.raise_signal(number)
            reached.append('the next line')
        finally:
            signal.raise_signal(number)  # delivered twice, it does not disturb the tidying up
            reached.append('tidied up')
    assert reached == ['tidied up']
    assert stop.code == 1
    assert capsys.readouterr().err == 'it: error: interrupted\n'
