from __future__ import annotations

import pytest

from liquidspike_ros.nodes.clock_guard import ClockGuard

S = 1_000_000_000


@pytest.mark.parametrize(('ros', 'steady', 'simulated', 'jumped'), [
    (0.01, 0.01, False, False),
    (5.0, 5.0, False, False),  # a long silence
    (5.0, 0.01, False, True),  # the clock was set
    (1.5, 0.6, False, False),  # slewed or rounded: less than a second apart
    (-5.0, 0.01, False, False),  # backward: the synchroniser sees that itself
    (5.0, 0.01, True, False),  # a simulator that runs fast
])
def test_forward_jumps_are_told_from_silence(ros, steady, simulated, jumped):
    now = [100 * S]
    guard = ClockGuard(lambda: simulated, lambda: now[0])
    assert not guard.jumped(1000 * S)
    now[0] += round(steady * S)
    assert guard.jumped(round((1000 + ros) * S)) is jumped
    assert not guard.jumped(round((1000 + ros) * S))
