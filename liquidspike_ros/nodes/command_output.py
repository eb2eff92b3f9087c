"""Everything that leaves on the command topic, in one order, judged by the safety gate."""

from __future__ import annotations

from collections.abc import Callable
import re
import threading
import time
from typing import Any

from ..control.policy_runtime import TickResult
from ..control.safety import Decision, SafetyGate
from ..robot import CommandSpec
from ..sensing.observation import Observation
from .messages import command_message

STREAM_PERIOD = 0.02
"""Time between two looks of the watchdog, and between two commands of a STOP, s."""
FAREWELL = 0.2
"""How long zeros are sent before the node goes quiet, s."""
_NUMBER = re.compile(r'[\d.]+')


class CommandOutput:
    """Publishes what the gate decides.

    The inference thread brings results, a thread of its own keeps watch on the steady clock:
    ROS time stands still when a simulator pauses or a recording ends, exactly when somebody has
    to send zeros. One lock makes sure that no older command overtakes a STOP.

    Args:
        gate: Judge.
        spec: Kind of command.
        publish: Sends a message.
        stamp: Current ROS time as a message.
        on_change: Called with (old state, decision) when the gate's state changes.
    """

    def __init__(self, gate: SafetyGate, spec: CommandSpec, publish: Callable[[Any], None],
                 stamp: Callable[[], Any], on_change: Callable[[str, Decision], None]) -> None:
        self.gate, self._spec = gate, spec
        self._publish, self._stamp, self._on_change = publish, stamp, on_change
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._was_armed = False
        self.decision = gate.watchdog(time.monotonic())
        self._thread = threading.Thread(target=self._watch, name='watchdog', daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def sample(self) -> None:
        """A sample of some sensor was accepted."""
        self.gate.on_sample(time.monotonic())

    def result(self, observation: Observation, result: TickResult, latency: float) -> Decision:
        """Hand in one policy result; it is published if the gate lets it.

        Args:
            observation: What it was made from.
            result: What the policy gave.
            latency: From tick to result, s.
        """
        with self._lock:
            return self._send(self.gate.on_result(time.monotonic(), observation, result,
                                                  latency=latency))

    def arm(self, other_publishers: int) -> str:
        """Let commands leave; returns why not, or ''."""
        with self._lock:
            refusal = self.gate.arm(time.monotonic(), other_publishers=other_publishers)
            if not refusal:
                self._was_armed = True
                self._send(self.gate.watchdog(time.monotonic()))
            return refusal

    def disarm(self) -> None:
        """Stop; zeros are streamed for a moment, then nothing leaves."""
        with self._lock:
            self._send(self.gate.disarm(time.monotonic()))

    def close(self) -> None:
        """Bring the robot to a stand, send zeros for 200 ms, the last one last; ends the watch."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)
        if not self._was_armed:
            return
        self.disarm()
        end = time.monotonic() + FAREWELL
        while time.monotonic() < end:
            time.sleep(STREAM_PERIOD)
            with self._lock:
                decision = self._send(self.gate.watchdog(time.monotonic()))
                if (decision.command != self._spec.safe).any():  # zeros count once it stands
                    end = time.monotonic() + FAREWELL
        with self._lock:
            self._send(self.gate.deactivate(time.monotonic()))

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due = max(due + STREAM_PERIOD, time.monotonic())
            with self._lock:
                self._send(self.gate.watchdog(time.monotonic()))

    def _send(self, decision: Decision) -> Decision:
        if decision.publish:
            self._publish(command_message(self._spec, decision.command.tolist(), self._stamp()))
        before, self.decision = self.decision, decision
        # Ages and countdowns in a reason change all the time; that is no news.
        news = [_NUMBER.sub('#', d.reason) for d in (before, decision)]
        if decision.state != before.state or news[0] != news[1]:
            self._on_change(before.state, decision)
        return decision
