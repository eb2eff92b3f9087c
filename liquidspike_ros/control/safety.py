"""The last word on every command: what may leave, how fast it may change, and when to stop.

Pure: time is injected (seconds of a steady clock; ROS time stalls when a bag loops or a
simulator pauses), nothing sleeps, nothing is published. The node streams what ``Decision`` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import math
import threading

import numpy as np
from numpy.typing import NDArray

from ..robot import RobotSpec
from ..sensing.observation import Observation
from .action import TickResult, to_command
from .deadlines import Deadlines
from .rate_limiter import RateLimiter
from .safety_config import LISTENER, SafetyConfig, SafetyError
from .sensor_watch import OUTSIDE, SensorWatch

__all__ = [
    'ACTIVE',
    'CAPPED',
    'FAULT',
    'LISTENER',
    'OUTSIDE',
    'STATES',
    'STOP',
    'UNARMED',
    'WARN',
    'Decision',
    'SafetyConfig',
    'SafetyError',
    'SafetyGate',
]

UNARMED = 'UNARMED'  # nothing is published; the policy may run to prove that it is healthy
ACTIVE = 'ACTIVE'  # the policy drives
CAPPED = 'CAPPED'  # it drives slower: an optional sensor is masked, or a needed one is late
WARN = 'WARN'  # it drives, but misses deadlines
STOP = 'STOP'  # braking or standing; drives again by itself once all is well
FAULT = 'FAULT'  # like STOP, until disarmed or reset
STATES = (UNARMED, ACTIVE, CAPPED, WARN, STOP, FAULT)

_DRIVING = (ACTIVE, CAPPED, WARN)


@dataclass(frozen=True)
class Decision:
    """What to do now.

    Attributes:
        command: Physical command ``[A]``; always finite and within limits.
        state: One of ``STATES``.
        reason: Why it is not driving (freely); one line, empty while it is.
        publish: Whether to send ``command`` now. Driving, once for each policy result; stopping,
            at every call.
    """

    command: NDArray[np.float64]
    state: str
    reason: str
    publish: bool


class SafetyGate:
    """Judges every policy result and, between them, that results and samples keep coming.

    ``on_result`` is called for each policy result, ``watchdog`` at 50 Hz or more, ``on_sample`` for
    each accepted sample of any sensor. Methods may be called from different threads.

    Args:
        robot: Limits, rates and which sensors are required.
        config: Settings.

    Raises:
        SafetyError: The watchdog is shorter than a control period, or a waived name is unknown.
    """

    def __init__(self, robot: RobotSpec, config: SafetyConfig | None = None) -> None:
        self._robot = robot
        self._config = config = config or SafetyConfig()
        self.watchdog_timeout = config.watchdog or max(0.1, 1.5 * robot.period)
        if self.watchdog_timeout <= robot.period:
            raise SafetyError(f'safety.watchdog: got {self.watchdog_timeout:g}, expected more than '
                              f'a control period ({robot.period:.3f} s)')
        fastest = max(spec.rate for spec in robot.sensors.values())
        self.silence_timeout = config.silence_timeout or max(0.1, 2 / fastest)
        self._lock = threading.RLock()
        self._limiter = RateLimiter(robot.command)
        self._holds = robot.command.on_stop == 'hold'
        self._rest = np.asarray(robot.command.rest, np.float64)
        self._lower = np.asarray(robot.command.lower, np.float64)
        self._upper = np.asarray(robot.command.upper, np.float64)
        self._watch = SensorWatch(robot)
        self.waive(config.arm_without)
        self._forget()

    def _forget(self) -> None:
        self._armed = False
        self._fault = ''
        self._disarmed_at = -math.inf  # or, where it braked first, when it stood
        self._command = self._rest.copy()
        self._has_driven = False  # with on_stop: hold there is nothing to hold before
        self._called_at: float | None = None  # last decision: a STOP ramps from here
        self._driven_at: float | None = None  # last time the policy moved the command
        self._result_at: float | None = None
        self._sample_at: float | None = None
        self._target = self._rest
        self._verdict = 'no policy result yet'  # '' where the last result was fit to drive on
        self._masked: tuple[str, ...] = ()
        self._rearming = 0
        self._failures: deque[float] = deque(maxlen=self._config.fault_count)
        self._deadlines = Deadlines(self._robot.period, self._config.overload_share,
                                    self._config.overload_window)
        self._watch.forget()

    @property
    def armed(self) -> bool:
        """Whether commands may leave."""
        return self._armed

    @property
    def waived(self) -> frozenset[str]:
        """Names that need not be alive."""
        return self._watch.waived

    def waive(self, names: Iterable[str]) -> None:
        """Let these sensors be optional, and arm without them.

        Raises:
            SafetyError: A name is no sensor of the robot, nor ``outside`` or ``listener``.
        """
        known = (*self._robot.sensors, OUTSIDE, LISTENER)
        chosen = frozenset(name for name in names if name)
        for name in sorted(chosen.difference(known)):
            raise SafetyError(f'safety.arm_without: got {name!r}, expected some of '
                              f'{", ".join(known)}')
        with self._lock:
            self._watch.waived = chosen

    def lower_limits(self, lower: Sequence[float], upper: Sequence[float]) -> None:
        """Narrow the limits of the command from the next result on, ``[A]`` each, physical units.

        Raises:
            SafetyError: They reach beyond those of the robot, or leave out where a STOP ends.
        """
        low, high, command = np.asarray(lower, float), np.asarray(upper, float), self._robot.command
        if low.shape != high.shape or low.shape != (command.width,):
            raise SafetyError(f'command limits: got {low.size} and {high.size} numbers, expected '
                              f'{command.width} each')
        for i, name in enumerate(command.names):
            if not (command.lower[i] <= low[i] <= command.rest[i] <= high[i] <= command.upper[i]):
                raise SafetyError(
                    f'command limits of {name}: got {low[i]:g} to {high[i]:g}, expected them '
                    f'within {command.lower[i]:g} to {command.upper[i]:g}, around '
                    f'{command.rest[i]:g}')
        with self._lock:
            self._lower, self._upper = low, high
            self._target = self._limit(self._target)

    def on_sample(self, now: float, sensor: str, age: float = 0.0, *, frozen: bool = False) -> None:
        """A sample was accepted.

        Args:
            now: Steady time, s.
            sensor: Its name.
            age: Time since it was acquired, s.
            frozen: Whether it repeats a payload that should have changed by now.
        """
        with self._lock:
            self._sample_at = now
            self._watch.sample(now, sensor, age, frozen)

    def missing(self, now: float, sensor: str) -> str:
        """Why a sensor is not alive, with the figure; '' if it is."""
        with self._lock:
            return self._watch.missing(now, sensor)

    def arm(self, now: float, *, other_publishers: int = 0) -> str:
        """Let the policy drive; returns why not, or ''.

        Refused unless every sensor is alive or waived by name, the last policy result is recent,
        finite and made from fresh data, and deadlines are kept: the first ticks after a start
        often are not.

        Args:
            now: Steady time, s.
            other_publishers: How many others publish on the command topic.
        """
        with self._lock:
            if self._armed:
                return ''
            if other_publishers and not self._config.allow_other_publishers:
                return (f'{self._robot.command.topic}: {other_publishers} other publisher(s), '
                        'expected none; stop them or allow them')
            refusal = (self._fault or self._not_alive(now) or self._lost(now) or self._verdict
                       or self._waiting() or self._deadlines.missed)
            if refusal:
                return refusal
            self._armed, self._has_driven = True, False
            self._command = self._rest.copy()
            self._driven_at = self._called_at = now
            return ''

    def disarm(self, now: float) -> Decision:
        """Stop and let nothing leave any more; also clears a FAULT."""
        with self._lock:
            if self._armed:
                self._disarmed_at = now
            self._armed, self._fault = False, ''
            self._failures.clear()
            return self.watchdog(now)

    def trip(self, reason: str, *, latch: bool = True) -> Decision:
        """Something outside the policy failed: at rest at once, without a ramp.

        Args:
            reason: What failed.
            latch: FAULT until disarmed; else STOP until the next call.
        """
        with self._lock:
            self._command = self._last_words()
            if latch:
                self._fault = self._fault or reason
            state = FAULT if self._fault else STOP
            return Decision(self._command.copy(), state, self._fault or reason, self._armed)

    def deactivate(self, now: float) -> Decision:
        """At rest at once, without a ramp: the last message before the node goes quiet."""
        with self._lock:
            command, publish = self._last_words(), not self._holds or self._has_driven
            self.reset()
            self._called_at = now
            return Decision(command, UNARMED, 'deactivated', publish)

    def reset(self) -> None:
        """As after construction; waivers and lowered limits stay."""
        with self._lock:
            self._forget()

    def on_result(self, now: float, obs: Observation, result: TickResult, *,
                  latency: float = 0.0) -> Decision:
        """Judge one policy result.

        Args:
            now: Steady time, s.
            obs: What it was made from.
            result: What the policy gave.
            latency: From the tick to the result, s; more than a period is a missed deadline.
        """
        with self._lock:
            self._result_at = now
            self._deadlines.count(now, obs.dt, latency)
            self._verdict = self._judge(now, obs, result, latency)
            if obs.clock_jumped or (self._verdict and self._rearming):
                self._rearming = self._config.rearm_ticks  # healthy ticks count in a row
            elif self._rearming:
                self._rearming -= 1
            if not self._verdict:
                self._target = self._limit(to_command(result.action, self._robot.command))
            return self._decide(now, self._judged_state(now), fresh=True)

    def watchdog(self, now: float) -> Decision:
        """Call at 50 Hz or more: notices that results or samples stopped coming."""
        with self._lock:
            return self._decide(now, self._judged_state(now), fresh=False)

    def _judge(self, now: float, obs: Observation, result: TickResult, latency: float) -> str:
        """Why this result must not drive, or ''. NaN first: nothing else can be trusted then."""
        if not result.finite or not np.isfinite(result.action).all():
            self._failures.append(now)
            if (len(self._failures) == self._config.fault_count
                    and now - self._failures[0] <= self._config.fault_window):
                self._fault = (f'policy: {self._config.fault_count} results not finite within '
                               f'{self._config.fault_window:g} s; disarm to clear')
            return 'policy: output or state is not finite'
        specs = self._robot.sensors
        # What was fresh at the tick may have got too old while the policy was at work on it.
        self._masked = tuple(name for name, spec in specs.items() if not obs.present[name]
                             or obs.age[name] + latency > spec.max_age)
        for name in self._masked:
            if specs[name].required and name not in self.waived:
                return (f'{name}: required sensor masked (age {obs.age[name] + latency:.2f} s by '
                        f'the time of the result, max_age {specs[name].max_age:g} s)')
        if len(self._masked) == len(specs):
            return 'all sensors masked'
        return self._watch.lost(now, self._masked)

    def _limit(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        share = self._config.optional_speed_cap if self._masked else 1.0
        return np.clip(command, self._rest + share * (self._lower - self._rest),
                       self._rest + share * (self._upper - self._rest))

    def _not_alive(self, now: float) -> str:
        """Every sensor that has to be alive to arm and is not, with its reason; or ''."""
        reasons = {name: self._watch.missing(now, name) for name in self._robot.sensors
                   if name not in self.waived}
        return '; '.join(f'{name}: {reason}' for name, reason in reasons.items() if reason)

    def _lost(self, now: float) -> str:
        """Which heartbeat is missing, or ''."""
        if self._sample_at is None or now - self._sample_at > self.silence_timeout:
            return f'no sample from any sensor for {self.silence_timeout:g} s'
        if reason := self._watch.lost(now):
            return reason
        if self._result_at is None or now - self._result_at > self.watchdog_timeout:
            return f'no policy result for {self.watchdog_timeout:g} s'
        return ''

    def _waiting(self) -> str:
        return f'clock jumped: {self._rearming} healthy tick(s) to go' if self._rearming else ''

    def _judged_state(self, now: float) -> tuple[str, str]:
        if self._fault:
            return FAULT, self._fault
        reason = self._lost(now) or self._verdict or self._waiting()
        if not self._armed:
            return UNARMED, reason
        if reason:
            return STOP, reason
        if self._deadlines.since is not None:
            return STOP if self._deadlines.lasting(now) else WARN, self._deadlines.missed
        if self._masked:
            return CAPPED, f'{", ".join(self._masked)} masked'
        return ACTIVE, ''

    def _decide(self, now: float, judged: tuple[str, str], fresh: bool) -> Decision:
        state, reason = judged
        elapsed = max(now - self._called_at, 0.0) if self._called_at is not None else 0.0
        self._called_at = now
        if state in _DRIVING:
            return self._drive(now, state, reason, fresh, elapsed)
        if not self._armed and not self._holds and (self._command != self._rest).any():
            self._disarmed_at = now  # the zeros count once it stands
        self._command = self._limiter.stop(self._command, elapsed)
        self._driven_at = now
        publish = (state == STOP or (state == FAULT and self._armed)
                   or now - self._disarmed_at <= self._config.quiet_after)
        if self._holds and not self._has_driven:
            publish = False
        return Decision(self._command.copy(), state, reason, publish)

    def _drive(self, now: float, state: str, reason: str, fresh: bool, elapsed: float) -> Decision:
        braking = self._limiter.time_to_stop(self._command)
        if self._watch.time_left(now, braking) < 0 and not self._holds:
            # A needed sensor is late: brake while there is time, to stand when it is too old.
            self._command = self._limiter.stop(self._command, elapsed)
            self._driven_at = now
            late = 'slowing down: a required sensor is late'
            return Decision(self._command.copy(), CAPPED, reason or late, True)
        if fresh and self._holds and not self._has_driven:
            self._command = self._target.copy()
        elif fresh:
            since = now - (self._driven_at if self._driven_at is not None else now)
            # After a pause there is no long run-up to make good for.
            since = min(max(since, 0.0), self.watchdog_timeout)
            self._command = self._limiter.drive(self._command, self._target, since)
        if fresh:
            self._driven_at, self._has_driven = now, True
        return Decision(self._command.copy(), state, reason, fresh)

    def _last_words(self) -> NDArray[np.float64]:
        return self._command.copy() if self._holds else self._rest.copy()
