"""What the policy sees at one control tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..untrusted.text import Refusal


class InvalidSample(Refusal):
    """A message cannot be used; the text says why (it becomes a diagnostic, in one line)."""


@dataclass(frozen=True)
class Sample:
    """One validated sensor sample.

    Attributes:
        stamp: Acquisition time, ns of ROS time; 0 where the message carries none.
        data: camera uint8 ``[H, W, 3]`` RGB; imu float32 ``[6]`` (rad/s, m/s²; NaN in a half that
            this message did not measure);
            lidar float32 ``[2, beams]`` (m, validity); audio float32 ``[C, n]`` in [−1, 1].
    """

    stamp: int
    data: NDArray[Any]


@dataclass(frozen=True)
class Observation:
    """Everything sensed up to one control tick. Arrays are read-only.

    Attributes:
        stamp: Tick time, ns of ROS time.
        dt: Time since the previous tick, s.
        values: Per sensor: camera uint8 ``[H, W, 3]``, imu float32 ``[6, window]``, lidar float32
            ``[2, beams]``, audio float32 ``[C, window]``. Zeros where not present.
        present: Per sensor, whether its data is fresh enough to act on.
        age: Per sensor, age of the newest sample at the tick, s (``inf`` if none ever came).
        clock_jumped: Whether the clock jumped since the previous tick.
        after_silence: Whether every sensor was silent for over a second since the previous tick.
    """

    stamp: int
    dt: float
    values: Mapping[str, NDArray[Any]]
    present: Mapping[str, bool]
    age: Mapping[str, float]
    clock_jumped: bool = False
    after_silence: bool = False

    @property
    def restarted(self) -> bool:
        """Whether the buffers were cleared, so that recurrent state must start afresh too."""
        return self.clock_jumped or self.after_silence

    def __post_init__(self) -> None:
        for value in self.values.values():
            value.setflags(write=False)

    def equals(self, other: Observation) -> bool:
        """Whether both hold bit-for-bit the same data."""
        return (
            (self.stamp, self.dt, self.clock_jumped, self.after_silence)
            == (other.stamp, other.dt, other.clock_jumped, other.after_silence)
            and dict(self.present) == dict(other.present)
            and dict(self.age) == dict(other.age)
            and self.values.keys() == other.values.keys()
            and all(np.array_equal(v, other.values[k]) for k, v in self.values.items())
        )
