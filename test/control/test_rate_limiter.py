from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from liquidspike_ros.control.rate_limiter import RateLimiter
from liquidspike_ros.robot import CommandSpec

SPEC = CommandSpec(names=('linear.x',), lower=(-2.0,), upper=(2.0,), max_acceleration=(1.0,),
                   max_deceleration=(4.0,), stop_deceleration=(10.0,), safe=(0.0,))
LIMITER = RateLimiter(SPEC)
ARM = RateLimiter(CommandSpec(
    kind='float64_multi_array', names=('joint',), lower=(-2.0,), upper=(2.0,), safe=(1.0,),
    max_acceleration=(1.0,), max_deceleration=(4.0,), stop_deceleration=(10.0,)))


@pytest.mark.parametrize(('here', 'target', 'seconds', 'there'), [
    (0.0, 1.0, 0.1, 0.1),      # away from standstill: acceleration
    (0.0, -1.0, 0.1, -0.1),
    (0.5, 1.0, 0.1, 0.6),
    (0.5, 0.55, 0.1, 0.55),    # no overshoot
    (1.0, 0.0, 0.1, 0.6),      # towards it: deceleration
    (-1.0, -0.5, 0.1, -0.6),
    (1.0, 0.9, 0.1, 0.9),
    (1.0, -1.0, 0.1, 0.6),     # across it: brakes first …
    (0.2, -1.0, 0.1, -0.05),   # … and accelerates in the time that is left
    (0.2, -0.01, 0.1, -0.01),
    (0.0, 0.0, 0.1, 0.0),
    (0.7, 0.3, 0.0, 0.7),
])
def test_driving(here, target, seconds, there):
    got = LIMITER.drive(np.array([here]), np.array([target]), seconds)
    assert got[0] == pytest.approx(there)


def test_stop_ends_in_the_safe_value_from_both_sides():
    assert LIMITER.stop(np.array([1.0]), 0.05)[0] == pytest.approx(0.5)
    assert LIMITER.stop(np.array([-1.0]), 0.2)[0] == 0
    assert ARM.stop(np.array([-2.0]), 0.1)[0] == pytest.approx(-1.0)
    assert ARM.stop(np.array([2.0]), 9.0)[0] == 1.0


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 1))
def test_never_faster_than_allowed_and_never_past_the_target(here, target, seconds):
    for limiter, safe in ((LIMITER, 0.0), (ARM, 1.0)):
        got = limiter.drive(np.array([here]), np.array([target]), seconds)[0]
        assert min(here, target) - 1e-9 <= got <= max(here, target) + 1e-9
        assert abs(got - here) <= 4.0 * seconds + 1e-9
        if abs(got - safe) > abs(here - safe):
            assert abs(got - safe) - abs(here - safe) <= 1.0 * seconds + 1e-9


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_the_target_is_reached_in_the_time_it_takes(here, target):
    command = np.array([here])
    for _ in range(500):
        command = LIMITER.drive(command, np.array([target]), 0.01)
    assert command[0] == pytest.approx(target)
