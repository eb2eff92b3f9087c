"""The state of the policy as ``/diagnostics`` understands it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ..robot import SensorSpec
from ..sensing.synchronizer import SensorHealth
from .topic_graph import Finding

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)


def entry(name: str, hardware: str, level: bytes, message: str,
          values: Mapping[str, Any]) -> DiagnosticStatus:
    """One status; floats are written with four digits."""
    return DiagnosticStatus(
        name=name, hardware_id=hardware, level=level, message=message,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()])


def array(stamp: Any, entries: Iterable[DiagnosticStatus]) -> DiagnosticArray:
    """The message of ``/diagnostics``."""
    result = DiagnosticArray(status=list(entries))
    result.header.stamp = stamp
    return result


def sensor_entry(node: str, hardware: str, name: str, spec: SensorSpec, finding: Finding,
                 health: SensorHealth, rate: float, now: int, *, missing: str = '',
                 waived: bool = False, reliability: str = '') -> DiagnosticStatus:
    """One sensor: does it come, is it young, what was refused and why.

    Args:
        node: Node name.
        hardware: Robot name.
        name: Sensor name.
        spec: What was asked for.
        finding: What the graph shows of its topic.
        health: Counters of the synchroniser.
        rate: Accepted samples per second since the last report.
        now: ROS time, ns.
        missing: Why it is not alive, as arming says it; '' if it is, or nobody has asked.
        waived: Whether it need not be (``safety.arm_without``).
        reliability: With which QoS it is subscribed to.
    """
    age = (now - health.last_arrival) / 1e9 if health.last_arrival else math.inf
    level, message = _judge(spec, finding, health, age, rate, missing)
    if waived:
        level, message = max(level, WARN), f'waived by safety.arm_without; {message}'
    refused = '; '.join(f'{count} × {reason}' for reason, count in health.reasons.items())
    values = {
        'topic': finding.topic, 'type': spec.type, 'publishers': finding.usable,
        'reliability': reliability, 'required': spec.required, 'waived': waived,
        'rate': rate, 'age': age, 'lag': health.lag,
        'accepted': health.accepted, 'dropped': health.dropped,
        'overflows': health.overflows, 'zero_stamps': health.zero_stamps,
        'frozen': health.frozen, 'finding': health.finding, 'refused': refused,
        'last_reason': health.last_reason,
    }
    return entry(f'{node}: {name}', hardware, level, message, values)


def _judge(spec: SensorSpec, finding: Finding, health: SensorHealth, age: float,
           rate: float, missing: str) -> tuple[bytes, str]:
    lost = ERROR if spec.required else WARN
    if finding.problems:
        return ERROR, '; '.join(finding.problems)
    if missing and health.finding:
        return WARN, missing
    if missing:
        # Refused for its stamps, or for ever: a wrong set-up rather than a loss.
        return (ERROR if health.dropped and not health.accepted else lost), missing
    if finding.usable == 0:
        return lost, f'{finding.topic}: no publisher, expected {spec.type}'
    refused = f', refused: {health.last_reason}' if health.last_reason else ''
    if not health.accepted:
        return (ERROR if refused else lost), f'no usable sample yet{refused}'
    if age > spec.max_age:
        level = ERROR if 'future' in refused else lost  # two clocks that disagree, not a loss
        return level, f'silent for {age:.2f} s, masked after {spec.max_age:g} s{refused}'
    if health.frozen:
        return lost, 'frozen: the same payload keeps coming, masked'
    if rate < 0.8 * spec.rate:
        return WARN, f'{rate:.1f} Hz, expected {spec.rate:g} Hz{refused}'
    if finding.usable > 1:
        return WARN, (f'{finding.topic}: published by {" and ".join(finding.names)}, expected '
                      f'one; {rate:.1f} Hz')
    if health.zero_stamps:
        return WARN, f'{health.zero_stamps} stamps of zero, arrival time used instead'
    return OK, f'{rate:.1f} Hz'


def _text(value: Any) -> str:
    return f'{value:.4f}' if isinstance(value, float) else str(value)
