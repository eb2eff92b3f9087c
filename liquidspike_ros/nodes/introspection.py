"""What the policy attended to in one tick, as JSON small enough for every tick."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..control.policy_runtime import TickResult
from ..control.safety import Decision
from ..robot import RobotSpec
from ..sensing.observation import Observation


def introspection_json(robot: RobotSpec, observation: Observation, result: TickResult,
                       decision: Decision, latency: float | None) -> str:
    """One tick as JSON.

    Keys: ``stamp`` (tick, ns of ROS time), ``latency_s`` (trigger sensor's stamp to publish),
    ``dt``, ``action`` ``[A]`` (model units), ``command`` ``[A]`` (as the gate left it), ``names``,
    ``state``, ``reason``, ``modalities`` (order of every M), ``weights`` ``[M]``, ``attention``
    ``[M][M]`` (mean of the heads, row: who attends) or null, ``spike_rates`` (mean per
    population), ``spikes`` (per population ``[units]``), ``present`` and ``age`` (s, null: never
    seen) per sensor.

    Args:
        robot: Names of the command.
        observation: What the tick saw.
        result: From ``PolicyRuntime.step(…, introspect=True)``.
        decision: What the gate made of it.
        latency: See above, s; None while the trigger sensor is masked.
    """
    info = result.info or {}
    spikes = {name: np.asarray(rate)[0] for name, rate in info.get('spike_rates', {}).items()}
    attention = info.get('attention')
    return json.dumps({
        'stamp': observation.stamp,
        'latency_s': None if latency is None else round(latency, 6),
        'dt': round(observation.dt, 6),
        'action': _numbers(result.action),
        'command': _numbers(decision.command),
        'names': list(robot.command.names),
        'state': decision.state,
        'reason': decision.reason,
        'modalities': list(info.get('modalities', ())),
        'weights': _numbers(np.asarray(info['weights'])[0]) if 'weights' in info else [],
        'attention': None if attention is None else [
            _numbers(row) for row in np.asarray(attention)[0].mean(axis=0)],
        'spike_rates': {name: round(float(rate.mean()), 4) for name, rate in spikes.items()},
        'spikes': {name: _numbers(rate) for name, rate in spikes.items()},
        'present': {name: bool(value) for name, value in observation.present.items()},
        'age': {name: round(age, 4) if math.isfinite(age) else None
                for name, age in observation.age.items()},
    })


def _numbers(values: Any) -> list[float | None]:
    """Finite numbers with four decimals; JSON has no NaN."""
    return [round(float(v), 4) if math.isfinite(float(v)) else None for v in np.ravel(values)]
