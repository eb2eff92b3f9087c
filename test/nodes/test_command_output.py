from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
import pytest

from liquidspike_ros.control.policy_runtime import TickResult
from liquidspike_ros.control.safety import SafetyGate
from liquidspike_ros.nodes.command_output import CommandOutput
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation


def seen(dt: float = 1 / 15) -> Observation:
    sensors = ('camera', 'imu', 'lidar', 'audio')
    return Observation(stamp=0, dt=dt, values={}, present=dict.fromkeys(sensors, True),
                       age=dict.fromkeys(sensors, 0.0))


class Driver:
    """A gate that is fed like a healthy robot's, and what left it."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, float]] = []
        self.changes: list[str] = []
        self.output = CommandOutput(
            SafetyGate(RobotSpec()), RobotSpec().command,
            lambda m: self.sent.append((time.monotonic(), m.linear.x)), Time,
            lambda old, decision: self.changes.append(f'{old}>{decision.state}'))

    def drive(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.output.sample()
            self.output.result(seen(), TickResult(np.array([0.5, 0.0]), True), 0.0)
            time.sleep(0.02)


@pytest.fixture
def driver() -> Any:
    driver = Driver()
    driver.output.start()
    yield driver
    driver.output.close()


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_unarmed_nothing_leaves_not_even_at_the_end(driver: Driver) -> None:
    driver.drive(0.3)
    driver.output.close()
    assert driver.sent == []


def test_armed_it_drives_within_the_limits_and_ends_with_200_ms_of_zeros(driver: Driver) -> None:
    driver.drive(0.1)
    assert driver.output.arm(0) == ''
    driver.drive(0.5)
    assert max(speed for _, speed in driver.sent) == pytest.approx(0.3)
    driver.output.close()
    zeros = [moment for moment, speed in driver.sent if speed == 0.0 and moment > driver.sent[5][0]]
    assert driver.sent[-1][1] == 0.0
    assert zeros[-1] - zeros[0] > 0.15

    count = len(driver.sent)
    driver.output.result(seen(), TickResult(np.array([1.0, 0.0]), True), 0.0)
    assert len(driver.sent) == count, 'a result that comes after the end must not leave'


def test_silence_streams_zeros_from_the_watchdogs_own_thread(driver: Driver) -> None:
    driver.drive(0.1)
    driver.output.arm(0)
    driver.drive(0.2)
    wait_until(lambda: sum(speed == 0.0 for _, speed in driver.sent[-10:]) == 10)
    assert driver.output.decision.state == 'STOP'


def test_a_change_is_told_once_however_the_numbers_in_its_reason_change(driver: Driver) -> None:
    driver.drive(0.1)
    driver.output.arm(0)
    driver.drive(0.2)
    driver.changes.clear()
    time.sleep(0.5)
    assert len([change for change in driver.changes if change.endswith('>STOP')]) <= 2


def test_refused_arming_says_why_and_sends_nothing(driver: Driver) -> None:
    assert 'no sample' in driver.output.arm(0)
    driver.drive(0.1)
    assert 'other publisher' in driver.output.arm(1)
    assert driver.sent == []
