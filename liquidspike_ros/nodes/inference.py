"""The inference thread: waits for a tick, steps the policy, hands the result to the gate."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import threading
import time

from ..control.policy_runtime import PolicyRuntime, TickResult
from ..control.safety import Decision
from ..sensing.observation import Observation
from ..untrusted.text import named
from .command_output import CommandOutput
from .intake import SensorIntake
from .tick_statistics import TickStatistics

POLL = 0.01
"""Longest sleep between two looks at the clock, s; a sample ends it at once."""

LEAVE = 0.4
"""Longest wait for a step in progress when the node goes, s."""

Report = Callable[[Observation, TickResult, Decision, 'float | None'], None]


class InferenceThread:
    """Runs the policy; a step that hangs or raises never holds up anything else.

    Args:
        runtime: Warm policy.
        intake: Where ticks come from.
        output: Where results go.
        now: ROS time, ns.
        trigger: Sensor whose age counts as latency.
        statistics: Where latencies are noted down.
        report: Called after publishing, or None to fetch no insight from the model.
        on_error: Called with one line when a step raised.
    """

    def __init__(self, runtime: PolicyRuntime, intake: SensorIntake, output: CommandOutput, *,
                 now: Callable[[], int], trigger: str, statistics: TickStatistics,
                 report: Callable[[], Report | None], on_error: Callable[[str], None]) -> None:
        self._runtime, self._intake, self._output = runtime, intake, output
        self._now, self._trigger, self._statistics = now, trigger, statistics
        self._report, self._on_error = report, on_error
        self._ending, self._reset = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)

    def start(self) -> None:
        """Begin to wait for ticks."""
        self._thread.start()

    def request_reset(self) -> None:
        """Start the recurrent state from rest at the next tick."""
        self._reset.set()

    def close(self) -> None:
        """End after the step in progress; a step that hangs is left behind."""
        self._ending.set()
        self._intake.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=LEAVE)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                observation = self._intake.wait(POLL)
                if observation is not None and not self._ending.is_set():
                    self._tick(observation)
            except Exception as error:  # out of memory, device lost …: the watchdog stops
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        with suppress(Exception):  # a device that is gone cannot be reset either
            self._on_error(named(error))
        with suppress(Exception):
            self._runtime.reset()

    def _tick(self, observation: Observation) -> None:
        if self._reset.is_set():
            self._reset.clear()
            self._runtime.reset()
        report = self._report()
        began = time.monotonic()
        result = self._runtime.step(observation, introspect=report is not None)
        busy = time.monotonic() - began
        if self._ending.is_set():
            return
        # ROS time may stand still meanwhile; the step took its time all the same.
        since_tick = max((self._now() - observation.stamp) / 1e9, time.monotonic() - began)
        decision = self._output.result(observation, result, since_tick)
        latency = self._latency(observation)
        self._statistics.tick(latency, busy)
        if report is not None:
            report(observation, result, decision, latency)

    def _latency(self, observation: Observation) -> float | None:
        """Stamp of the trigger sensor's newest sample to now, s."""
        if not observation.present.get(self._trigger, False):
            return None
        return (self._now() - observation.stamp) / 1e9 + observation.age[self._trigger]
