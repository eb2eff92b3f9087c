from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.sensing.rotations import OPTICAL, rotation_matrix


@pytest.mark.parametrize(('angles', 'x_becomes'), [
    ((1.0, 0, 0), (1, 0, 0)), ((0, math.pi / 2, 0), (0, 0, -1)), ((0, 0, math.pi / 2), (0, 1, 0)),
    ((1.0, math.pi / 2, math.pi / 2), (0, 0, -1)),  # pitch before yaw
])
def test_where_x_goes(angles, x_becomes):
    assert np.allclose(rotation_matrix(*angles) @ [1, 0, 0], x_becomes)


def test_a_rotation_keeps_lengths_and_handedness():
    matrix = rotation_matrix(0.3, -1.2, 2.5)
    assert np.allclose(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_angles_of_a_camera_turn_its_optical_frame():
    """REP 103: z forward, x right, y down is roll −90°, yaw −90° in a frame of x forward, z up."""
    matrix = rotation_matrix(*OPTICAL)
    assert np.allclose(matrix @ [1, 2, 3], [3, -1, -2])
