from __future__ import annotations

import json

import numpy as np

from liquidspike_ros.control.policy_runtime import TickResult
from liquidspike_ros.control.safety import Decision
from liquidspike_ros.nodes.introspection import introspection_json
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation


def test_a_tick_as_json() -> None:
    sensors = ('camera', 'imu')
    observation = Observation(stamp=123, dt=0.07, values={}, present=dict.fromkeys(sensors, True),
                              age={'camera': 0.01, 'imu': float('inf')})
    heads = np.stack([np.eye(2), np.full((2, 2), 0.5)])[None]
    info = {'modalities': ('camera', 'sensors'), 'attention': heads,
            'weights': np.array([[0.25, 0.75]]), 'spike_rates': {'camera': np.array([[0.5, 0.0]])}}
    result = TickResult(np.array([np.nan, 0.123456]), False, info)
    decision = Decision(np.array([0.0, 0.2]), 'STOP', 'why', True)

    text = introspection_json(RobotSpec(), observation, result, decision, None)
    tick = json.loads(text, parse_constant=lambda name: 1 / 0)  # NaN and Infinity are no JSON

    assert tick['action'] == [None, 0.1235]
    assert tick['command'] == [0.0, 0.2]
    assert (tick['stamp'], tick['latency_s'], tick['state']) == (123, None, 'STOP')
    assert tick['attention'] == [[0.75, 0.25], [0.25, 0.75]]
    assert tick['weights'] == [0.25, 0.75]
    assert tick['spike_rates'] == {'camera': 0.25}
    assert tick['spikes'] == {'camera': [0.5, 0.0]}
    assert tick['age'] == {'camera': 0.01, 'imu': None}
