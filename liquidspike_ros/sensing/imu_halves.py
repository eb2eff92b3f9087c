"""Which halves of an IMU's samples were measured: accelerometer and gyroscope may come in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Halves:
    """Says of successive samples whether gyroscope and accelerometer were measured.

    A driver that sends them in turns marks the other half with ``covariance[0] = -1`` (NaN in a
    ``Sample``), and older ones with nothing but exact zeros. An accelerometer at exactly 0, 0, 0
    measured nothing, since gravity is always there. A gyroscope at rest does read exact zeros in a
    simulator without noise, so that zeros count unless a sample with nothing but angular velocity
    came within ``max_age`` before: then the driver sends in turns.
    """

    def __init__(self, max_age: int) -> None:
        """``max_age`` in ns."""
        self._max_age = max_age
        self._alone: int | None = None  # stamp of the last sample with angular velocity only

    def split(self, stamps: Sequence[int], values: Array) -> Array:
        """Whether measured, ``[2, N]`` (gyroscope, accelerometer).

        Args:
            stamps: Of the samples, ns, rising.
            values: Samples ``[6, N]``.
        """
        unknown = np.isnan(values[::3])
        # NaN is not zero, so that any() is true for it.
        turning, pushed = values[:3].any(axis=0), values[3:].any(axis=0)
        measured = np.stack((~unknown[0], ~unknown[1] & pushed))
        alone = measured[0] & turning & ~measured[1]
        doubtful = measured[0] & ~turning & measured[1]
        if alone.any() or (doubtful.any() and self._alone is not None):
            for i, stamp in enumerate(stamps):
                if alone[i]:
                    self._alone = stamp
                elif doubtful[i] and self._alone is not None:
                    measured[0, i] = stamp - self._alone > self._max_age
        return measured

    def forget(self) -> None:
        """As at the start."""
        self._alone = None
