"""A signal asks a node to end, breaks off work that cannot look, and every error is one line."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from rclpy.exceptions import InvalidTopicNameException

from liquidspike_ros.nodes.process import one_line, run_contained, StartError


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    seen = []

    def work(context: Any, stop: Any) -> None:
        signal.raise_signal(number)
        signal.raise_signal(number)
        seen.append(stop.set)

    assert run_contained('it', work, []) == 0
    assert seen == [True]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_off_work_that_does_not_look(
        number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    reached = []

    def work(context: Any, stop: Any) -> None:
        try:
            signal.raise_signal(number)
            reached.append('the next line')
        finally:
            signal.raise_signal(number)  # delivered twice, it does not disturb the tidying up
            reached.append('tidied up')

    assert run_contained('it', work, [], raising=True) == 128 + number
    assert reached == ['tidied up']
    assert capsys.readouterr().err == 'it: error: interrupted\n'


@pytest.mark.parametrize(('error', 'said'), [
    (StartError('model: got nothing'), 'model: got nothing'),
    (OSError(28, 'No space left on device'), '[Errno 28] No space left on device'),
    (RuntimeError('one\n  two'), 'one two'),
    (InvalidTopicNameException('a//b', "must not contain repeated '/'", 2),
     "Invalid topic name: must not contain repeated '/': 'a//b'"),
    (ValueError(), 'ValueError'),
])
def test_an_error_worded_for_the_user_stands_as_it_is(error: Exception, said: str) -> None:
    assert one_line(error) == said


def test_a_fault_of_the_program_says_its_class_and_place(
        capsys: pytest.CaptureFixture[str]) -> None:

    def work(context: Any, stop: Any) -> None:
        raise KeyError('wheel')

    assert run_contained('it', work, []) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("it: error: KeyError: 'wheel' (test_process.py:")


def test_a_line_stays_a_line() -> None:
    assert len(one_line(ValueError('x' * 10_000))) < 500
