"""Reports of the nodes are read as if anybody could have made them."""

from __future__ import annotations

import json

from hypothesis import given, settings, strategies
import pytest

from liquidspike_ros.demo.reports import read_status, read_tick
from liquidspike_ros.sensing.observation import InvalidSample

TICK = {
    'stamp': 2_000_000_000, 'modalities': ['camera', 'sensors'], 'weights': [0.75, None],
    'attention': [[0.5, 0.5], [None, 1.0]], 'spikes': {'camera': [0.0, 1.0], 'sensors': [None]},
    'present': {'camera': True, 'imu': False}, 'age': {'camera': 0.5, 'imu': None},
    'state': 'ACTIVE'}
STATUS = {'outcome': '', 'time': 1.5, 'sim_time': 2.5, 'seed': 3}


def test_a_tick_is_read_by_the_names_of_the_sensors():
    time, tick = read_tick(json.dumps(TICK), 7)
    assert (time, tick.sent, tick.gate, tick.camera) == (2_000_000_000, 7, 'ACTIVE', 1_500_000_000)
    assert tick.weights == {'camera': 0.75, 'imu': 0.0}
    assert tick.attention is not None
    assert tick.attention.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert tick.spikes['imu'].tolist() == [0.0]
    assert tick.present == {'camera': True, 'imu': False}


def test_a_status_is_read():
    assert read_status(json.dumps(STATUS)) == STATUS


@pytest.mark.parametrize('text', [
    '', '[]', '{}', '{"stamp": 1}', '[' * 100_000, '{"stamp": 1e400}', 'x' * 2_000_000,
    '[' + '1,' * 200_000 + '1]', json.dumps(TICK | {'stamp': 'now'}),
    json.dumps(TICK | {'attention': [[1], [1, 2]]}), json.dumps(TICK | {'spikes': [1]}),
    json.dumps(TICK | {'weights': [1]}), json.dumps(TICK | {'modalities': [[1], 2]}),
    json.dumps(TICK | {'age': 3}), json.dumps(TICK | {'age': {'camera': 'old'}}),
], ids=range(15))
def test_anything_else_is_an_invalid_sample(text):
    for read in (lambda: read_tick(text, 0), lambda: read_status(text)):
        with pytest.raises(InvalidSample):
            read()


@settings(max_examples=200, deadline=None)
@given(name=strategies.sampled_from(sorted(TICK | STATUS)), value=strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=5)
    | strategies.floats(), lambda inner: strategies.lists(inner, max_size=3)
    | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3), max_leaves=8))
def test_any_value_in_any_place_is_read_or_an_invalid_sample(name, value):
    text = json.dumps(TICK | STATUS | {name: value})
    for read in (lambda: read_tick(text, 0), lambda: read_status(text)):
        try:
            read()
        except InvalidSample:
            continue
