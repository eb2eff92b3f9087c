from __future__ import annotations

import io

from liquidspike_ros.demo.progress import describe, ProgressLine
from liquidspike_ros.demo.recording import Recording


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_line_says_where_the_drive_stands(driven: Recording) -> None:
    line = describe(driven)
    assert line.startswith('  2.9 s ')
    assert 'm to go' in line
    assert 'ACTIVE' in line
    assert '15.0 Hz' in line
    assert len(line) < 80


def test_nothing_yet_is_no_error() -> None:
    assert describe(Recording(seed=1)) == 'waiting for the first pose'


def test_before_the_first_command_rate_and_latency_are_dashes(driven: Recording) -> None:
    start = Recording(seed=driven.seed)
    start.poses.add(driven.poses.times[0], driven.poses.items[0])
    line = describe(start)
    assert line.endswith('   - Hz   - ms')
    assert 'nan' not in line


def test_a_terminal_gets_one_line_that_is_rewritten(driven: Recording) -> None:
    terminal = Terminal()
    with ProgressLine(terminal) as line:
        line.show(driven)
        line.show(driven)  # too soon to be read
        line.show(driven, last=True)
    written = terminal.getvalue()
    assert written.count('\r') == 2
    assert written.count('\n') == 1
    assert written.endswith('\n')


def test_a_log_file_gets_lines_of_their_own(driven: Recording) -> None:
    log = io.StringIO()
    with ProgressLine(log) as line:
        line.show(driven)
        line.show(driven, last=True)
    assert '\r' not in log.getvalue()
    assert log.getvalue().count('\n') == 2
