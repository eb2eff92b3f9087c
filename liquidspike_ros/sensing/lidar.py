"""``sensor_msgs/LaserScan`` and ``PointCloud2`` -> float32 ``[2, beams]``: range (m), validity."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import LidarSpec
from .fields import converter, number_array, real, stamp_of
from .observation import InvalidSample, Sample
from .points import read_points

MAX_RAYS = 100_000
_EDGE = 1e-3  # of a beam: angles are float32, so a ray meant to lie on an edge may fall short

Array = NDArray[Any]


@functools.lru_cache(maxsize=16)
def _ray_of_beam(spec: LidarSpec, count: int, start: float, increment: float) -> Array:
    """Per beam, the ray that covers its centre ``[beams]``, −1 where none does (coarse scans)."""
    width = (spec.angle_max - spec.angle_min) / spec.beams
    centres = spec.angle_min + (np.arange(spec.beams) + 0.5) * width
    step = abs(increment)
    along = np.mod((centres - start) * math.copysign(1.0, increment) + step / 2, 2 * math.pi)
    ray = np.floor(along / step).astype(np.intp)
    return np.where(ray < count, ray, -1)


@functools.lru_cache(maxsize=16)
def _beam_of_ray(spec: LidarSpec, count: int, start: float, increment: float) -> Array:
    """Per ray, the beam it falls into ``[count]``; ``beams`` where it looks elsewhere."""
    return _beams_at(spec, start + np.arange(count) * increment)


def _beams_at(spec: LidarSpec, angles: Array) -> Array:
    width = (spec.angle_max - spec.angle_min) / spec.beams
    turn = 2 * math.pi / width
    beam = np.floor(np.mod((angles - spec.angle_min) / width + _EDGE, turn)).astype(np.intp)
    return np.where(beam < spec.beams, beam, spec.beams)


def _resample(spec: LidarSpec, ranges: Array, start: float, increment: float) -> Array:
    """Valid ranges (NaN elsewhere) ``[n]`` by angle into ``[beams]``: nearest obstacle wins."""
    width = (spec.angle_max - spec.angle_min) / spec.beams
    if abs(increment) > width * 1.0001:
        ray = _ray_of_beam(spec, ranges.size, start, increment)
        return np.where(ray >= 0, ranges[ray], np.float32(np.nan))
    beam = _beam_of_ray(spec, ranges.size, start, increment)
    nearest = np.full(spec.beams + 1, np.float32(np.inf))
    valid = ~np.isnan(ranges)
    np.minimum.at(nearest, beam[valid], ranges[valid])
    nearest[np.isinf(nearest)] = np.nan
    return nearest[:-1]


def _scan(ranges: Array) -> Array:
    """Ranges with NaN for invalid beams as ``[2, beams]``; invalid beams read zero."""
    valid = ~np.isnan(ranges)
    return np.stack((np.where(valid, ranges, 0.0), valid)).astype(np.float32)


def _clean(spec: LidarSpec, ranges: Array, low: float, high: float) -> Array:
    """REP 117: +Inf no return, −Inf too close, NaN or outside the scan's own limits invalid."""
    near, far = max(low, spec.range_min), min(high, spec.range_max)
    with np.errstate(invalid='ignore', over='ignore'):
        finite = (ranges >= low) & (ranges <= high) & (ranges >= spec.range_min)
        clean = np.where(finite, np.minimum(ranges, spec.range_max), np.nan)
    clean[ranges == np.inf] = max(far, spec.range_min)
    clean[ranges == -np.inf] = min(near, spec.range_max)
    return clean.astype(np.float32)


def _geometry(msg: Any, count: int) -> tuple[float, float]:
    start, stop = real(msg, 'angle_min'), real(msg, 'angle_max')
    increment = real(msg, 'angle_increment')
    if abs(increment) < 1e-7:
        raise InvalidSample(f'angle_increment: got {increment:g}, expected a non-zero step')
    if max(abs(start), abs(stop)) > 100:
        raise InvalidSample(f'angle_min, angle_max: got {start:g}, {stop:g}, expected radians')
    expected = (stop - start) / increment + 1
    if abs(count - expected) > 2:
        raise InvalidSample(f'ranges: got {count}, expected {expected:.0f} by angle_min, angle_max '
                            'and angle_increment')
    return start, increment


@converter
def convert_scan(msg: Any, spec: LidarSpec) -> Sample:
    """``sensor_msgs/msg/LaserScan`` -> float32 ``[2, spec.beams]`` by REP 117.

    No return reads the smaller of both maximum ranges, too close the larger of both minima;
    returns beyond ``spec.range_max`` read ``range_max``. Scans may start anywhere, turn either way
    and cover less than the circle: uncovered beams are invalid. Of several rays in a beam the
    nearest counts; a scan coarser than the beams gives each the ray that covers its centre.

    Raises:
        InvalidSample: Contradicting geometry, or no valid ray at all (the sensor is lost).
    """
    stamp = stamp_of(msg)
    ranges = number_array(msg.ranges, np.float32, 'ranges')
    if not 1 <= ranges.size <= MAX_RAYS:
        raise InvalidSample(f'ranges: got {ranges.size} values, expected 1 to {MAX_RAYS}')
    start, increment = _geometry(msg, ranges.size)
    low, high = float(msg.range_min), float(msg.range_max)
    if not 0 <= low < high:
        raise InvalidSample(f'range_min, range_max: got {low:g}, {high:g}, expected 0 <= min < max')
    beams = _resample(spec, _clean(spec, ranges, low, high), start, increment)
    if np.isnan(beams).all():
        raise InvalidSample(f'ranges: none of {ranges.size} is valid: sensor lost')
    return Sample(stamp, _scan(beams))


@converter
def convert_points(msg: Any, spec: LidarSpec) -> Sample:
    """``sensor_msgs/msg/PointCloud2`` between ``z_min`` and ``z_max``, seen from above as a scan.

    Heights are in the cloud's own frame. A beam without a point is a beam without a return, so a
    cloud without points is a valid view of nothing; a camera with a narrow view needs its
    ``angle_min`` and ``angle_max``.

    Raises:
        InvalidSample: No x, y or z field, or a layout that does not fit the data.
    """
    stamp = stamp_of(msg)
    x, y, z = read_points(msg)
    with np.errstate(over='ignore', invalid='ignore'):
        distance = np.hypot(x, y)
        # Comparisons with NaN are false: NaN points go, whatever is_dense says.
        keep = ((z >= spec.z_min) & (z <= spec.z_max) & (distance >= spec.range_min)
                & (distance <= spec.range_max))
    nearest = np.full(spec.beams + 1, np.float32(spec.range_max))
    np.minimum.at(nearest, _beams_at(spec, np.arctan2(y[keep], x[keep])), distance[keep])
    return Sample(stamp, _scan(nearest[:-1]))
