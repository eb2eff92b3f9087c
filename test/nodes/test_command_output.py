from __future__ import annotations

from collections.abc import Callable
import sys
import time
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
import pytest

from liquidspike_ros.control.policy_runtime import TickResult
from liquidspike_ros.control.safety import SafetyGate
from liquidspike_ros.nodes.command_output import CommandOutput, FAREWELL_DEADLINE
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

SENSORS = ('camera', 'imu', 'lidar', 'audio')


def seen(dt: float = 1 / 15) -> Observation:
    return Observation(stamp=0, dt=dt, values={}, present=dict.fromkeys(SENSORS, True),
                       age=dict.fromkeys(SENSORS, 0.0))


class Driver:
    """A gate that is fed like a healthy robot's, and what left it."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, float]] = []
        self.changes: list[str] = []
        self.motion: list[bool] = []
        self.fatal: list[str] = []
        self.publish = lambda m: self.sent.append((time.monotonic(), m.linear.x))
        self.gate = SafetyGate(RobotSpec())
        self.output = CommandOutput(
            self.gate, RobotSpec().command, lambda m: self.publish(m), Time,
            lambda old, decision: self.changes.append(f'{old}>{decision.state}'),
            on_motion=self.motion.append, on_fatal=self.fatal.append)

    def zeros(self, count: int = 10) -> bool:
        """Whether the last so many commands were zero."""
        return len(self.sent) >= count and not any(speed for _, speed in self.sent[-count:])

    def drive(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for sensor in SENSORS:
                self.output.sample(sensor, 0.0, False)
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


def test_motion_is_told_when_it_begins_and_ends(driver: Driver) -> None:
    driver.drive(0.1)
    assert driver.motion == []
    driver.output.arm(0)
    driver.drive(0.3)
    driver.output.close()
    assert driver.motion == [True, False]


def armed(driver: Driver) -> None:
    driver.drive(0.1)
    assert driver.output.arm(0) == ''
    driver.drive(0.3)
    assert driver.sent[-1][1] > 0.2


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError('injected')


def test_one_exception_in_the_watchdog_is_a_fault_and_the_zeros_go_on(driver: Driver) -> None:
    armed(driver)
    whole, calls = driver.gate.watchdog, []

    def once(now: float) -> Any:
        calls.append(now)
        return broken() if len(calls) == 1 else whole(now)

    driver.gate.watchdog = once  # type: ignore[method-assign]
    wait_until(driver.zeros)
    driver.drive(0.2)
    assert driver.zeros(), 'results must not drive it on'
    assert driver.output.decision.state == 'FAULT'
    assert driver.output.decision.reason == 'watchdog: RuntimeError: injected'
    assert len(calls) > 5, 'the watch goes on'

    driver.output.disarm()
    driver.drive(0.1)
    assert driver.output.arm(0) == ''
    driver.drive(0.2)
    assert driver.sent[-1][1] > 0, 'disarming clears it'


@pytest.mark.parametrize('parts', [['watchdog'], ['watchdog', 'disarm', 'deactivate', 'trip']])
def test_a_gate_that_fails_for_good_still_ends_in_zeros(driver: Driver, parts: list[str]) -> None:
    armed(driver)
    for part in parts:
        setattr(driver.gate, part, broken)
    wait_until(driver.zeros)
    driver.drive(0.1)
    assert driver.zeros()
    began = time.monotonic()
    driver.output.close()
    assert driver.zeros()
    assert time.monotonic() - began < 10 * FAREWELL_DEADLINE


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_an_end_of_the_watchdog_thread_is_noticed_by_others(driver: Driver) -> None:
    armed(driver)
    driver.output._watch_once = lambda: sys.exit()  # type: ignore[method-assign]
    driver.output._thread.join(5)
    driver.drive(0.1)
    assert driver.zeros(2)
    assert driver.fatal[0].startswith('watchdog: ended')
    assert driver.output.decision.state == 'FAULT'


def test_commands_that_cannot_be_sent_are_fatal(driver: Driver) -> None:
    armed(driver)
    driver.publish = broken
    wait_until(lambda: bool(driver.fatal))
    assert driver.fatal == ['commands cannot be sent: RuntimeError: injected']


def test_a_sender_that_hangs_does_not_keep_the_last_zero_from_leaving(driver: Driver) -> None:
    armed(driver)
    with driver.output._lock:  # as a thread in the middle of publishing holds it
        wait_until(lambda: bool(driver.output.check_watch()))
        assert driver.zeros(1)
        driver.output.close()
    assert driver.zeros(2)


def test_a_farewell_ends_however_slow_the_robot_brakes() -> None:
    driver = Driver()
    driver.output.start()
    armed(driver)
    driver.gate._limiter.stop = lambda current, elapsed: current  # type: ignore[method-assign]
    began = time.monotonic()
    driver.output.close()
    assert driver.sent[-1][1] == 0
    assert time.monotonic() - began < 10 * FAREWELL_DEADLINE  # it would never end
