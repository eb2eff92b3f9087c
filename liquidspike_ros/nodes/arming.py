"""Why the robot may not be armed: every reason, with its figure and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math
from typing import Any

from ..control.safety import LISTENER, OUTSIDE
from ..robot import SensorSpec
from ..sensing.synchronizer import SensorHealth
from .topic_graph import Finding

LONGEST = 480
"""Characters of a refusal: one line that a terminal shows whole."""


@dataclass(frozen=True)
class ClockFacts:
    """What stamps are compared with.

    Attributes:
        simulated: Whether the node follows ``/clock`` (``use_sim_time``).
        published: Whether anybody publishes ``/clock``.
    """

    simulated: bool
    published: bool

    @classmethod
    def of(cls, node: Any) -> ClockFacts:
        """Look at a node's clock and at the graph."""
        return cls(bool(node.get_parameter('use_sim_time').value),
                   node.count_publishers(node.resolve_topic_name('/clock')) > 0)


@dataclass(frozen=True)
class Missing:
    """Why a sensor is not alive; empty, and false, if it is.

    Attributes:
        reason: What is wrong, with the figure.
        remedy: What to do about it, where that is known.
    """

    reason: str = ''
    remedy: str = ''

    def __bool__(self) -> bool:
        return bool(self.reason)

    def __str__(self) -> str:
        return f'{self.reason}; {self.remedy}' if self.remedy else self.reason


def why_not_alive(spec: SensorSpec, finding: Finding, health: SensorHealth, missing: str,
                  clock: ClockFacts) -> Missing:
    """Why a sensor is not alive. The same words go to the log, diagnostics and arming.

    Args:
        spec: The sensor.
        finding: What the graph shows of its topic.
        health: Counters of the synchroniser.
        missing: What the safety gate misses of it; '' if nothing.
        clock: What its stamps are compared with.
    """
    if not missing:  # what comes without fault may still mean something else
        return Missing(f'{finding.topic}: {health.finding}' if health.finding else '')
    if finding.blocked:
        return Missing('; '.join(finding.problems))
    if finding.usable == 0:
        return Missing(f'{finding.topic}: no publisher, expected {spec.type}')
    if not health.dropped or health.last_refusal < health.last_arrival:
        return Missing(f'{finding.topic}: {missing}')
    total = health.accepted + health.dropped
    return Missing(f'{finding.topic}: {health.dropped} of {total} refused: {health.last_reason}',
                   _remedy(health, clock))


def _remedy(health: SensorHealth, clock: ClockFacts) -> str:
    if not health.last_reason.startswith('stamp:') or math.isnan(health.lag):
        return ''
    if clock.published and not clock.simulated:
        return '/clock is published: set use_sim_time:=true'
    if clock.simulated and not clock.published:
        return 'use_sim_time is set, but nobody publishes /clock'
    if health.lag > 0:
        return 'synchronise the clocks, stamp with ROS time in the driver, or raise max_age'
    return 'synchronise the clocks'


def arming_refusal(sensors: Mapping[str, Missing], listeners: Finding, waived: frozenset[str],
                   sees: Callable[[str], bool]) -> str:
    """Why not to arm, in one line; '' if nothing speaks against it.

    Args:
        sensors: Of each enabled sensor, why it is not alive.
        listeners: Who takes the commands.
        waived: Names that need not be there.
        sees: Whether a sensor sees what the robot could run into.
    """
    dead = {name: why for name, why in sensors.items() if why and name not in waived}
    parts = [f'{name}: {why.reason}' for name, why in dead.items()]
    outside = [name for name in sensors if sees(name)]
    if not outside and OUTSIDE not in waived:
        parts.append(f'no enabled sensor sees what the robot could run into (waive: {OUTSIDE})')
    if LISTENER not in waived:
        parts += listeners.problems
        if not (listeners.usable or listeners.problems):
            parts.append(f'{listeners.topic}: nobody listens, expected a base (waive: {LISTENER})')
    if not parts:
        return ''
    remedies = dict.fromkeys(why.remedy for why in dead.values() if why.remedy)
    tail = ''.join(f'; {remedy}' for remedy in remedies)
    # What can be put right is not to be waived: it would count as optional while driving, too.
    waivable = [name for name, why in dead.items() if not why.remedy]
    if waivable:
        tail += f' (waive by name: safety.arm_without: [{", ".join(waivable)}])'
    return _shorten(parts, tail)


def _shorten(parts: list[str], tail: str) -> str:
    """All parts, each as long as there is room for."""
    room = LONGEST - len(tail)
    text = '; '.join(parts)
    if len(text) > room:
        each = room // len(parts) - 2
        text = '; '.join(part if len(part) <= each else part[:each - 1] + '…' for part in parts)
    return text + tail
