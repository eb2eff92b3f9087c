from __future__ import annotations

import json
import math

import numpy as np
import pytest

from liquidspike_ros.demo.recording import Recording
from liquidspike_ros.demo.summary import episode_result, rate, summarise
from liquidspike_ros.sim.arena import sample_layout


def test_figures_of_a_drive(driven: Recording) -> None:
    summary = summarise(driven)
    assert summary['arrived'] is True
    assert summary['outcome'] == 'arrived'
    assert summary['command_rate_hz'] == pytest.approx(15.0, rel=1e-3)
    assert summary['real_time_factor'] == pytest.approx(1.0)
    assert summary['path_length_m'] == pytest.approx(driven.status['path_length'], abs=1e-3)
    latency = summary['latency_ms']
    assert latency['count'] == len(driven.ticks)
    assert latency['p50'] <= latency['p90'] <= latency['p99'] <= latency['max']


def test_summary_of_nothing_is_still_json() -> None:
    text = json.dumps(summarise(Recording(seed=1)), allow_nan=False)
    assert json.loads(text)['arrived'] is False
    assert json.loads(text)['command_rate_hz'] is None


def test_rate() -> None:
    assert rate([0, 100_000_000, 200_000_000]) == pytest.approx(10.0)
    assert math.isnan(rate([5]))


def test_only_the_sensors_say_what_was_seen(driven: Recording) -> None:
    result = episode_result(driven, sample_layout(driven.seed))
    assert len(result.trajectory) == len(result.heard) + 1 == len(result.seen) + 1
    assert result.seen.shape[1] == 3
    heard = result.heard[np.isfinite(result.heard)]
    assert len(heard)
    assert (np.abs(heard) <= math.pi / 2).all()
