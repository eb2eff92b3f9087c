"""FAULTS row 8 over real DDS: whatever ends the node, zero is the last it says."""

from __future__ import annotations

import signal
import time
from typing import Any

from dds_harness import FakeRobot, wait_for
import pytest

pytestmark = [pytest.mark.dds, pytest.mark.slow]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_a_signal_brings_zeros_then_exit_0(
        robot: FakeRobot, start_policy: Any, number: int) -> None:
    process = start_policy(auto_arm=True)
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
