"""The policy node's diagnostics: commands, inference and one entry per sensor."""

from __future__ import annotations

from collections.abc import Mapping
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node

from ..control.safety import ACTIVE, FAULT, LISTENER, STOP
from ..sensing.synchronizer import SensorHealth
from .arming import Missing
from .diagnostics import array, entry, ERROR, OK, sensor_entry, STALE, WARN
from .offered_qos import qos_text
from .policy_session import PolicySession
from .topic_graph import Finding, other_publishers

REPEATS, REPEAT_PERIOD = 5, 0.1
"""How often, and at what distance (s), a node that cannot start says so."""
LISTENING = 4.0
"""How long a node that cannot start looks for somebody who reads its diagnostics, s.

Two participants that miss each other's first announcements find each other at the next ones, which
Fast DDS sends every 3 s.
"""


class SensorRates:
    """Accepted samples per second between two reports."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}

    def update(self, health: dict[str, SensorHealth]) -> dict[str, float]:
        """Rates since the last call, by sensor; 0 at the first."""
        now = time.monotonic()
        rates = {}
        for name, state in health.items():
            then, count = self._last.get(name, (now, state.accepted))
            rates[name] = max(state.accepted - count, 0) / (now - then) if now > then else 0.0
            self._last[name] = (now, state.accepted)
        return rates


def refusal(node: Any, failure: str) -> DiagnosticArray:
    """The message of ``/diagnostics`` for a node that is not configured.

    Args:
        node: The node.
        failure: Why configuring it failed; empty if nobody has tried.
    """
    stamp, name = node.get_clock().now().to_msg(), node.get_fully_qualified_name().lstrip('/')
    level, message = (ERROR, f'not configured: {failure}') if failure else (STALE, 'not configured')
    return array(stamp, [entry(f'{name}: command', '', level, message, {'reason': failure})])


def report_refusal(node: Node, failure: str) -> None:
    """Say on ``/diagnostics`` why a node that is about to end cannot start.

    Waits for a moment until somebody listens, and until they have got it.
    """
    publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
    end = time.monotonic() + LISTENING
    while not publisher.get_subscription_count() and time.monotonic() < end:
        time.sleep(0.02)
    for _ in range(REPEATS):  # a listener is often found before it has found us
        publisher.publish(refusal(node, failure))
        time.sleep(REPEAT_PERIOD)
    publisher.wait_for_all_acked(Duration(seconds=LISTENING))


def policy_diagnostics(node: Any, session: PolicySession, rates: SensorRates,
                       findings: Mapping[str, Finding], missing: Mapping[str, Missing],
                       failure: str = '') -> DiagnosticArray:
    """The message of ``/diagnostics`` for the policy node as it stands.

    Args:
        node: The node.
        session: What it runs.
        rates: Keeps count between two reports.
        findings: What the graph shows of each sensor's topic.
        missing: Why each sensor is not alive; empty while inactive.
        failure: Why the last transition failed, if it did.
    """
    stamp, name = node.get_clock().now().to_msg(), node.get_fully_qualified_name().lstrip('/')
    robot = session.robot
    health = session.intake.health()
    measured = rates.update(health)
    now = node.get_clock().now().nanoseconds
    entries = [_command(node, name, session, failure), _inference(name, session)]
    for sensor, finding in findings.items():
        entries.append(sensor_entry(name, robot.name, sensor, robot.sensors[sensor], finding,
                                    health[sensor], measured[sensor], now,
                                    missing=str(missing.get(sensor, '')),
                                    waived=sensor in session.gate.waived,
                                    reliability=qos_text(session.intake.qos(sensor))))
    return array(stamp, entries)


def _command(node: Any, name: str, session: PolicySession, failure: str) -> Any:
    decision, robot = session.decision, session.robot
    others = other_publishers(node, robot.command.topic)
    level = {ACTIVE: OK, STOP: ERROR, FAULT: ERROR}.get(decision.state, WARN)
    message = f'{decision.state}: {decision.reason}' if decision.reason else decision.state
    if not session.active:
        level, message = (ERROR, f'inactive: {failure}') if failure else (WARN, 'inactive')
    if others and not session.options.safety.allow_other_publishers:
        level = ERROR
        message = (f'{node.resolve_topic_name(robot.command.topic)}: also published by '
                   f'{", ".join(others)}, expected nobody else; {message}')
    listeners, waived = session.listeners(), sorted(session.gate.waived)
    if LISTENER not in waived and not (listeners.usable and not listeners.problems):
        level = ERROR
        wrong = '; '.join(listeners.problems) or f'{listeners.topic}: nobody listens'
        message = f'{wrong}; {message}'
    if waived:
        message += f' (waived by safety.arm_without: {", ".join(waived)})'
    values = {
        'state': decision.state, 'reason': decision.reason, 'armed': session.gate.armed,
        'other_publishers': len(others), 'listeners': ', '.join(listeners.names),
        'waived': ', '.join(waived),
        **{f'command.{axis}': float(value)
           for axis, value in zip(robot.command.names, decision.command, strict=True)},
    }
    return entry(f'{name}: command', robot.name, level, message, values)


def _inference(name: str, session: PolicySession) -> Any:
    rate, nominal = session.statistics.rate(), session.robot.rate
    runtime = session.policy.runtime
    slow = session.active and rate < 0.8 * nominal
    message = f'{rate:.1f} Hz on {session.policy.device}'
    level = WARN if slow else OK
    values = {
        'rate': rate, 'expected_rate': nominal, 'ticks': session.statistics.ticks,
        'missed_deadlines': session.intake.missed, 'device': session.policy.device,
        'model': session.options.model, 'runtime': runtime.mode,
        'runtime_reason': runtime.reason, 'precision': runtime.precision,
        'precision_reason': runtime.precision_reason,
        'native': not runtime.native_reason, 'native_reason': runtime.native_reason,
        **session.statistics.percentiles(),
    }
    return entry(f'{name}: inference', session.robot.name, level, message, values)
