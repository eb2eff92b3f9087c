"""A bar where there is a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

from liquidspike_ros.training.console import clock, Console, StepReport


def report(step):
    return StepReport(1, 2, step, 100, 0.125, 1e-3, 75.0)


def test_plain_lines_come_at_once_then_now_and_then():
    stream = io.StringIO()
    console = Console(stream, interval=3600)
    for step in range(1, 50):
        console.step(report(step))
    console.say('done')
    console.close()
    assert stream.getvalue().splitlines() == [
        'step 1/100 epoch 1/2 loss 0.1250 rate 1.0e-03 ETA 1:15', 'done']


def test_bar_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    console = Console(stream)
    for step in (1, 60, 100):
        console.step(report(step))
    console.close()
    assert '100%' in stream.getvalue()
    assert 'loss 0.1250' in stream.getvalue()
    assert 'ETA 1:15' in stream.getvalue()


def test_recordings_with_problems_are_always_told():
    stream = io.StringIO()
    console = Console(stream, interval=3600)
    for done in range(1, 9):
        console.recording(done, 8, f'bag {done}', problem=done == 5)
    assert stream.getvalue().splitlines() == ['[1/8] bag 1', '[5/8] bag 5', '[8/8] bag 8']


def test_clock():
    assert [clock(s) for s in (0, 59.6, 61, 3600, 7265)] == \
        ['0:00', '1:00', '1:01', '1:00:00', '2:01:05']
