"""What the nodes of a demo say as JSON, read as if anybody could have said it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sensing.observation import InvalidSample
from ..untrusted.json_text import JsonRefusal, parse_json
from .recording import PolicyTick

SENSOR_OF = {'sensors': 'imu'}
"""Modalities of the model that are not called what the sensor is called."""
LONGEST, MOST_VALUES = 1 << 20, 100_000
"""Characters and values of a message that is looked at."""
STATUS: Mapping[str, type | tuple[type, ...]] = {
    'outcome': str, 'time': (int, float), 'sim_time': (int, float)}


def read_tick(text: str, sent: int) -> tuple[int, PolicyTick]:
    """One message of the policy's ``~/introspection``; modalities go by their sensor's name.

    Args:
        text: The message.
        sent: When it left the policy, ns of the system clock.

    Returns:
        The time of the tick, ns, and the tick.

    Raises:
        InvalidSample: It is no such report.
    """
    report = _object(text)
    try:
        return int(report['stamp']), _tick(report, sent)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidSample(f'introspection: got a report without usable {error}') from None


def _tick(report: dict[str, Any], sent: int) -> PolicyTick:
    names = [SENSOR_OF.get(name, name) for name in report['modalities']]
    attention, age = report['attention'], report['age'].get('camera')
    return PolicyTick(
        weights={name: float(weight or 0.0)
                 for name, weight in zip(names, report['weights'], strict=True)},
        attention=None if attention is None else np.nan_to_num(np.array(attention, np.float32)),
        spikes={SENSOR_OF.get(name, name): np.nan_to_num(np.array(rates, np.float32))
                for name, rates in report['spikes'].items()},
        present={str(name): bool(given) for name, given in report['present'].items()},
        gate=str(report['state']), sent=sent,
        camera=0 if age is None else int(report['stamp']) - round(float(age) * 1e9))


def read_status(text: str) -> dict[str, Any]:
    """One message of the simulator's ``~/status``.

    Raises:
        InvalidSample: It is no such report.
    """
    status = _object(text)
    for name, kind in STATUS.items():
        if not isinstance(status.get(name), kind):
            raise InvalidSample(f'status: got no usable {name}')
    return status


def _object(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise InvalidSample(f'got {len(text)} characters, expected at most {LONGEST}')
    try:
        report = parse_json(text, MOST_VALUES)
    except JsonRefusal as error:
        raise InvalidSample(str(error)) from None
    if not isinstance(report, dict):
        raise InvalidSample(f'got {type(report).__name__}, expected an object')
    return report
