from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from liquidspike_ros.control.action import to_action, to_command
from liquidspike_ros.robot import CommandSpec

SPEC = CommandSpec(lower=(-0.2, -2.0), upper=(0.6, 2.0))


def test_one_is_full_scale():
    assert to_command([1, 1], SPEC).tolist() == [0.6, 2.0]
    assert to_command([0.5, -0.25], SPEC).tolist() == [0.3, -0.5]


def test_a_command_is_within_its_limits():
    assert to_command([-1, 7], SPEC).tolist() == [-0.2, 2.0]


def test_nan_does_not_become_full_speed():
    assert np.isnan(to_command([math.nan, 0.0], SPEC)[0])


@given(st.floats(-0.2, 0.6), st.floats(-2, 2))
def test_labels_are_the_inverse_within_the_limits(v, w):
    assert np.allclose(to_command(to_action([v, w], SPEC), SPEC), [v, w])


def test_leading_dimensions():
    actions = np.zeros((4, 5, 2))
    assert to_command(actions, SPEC).shape == (4, 5, 2)


@pytest.mark.parametrize('wrong', [0.5, [1, 2, 3], np.zeros((2, 1))])
def test_another_width_is_refused(wrong):
    with pytest.raises(ValueError, match=r'expected \[…, 2\] for linear.x, angular.z'):
        to_command(wrong, SPEC)
