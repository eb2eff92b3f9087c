"""Everything that leaves on the command topic, in one order, judged by the safety gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..control.policy_runtime import TickResult
from ..control.safety import Decision, FAULT, SafetyGate
from ..robot import CommandSpec
from ..sensing.observation import Observation
from ..untrusted.text import named, without_numbers
from .messages import command_message

STREAM_PERIOD = 0.01
"""Time between two looks of the watchdog, and between two commands of a STOP, s."""
FAREWELL = 0.2
"""How long zeros are sent before the node goes quiet, s."""
FAREWELL_DEADLINE = 1.2
"""Longest time from the order to stop until zeros are sent without a ramp, s."""
OVERDUE = 0.25
"""The watchdog counts as dead when it has not looked for this long, s."""
HOPELESS = 20
"""Messages in a row that could not be sent after which the process is to end."""
LOCK_PATIENCE = 0.3
"""How long the farewell waits for a thread that is in the middle of sending, s."""
_MOVES = 1e-3  # share of full scale below which a command is standstill


class CommandOutput:
    """Publishes what the gate decides.

    The inference thread brings results, a thread of its own keeps watch on the steady clock:
    ROS time stands still when a simulator pauses or a recording ends, exactly when somebody has
    to send zeros. One lock makes sure that no older command overtakes a STOP.

    Nothing may leave unwatched. An exception in the watchdog latches FAULT and zeros go on, past
    the gate if need be; a watchdog that does not look any more makes results stop the robot
    instead of moving it (``check_watch`` does so where there are none); and where zeros cannot be
    sent either, ``on_fatal`` is to end the process.

    Args:
        gate: Judge.
        spec: Kind of command.
        publish: Sends a message.
        stamp: Current ROS time as a message.
        on_change: Called with (old state, decision) when the gate's state changes.
        on_motion: Called with whether the robot is told to move, when that changes.
        on_fatal: Called with one line when commands are out of control.
    """

    def __init__(self, gate: SafetyGate, spec: CommandSpec, publish: Callable[[Any], None],
                 stamp: Callable[[], Any], on_change: Callable[[str, Decision], None], *,
                 on_motion: Callable[[bool], None] = lambda moving: None,
                 on_fatal: Callable[[str], None] = lambda reason: None) -> None:
        self.gate, self._spec = gate, spec
        self._publish, self._stamp, self._on_change = publish, stamp, on_change
        self._on_motion, self._on_fatal = on_motion, on_fatal
        self._rest = np.asarray(spec.rest, np.float64)
        self._still = _MOVES * np.asarray(spec.scale, np.float64)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._was_armed = self._moving = False
        self._sent: NDArray[np.float64] | None = None
        self._failed = ''  # latched here as well: the gate may be what fails
        self._unsent = 0
        self._looked: float | None = None
        self.decision = gate.watchdog(time.monotonic())
        self._thread = threading.Thread(target=self._watch, name='watchdog', daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._looked = time.monotonic()
        self._thread.start()

    def sample(self, sensor: str, age: float, frozen: bool) -> None:
        """A sample was accepted that is ``age`` seconds old."""
        self.gate.on_sample(time.monotonic(), sensor, age, frozen=frozen)

    def result(self, observation: Observation, result: TickResult, latency: float) -> Decision:
        """Hand in one policy result; it is published if the gate lets it.

        Args:
            observation: What it was made from.
            result: What the policy gave.
            latency: From tick to result, s.
        """
        if self.check_watch():
            return self.decision
        with self._lock:
            if self._failed or self._ending.is_set():  # nothing overtakes the farewell
                return self.decision
            return self._send(self.gate.on_result(time.monotonic(), observation, result,
                                                  latency=latency))

    def arm(self, other_publishers: int) -> str:
        """Let commands leave; returns why not, or ''."""
        if reason := self.check_watch() or self._failed:
            return reason
        with self._lock:
            refusal = self.gate.arm(time.monotonic(), other_publishers=other_publishers)
            if not refusal:
                self._was_armed = True
                self._send(self.gate.watchdog(time.monotonic()))
            return refusal

    def disarm(self) -> None:
        """Stop; zeros are streamed for a moment, then nothing leaves. Clears a FAULT."""
        with self._lock:
            self._failed = ''
            self._send(self.gate.disarm(time.monotonic()))

    def check_watch(self) -> str:
        """Stop the robot where nobody keeps watch; returns what is wrong, or ''.

        For callers on other threads: a dead watchdog cannot say that it is dead.
        """
        if self._looked is None or self._ending.is_set():
            return ''
        if self._thread.is_alive() and time.monotonic() - self._looked <= OVERDUE:
            return ''
        alive = self._thread.is_alive()
        reason = 'watchdog: late' if alive else 'watchdog: ended'
        with self._locked():
            self._stand(reason, latch=not alive)
        if not alive:
            self._on_fatal(f'{reason}, nobody would stop the robot')
        return reason

    def close(self) -> None:
        """Stop the robot, send zeros for 200 ms, the last one last, and end the watch.

        It has a deadline of its own and does not raise: whatever the gate, the ramp or another
        thread does meanwhile, zero is the last message.
        """
        deadline = time.monotonic() + FAREWELL_DEADLINE
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=LOCK_PATIENCE)
        if not self._was_armed:
            return
        with self._locked():
            try:
                self._send(self.gate.disarm(time.monotonic()))
                self._ramp(deadline)
                self._send(self.gate.deactivate(time.monotonic()))
            except Exception as error:
                for _ in range(2):  # one may be lost
                    self._stand(f'farewell: {named(error)}')
                    time.sleep(STREAM_PERIOD)

    def _ramp(self, deadline: float) -> None:
        """Down to rest under the limits, then zeros for a while."""
        end = time.monotonic() + FAREWELL
        while time.monotonic() < min(end, deadline):
            time.sleep(STREAM_PERIOD)
            decision = self._send(self.gate.watchdog(time.monotonic()))
            if self._spec.on_stop != 'hold' and (decision.command != self._rest).any():
                end = time.monotonic() + FAREWELL  # zeros count once it stands

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            due = max(due + STREAM_PERIOD, time.monotonic())
            self._watch_once()

    def _watch_once(self) -> None:
        with self._lock:
            try:
                self._send(self.gate.watchdog(time.monotonic()))
            except BaseException as error:  # whatever it is, the zeros go on
                self._stand(f'watchdog: {named(error)}')
        self._looked = time.monotonic()

    def _stand(self, reason: str, *, latch: bool = True) -> None:
        """Send what a STOP ends in, past everything that may have failed. The lock is held."""
        self._failed = self._failed or (reason if latch else '')
        try:
            decision = self.gate.trip(reason, latch=latch)
        except Exception:
            decision = Decision(self._rest.copy(), FAULT, reason, self._was_armed)
        before, self.decision = self.decision, decision
        command = self._sent if self._spec.on_stop == 'hold' else self._rest
        if self._was_armed and command is not None:
            try:
                self._transmit(command)
            except Exception as error:
                self._unsent += 1
                if self._unsent == HOPELESS:
                    self._on_fatal(f'commands cannot be sent: {named(error)}')
        if (before.state, before.reason) != (decision.state, decision.reason):
            with suppress(Exception):  # a log that fails must not keep zeros from leaving
                self._on_change(before.state, decision)

    def _send(self, decision: Decision) -> Decision:
        if decision.publish:
            self._transmit(decision.command)
        before, self.decision = self.decision, decision
        if decision.state != before.state or not same_but_for_numbers(
                decision.reason, before.reason):
            self._on_change(before.state, decision)
        return decision

    def _transmit(self, command: NDArray[np.float64]) -> None:
        self._publish(command_message(self._spec, command.tolist(), self._stamp()))
        self._unsent = 0
        origin = self._rest if self._spec.on_stop != 'hold' else (
            command if self._sent is None else self._sent)
        moving = bool((np.abs(command - origin) > self._still).any())
        self._sent = command
        if moving != self._moving:
            self._moving = moving
            self._on_motion(moving)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The lock, or soon no lock: a thread that hangs with it must not prevent zeros."""
        taken = self._lock.acquire(timeout=LOCK_PATIENCE)
        try:
            yield
        finally:
            if taken:
                self._lock.release()


def same_but_for_numbers(one: str, other: str) -> bool:
    """Whether two reasons are the same news: ages and countdowns in them change all the time."""
    return without_numbers(one) == without_numbers(other)
