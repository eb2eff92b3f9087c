"""Roll, pitch and yaw as URDF and tf have them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Roll, pitch, yaw of a camera's optical frame (z ahead, x right, y down) in one of x ahead, z up.
OPTICAL = (-math.pi / 2, 0.0, -math.pi / 2)


def rotation_matrix(roll: float, pitch: float, yaw: float) -> NDArray[np.float64]:
    """Turns vectors of a frame into those of its parent, ``[3, 3]``: Rz(yaw)·Ry(pitch)·Rx(roll).

    Angles in rad about the fixed axes x, y, z of the parent, in this order (REP 103).
    """
    (cr, cp, cy), (sr, sp, sy) = (
        tuple(map(function, (roll, pitch, yaw))) for function in (math.cos, math.sin))
    return np.array([
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ])
