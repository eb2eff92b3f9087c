"""The last word on every command: what may leave, how fast it may change, and when to stop.

Pure: time is injected (seconds of a steady clock; ROS time stalls when a bag loops or a
simulator pauses), nothing sleeps, nothing is published. The node streams what ``Decision`` says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math
import threading

import numpy as np
from numpy.typing import NDArray

from ..robot import RobotSpec
from ..sensing.observation import Observation
from .action import TickResult, to_command
from .limits import RateLimiter

UNARMED = 'UNARMED'  # nothing is published; the policy may run to prove that it is healthy
ACTIVE = 'ACTIVE'  # the policy drives
CAPPED = 'CAPPED'  # it drives at reduced speed: an optional sensor is masked
WARN = 'WARN'  # it drives, but misses deadlines
STOP = 'STOP'  # braking or standing; drives again by itself once all is well
FAULT = 'FAULT'  # like STOP, until disarmed or reset
STATES = (UNARMED, ACTIVE, CAPPED, WARN, STOP, FAULT)

_DRIVING = (ACTIVE, CAPPED, WARN)


class SafetyError(ValueError):
    """A safety setting is out of range; the message names it."""


@dataclass(frozen=True, kw_only=True)
class SafetyConfig:
    """Limits of the gate; times in s of the steady clock.

    Attributes:
        watchdog: Longest time without a policy result; 0 for the larger of 0.1 s and 1.5 periods.
        silence_timeout: Longest time without a sample from any sensor; 0 for the larger of 0.1 s
            and two periods of the fastest sensor.
        optional_speed_cap: Share of the limits left while an optional sensor is masked.
        overload_share: Share of missed deadlines within ``overload_window`` that is too much.
        overload_window: How long deadlines are counted, and how long WARN lasts before STOP.
        fault_count: Results that are not finite within ``fault_window`` that latch FAULT.
        fault_window: See above.
        rearm_ticks: Healthy ticks after a clock jump before it drives again.
        allow_other_publishers: Whether arming is allowed with others on the command topic.
        quiet_after: How long zeros are streamed after disarming.
    """

    watchdog: float = 0.0
    silence_timeout: float = 0.0
    optional_speed_cap: float = 0.5
    overload_share: float = 0.2
    overload_window: float = 1.0
    fault_count: int = 3
    fault_window: float = 10.0
    rearm_ticks: int = 10
    allow_other_publishers: bool = False
    quiet_after: float = 0.2

    def __post_init__(self) -> None:
        for name, low, high in (
            ('watchdog', 0.0, 2.0), ('silence_timeout', 0.0, 2.0),
            ('optional_speed_cap', 0.0, 1.0), ('overload_share', 0.0, 1.0),
            ('overload_window', 0.1, 60.0), ('fault_count', 1, 1000),
            ('fault_window', 0.1, 3600.0), ('rearm_ticks', 0, 10000), ('quiet_after', 0.0, 5.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SafetyError(f'safety.{name}: got {value!r}, expected {low} to {high}')


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
        SafetyError: The watchdog is shorter than a control period.
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
        self._safe = np.asarray(robot.command.safe, np.float64)
        self._lower = np.asarray(robot.command.lower, np.float64)
        self._upper = np.asarray(robot.command.upper, np.float64)
        self._command = self._safe.copy()
        self._forget()

    def _forget(self) -> None:
        self._armed = False
        self._fault = ''
        self._disarmed_at = -math.inf
        self._called_at: float | None = None  # last decision: a STOP ramps from here
        self._driven_at: float | None = None  # last time the policy moved the command
        self._result_at: float | None = None
        self._sample_at: float | None = None
        self._target = self._safe
        self._verdict = 'no policy result yet'  # '' where the last result was fit to drive on
        self._capped = ''
        self._rearming = 0
        self._failures: deque[float] = deque(maxlen=self._config.fault_count)
        self._ticks: deque[tuple[float, int, int]] = deque(maxlen=100_000)
        self._overload_since: float | None = None

    @property
    def armed(self) -> bool:
        """Whether commands may leave."""
        return self._armed

    def on_sample(self, now: float) -> None:
        """A sample of any sensor was accepted."""
        with self._lock:
            self._sample_at = now

    def arm(self, now: float, *, other_publishers: int = 0) -> str:
        """Let the policy drive; returns why not, or ''.

        Refused unless the last policy result is recent, finite and made from fresh sensors, and
        deadlines are kept: the first ticks after a start often are not.

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
            refusal = (self._fault or self._lost(now) or self._verdict or self._waiting()
                       or self._overload())
            if refusal:
                return refusal
            self._armed = True
            self._command = self._safe.copy()
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

    def deactivate(self, now: float) -> Decision:
        """Zero at once, without a ramp: the last message before the node goes quiet."""
        with self._lock:
            self.reset()
            self._called_at = now
            return Decision(self._safe.copy(), UNARMED, 'deactivated', True)

    def reset(self) -> None:
        """As after construction."""
        with self._lock:
            self._forget()
            self._command = self._safe.copy()

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
            self._count_deadlines(now, obs.dt, latency)
            self._verdict = self._judge(now, obs, result)
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

    def _judge(self, now: float, obs: Observation, result: TickResult) -> str:
        """Why this result must not drive, or ''. NaN first: nothing else can be trusted then."""
        if not result.finite or not np.isfinite(result.action).all():
            self._failures.append(now)
            if (len(self._failures) == self._config.fault_count
                    and now - self._failures[0] <= self._config.fault_window):
                self._fault = (f'policy: {self._config.fault_count} results not finite within '
                               f'{self._config.fault_window:g} s; disarm to clear')
            return 'policy: output or state is not finite'
        masked = [name for name in self._robot.sensors if not obs.present[name]]
        self._capped = f'{", ".join(masked)} masked' if masked else ''
        required = [name for name in masked if self._robot.sensors[name].required]
        if required:
            return f'{required[0]}: required sensor masked (age {obs.age[required[0]]:.2f} s)'
        if len(masked) == len(self._robot.sensors):
            return 'all sensors masked'
        return ''

    def _limit(self, command: NDArray[np.float64]) -> NDArray[np.float64]:
        share = self._config.optional_speed_cap if self._capped else 1.0
        return np.clip(command, self._safe + share * (self._lower - self._safe),
                       self._safe + share * (self._upper - self._safe))

    def _count_deadlines(self, now: float, dt: float, latency: float) -> None:
        periods = max(round(dt / self._robot.period), 1)
        self._ticks.append((now, periods, periods - 1 + (latency > self._robot.period)))
        while self._ticks[0][0] <= now - self._config.overload_window:
            self._ticks.popleft()
        due = sum(tick[1] for tick in self._ticks)
        missed = sum(tick[2] for tick in self._ticks)
        if missed <= self._config.overload_share * due or missed < 2:
            self._overload_since = None
        elif self._overload_since is None:
            self._overload_since = now

    def _lost(self, now: float) -> str:
        """Which heartbeat is missing, or ''."""
        if self._sample_at is None or now - self._sample_at > self.silence_timeout:
            return f'no sample from any sensor for {self.silence_timeout:g} s'
        if self._result_at is None or now - self._result_at > self.watchdog_timeout:
            return f'no policy result for {self.watchdog_timeout:g} s'
        return ''

    def _waiting(self) -> str:
        return f'clock jumped: {self._rearming} healthy tick(s) to go' if self._rearming else ''

    def _overload(self) -> str:
        if self._overload_since is None:
            return ''
        return f'overload: more than {self._config.overload_share:.0%} of deadlines missed'

    def _judged_state(self, now: float) -> tuple[str, str]:
        if self._fault:
            return FAULT, self._fault
        reason = self._lost(now) or self._verdict or self._waiting()
        if not self._armed:
            return UNARMED, reason
        if reason:
            return STOP, reason
        if self._overload_since is not None:
            lasting = now - self._overload_since >= self._config.overload_window
            return STOP if lasting else WARN, self._overload()
        return (CAPPED, self._capped) if self._capped else (ACTIVE, '')

    def _decide(self, now: float, judged: tuple[str, str], fresh: bool) -> Decision:
        state, reason = judged
        elapsed = max(now - self._called_at, 0.0) if self._called_at is not None else 0.0
        self._called_at = now
        if state in _DRIVING:
            if fresh:
                since = now - (self._driven_at if self._driven_at is not None else now)
                # After a pause there is no long run-up to make good for.
                since = min(max(since, 0.0), self.watchdog_timeout)
                self._command = self._limiter.drive(self._command, self._target, since)
                self._driven_at = now
            return Decision(self._command.copy(), state, reason, fresh)
        self._command = self._limiter.stop(self._command, elapsed)
        self._driven_at = now
        moving = bool((self._command != self._safe).any())
        publish = (state == STOP or (state == FAULT and self._armed) or moving
                   or now - self._disarmed_at <= self._config.quiet_after)
        return Decision(self._command.copy(), state, reason, publish)
