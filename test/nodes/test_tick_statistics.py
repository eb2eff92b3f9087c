from __future__ import annotations

import pytest

from liquidspike_ros.nodes.tick_statistics import TickStatistics, WINDOW


def test_percentiles_of_known_latencies():
    statistics = TickStatistics()
    for ms in range(1, 101):
        statistics.tick(ms / 1000, 0.002)
    found = statistics.percentiles()
    assert found['latency_p50'] == pytest.approx(0.0505)
    assert found['latency_p99'] == pytest.approx(0.09901)
    assert found['latency_max'] == 0.1
    assert found['inference_p99'] == pytest.approx(0.002)


def test_rate_counts_only_the_last_seconds():
    now = [0.0]
    statistics = TickStatistics(lambda: now[0])
    for _ in range(30):
        statistics.tick(None, 0.0)
        now[0] += 0.1
    assert statistics.rate(2.0) == pytest.approx(10.0, abs=0.5)
    now[0] += 10.0
    assert statistics.rate(2.0) == 0.0


def test_memory_is_bounded_and_no_latency_is_no_number():
    statistics = TickStatistics()
    for _ in range(3 * WINDOW):
        statistics.tick(None, 0.0)
    assert statistics.ticks == 3 * WINDOW
    assert len(statistics._busy) == WINDOW
    assert 'latency_p50' not in statistics.percentiles()
