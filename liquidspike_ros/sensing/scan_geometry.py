"""Where the rays of a ``sensor_msgs/LaserScan`` look, also where its fields disagree."""

from __future__ import annotations

import math
from typing import Any

from .fields import real
from .observation import InvalidSample

_TURN = 2 * math.pi
_SLACK = 2  # rays: whether angle_max is the last ray or the one after it, drivers do not agree


def _fits(span: float, step: float) -> bool:
    return 0 < span <= _TURN * 1.01 + _SLACK * step


def _closes(span: float, step: float) -> bool:
    """Whether rays over this span go once round."""
    return abs(span - _TURN) <= _TURN * 0.01 + _SLACK * step


def ray_angles(msg: Any, count: int) -> tuple[float, float]:
    """Angle of the first ray and from ray to ray, rad.

    ``angle_min``, ``angle_increment`` and the number of ranges say it all, and so do
    ``angle_min``, ``angle_max`` and the number. Where they differ one of them may be impossible
    (beyond a circle, of no width), or the first goes exactly once round and the second does not.

    Raises:
        InvalidSample: No step, no radians, more than a circle, or two readings that are possible.
    """
    start, increment = real(msg, 'angle_min'), real(msg, 'angle_increment')
    stop = float(msg.angle_max)
    if abs(increment) < 1e-7:
        raise InvalidSample(f'angle_increment: got {increment:g}, expected a non-zero step')
    if abs(start) > 100 or 100 < abs(stop) < math.inf:
        raise InvalidSample(f'angle_min, angle_max: got {start:g}, {stop:g}, expected radians')
    step, span = abs(increment), abs(increment) * count
    last = start + increment * (count - 1)
    if math.isfinite(stop) and _fits(span, step):
        forward = (stop - start) * increment >= 0
        # An angle_max on another turn, or within [−π, π] again, must be that of the last ray.
        if abs(last - stop) <= _SLACK * step or (
                abs(math.remainder(last - stop, _TURN)) <= (_SLACK if forward else 0.5) * step):
            return start, increment
    between = (stop - start) / max(count - 1, 1)
    by_stop = math.isfinite(stop) and count > 1 and _fits(abs(stop - start), abs(between))
    if by_stop and not _fits(span, step):
        return start, between
    if _fits(span, step) and (not by_stop or (
            _closes(span, step) and not _closes(abs(stop - start), abs(between)))):
        return start, increment
    raise InvalidSample(
        f'ranges: got {count} from angle_min {start:g} by angle_increment {increment:g} to '
        f'{last:g}, expected angle_max {stop:g} there and at most a full circle')
