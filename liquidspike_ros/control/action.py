"""What a policy gives each tick, in the model's units (±1 is full scale) and the command's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..robot import CommandSpec


@dataclass(frozen=True)
class TickResult:
    """What one tick gave.

    Attributes:
        action: Model output ``[A]``, ±1 is full scale; may hold NaN where ``finite`` is False.
        finite: Whether the output *and* the whole recurrent state are finite.
        info: With ``introspect``: weights, attention, spike rates … as numpy arrays.
    """

    action: NDArray[np.float64]
    finite: bool
    info: dict[str, Any] | None = None


def to_command(action: ArrayLike, spec: CommandSpec) -> NDArray[np.float64]:
    """Model output ``[…, A]`` to a command within the limits ``[…, A]``, m/s or rad/s for twists.

    NaN stays NaN (``np.clip`` passes it on), so that the safety gate sees it.

    Raises:
        ValueError: The last dimension is not the command's width.
    """
    values = _checked(action, spec)
    return np.clip(values * np.asarray(spec.scale), spec.lower, spec.upper)


def to_action(command: ArrayLike, spec: CommandSpec) -> NDArray[np.float64]:
    """Inverse of ``to_command`` for commands within the limits: labels for training.

    Raises:
        ValueError: The last dimension is not the command's width.
    """
    return _checked(command, spec) / np.asarray(spec.scale)


def _checked(values: ArrayLike, spec: CommandSpec) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim == 0 or array.shape[-1] != spec.width:
        raise ValueError(f'action: got shape {array.shape}, expected […, {spec.width}] for '
                         f'{", ".join(spec.names)}')
    return array
