"""FAULTS row 8 over real DDS: whatever ends the node, zero is the last it says."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import time
from typing import Any

from dds_harness import DiagnosticsEar, FakeRobot, wait_for
import pytest

pytestmark = [pytest.mark.dds, pytest.mark.slow]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_a_signal_brings_zeros_then_exit_0(
        robot: FakeRobot, start_policy: Any, number: int) -> None:
    process = start_policy(auto_arm=True, fresh=True)
    wait_for(lambda: len(robot.commands) > 15 and not robot.commands[-1].is_zero, 'driving')

    moment = time.monotonic()
    assert process.signal(number) == 0
    time.sleep(0.3)
    last_words = robot.since(moment)
    assert last_words[-1].is_zero
    zeros = [command.time for command in last_words if command.is_zero]
    assert zeros[-1] - zeros[0] > 0.15, 'zeros are to be sent for 200 ms'
    assert 'Traceback' not in process.output


def test_unarmed_it_leaves_without_a_word(robot: FakeRobot, start_policy: Any) -> None:
    process = start_policy()
    wait_for(lambda: 'loaded and warm' in process.output, 'the node')
    time.sleep(1.0)
    assert process.signal() == 0
    assert not robot.commands


def test_a_watchdog_that_raises_is_a_fault_in_zeros(
        robot: FakeRobot, start_policy: Any, node: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """An exception in the watchdog once left the base at its last speed for good."""
    # Python runs a sitecustomize it finds; this one breaks the gate when a file appears.
    (tmp_path / 'sitecustomize.py').write_text(BREAKS_THE_WATCHDOG)
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}')
    monkeypatch.setenv('TEST_BREAK', str(tmp_path / 'now'))
    ear = DiagnosticsEar(node)
    process = start_policy(auto_arm=True, fresh=True)
    wait_for(lambda: len(robot.commands) > 15 and not robot.commands[-1].is_zero, 'driving')
    (tmp_path / 'now').touch()
    wait_for(lambda: 'FAULT: watchdog: RuntimeError: injected' in process.output, 'a FAULT')
    time.sleep(0.5)
    moment = time.monotonic()
    wait_for(lambda: len(robot.since(moment)) > 20, 'a stream of zeros')
    assert all(command.is_zero for command in robot.since(moment))
    wait_for(lambda: ear.value('policy: command', 'state') == 'FAULT', 'the same on diagnostics')
    assert process.signal() == 0
    time.sleep(0.3)
    assert robot.commands[-1].is_zero


BREAKS_THE_WATCHDOG = """
import os, sys, threading, time

def arrange():
    while 'liquidspike_ros.control.safety' not in sys.modules:
        time.sleep(0.05)
    time.sleep(1.0)
    gate = sys.modules['liquidspike_ros.control.safety'].SafetyGate
    whole = gate.watchdog

    def watchdog(self, now):
        order = os.environ['TEST_BREAK']
        if threading.current_thread().name == 'watchdog' and os.path.exists(order):
            os.remove(order)
            raise RuntimeError('injected')
        return whole(self, now)

    gate.watchdog = watchdog

threading.Thread(target=arrange, daemon=True).start()
"""
