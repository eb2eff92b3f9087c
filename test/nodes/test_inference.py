"""FAULTS rows 1, 2 and 3 with the threads as they are: steps that raise, hang, lag, give NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import threading
import time
from typing import Any

from builtin_interfaces.msg import Time
import numpy as np
import pytest

from liquidspike_ros.control.policy_runtime import TickResult
from liquidspike_ros.control.safety import SafetyGate
from liquidspike_ros.nodes.command_output import CommandOutput
from liquidspike_ros.nodes.inference import InferenceThread
from liquidspike_ros.nodes.tick_statistics import TickStatistics
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

SENSORS = ('camera', 'imu', 'lidar', 'audio')


class SteadyIntake:
    """Fifteen ticks a second."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard, self._due = heard, time.monotonic()

    def wait(self, timeout: float) -> Observation | None:
        now = time.monotonic()
        if now < self._due:
            time.sleep(min(timeout, self._due - now))
            return None
        self._due = now + 1 / 15
        self._heard()
        return Observation(stamp=time.time_ns(), dt=1 / 15, values={},
                           present=dict.fromkeys(SENSORS, True), age=dict.fromkeys(SENSORS, 0.01))

    def wake(self) -> None:
        pass


class Policy:
    """Steps as it is told."""

    def __init__(self) -> None:
        self.behave: Callable[[], TickResult] = lambda: TickResult(np.array([0.5, 0.1]), True)
        self.resets = 0

    def step(self, observation: Observation, introspect: bool = False) -> TickResult:
        return self.behave()

    def reset(self) -> None:
        self.resets += 1


class Rig:
    """Policy, gate and threads, with the commands in a list."""

    def __init__(self) -> None:
        self.policy, self.sent, self.errors = Policy(), [], []
        self.output = CommandOutput(SafetyGate(RobotSpec()), RobotSpec().command,
                                    lambda m: self.sent.append(m.linear.x), Time,
                                    lambda old, decision: None)
        self.statistics = TickStatistics()
        self.thread = InferenceThread(
            self.policy, SteadyIntake(self.hear), self.output,  # type: ignore[arg-type]
            now=time.time_ns, trigger='camera', statistics=self.statistics,
            report=lambda: None, on_error=self.errors.append)
        self.output.start()
        self.thread.start()
        self._alive = threading.Event()

    def hear(self) -> None:
        for sensor in SENSORS:
            self.output.sample(sensor, 0.0, False)

    def drive(self) -> None:
        wait_until(lambda: self.output.arm(0) == '')
        wait_until(lambda: len(self.sent) > 3 and self.sent[-1] > 0)

    def standing(self) -> bool:
        return len(self.sent) > 10 and not any(self.sent[-10:])

    def close(self) -> None:
        self.output.close()
        self.thread.close()


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_a_healthy_policy_drives_and_its_latency_is_noted(rig: Rig) -> None:
    rig.drive()
    assert rig.statistics.percentiles()['latency_p50'] >= 0.01


def test_a_step_that_raises_stops_the_robot_says_why_and_recovers(rig: Rig) -> None:
    rig.drive()

    def fail() -> TickResult:
        raise MemoryError('CUDA out of memory')

    healthy, rig.policy.behave = rig.policy.behave, fail
    wait_until(rig.standing)
    assert 'MemoryError: CUDA out of memory' in rig.errors
    assert rig.policy.resets > 0
    rig.policy.behave = healthy
    wait_until(lambda: rig.sent[-1] > 0)


def test_a_step_that_hangs_stops_the_robot(rig: Rig) -> None:
    rig.drive()
    released = threading.Event()

    def hang() -> TickResult:
        released.wait(30)
        return TickResult(np.array([1.0, 0.0]), True)

    rig.policy.behave = hang
    wait_until(rig.standing)
    assert rig.output.decision.reason.startswith('no ')
    released.set()


def test_nan_is_never_sent_and_three_latch_a_fault(rig: Rig) -> None:
    rig.drive()
    rig.policy.behave = lambda: TickResult(np.array([np.nan, 0.0]), False)
    wait_until(lambda: rig.output.decision.state == 'FAULT')
    wait_until(rig.standing)
    assert all(np.isfinite(rig.sent))
    rig.policy.behave = lambda: TickResult(np.array([0.5, 0.0]), True)
    time.sleep(0.5)
    assert rig.standing(), 'a FAULT stays until disarmed'
