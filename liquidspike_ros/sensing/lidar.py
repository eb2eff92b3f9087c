"""``sensor_msgs/LaserScan`` and ``PointCloud2`` -> float32 ``[2, beams]``: range (m), validity."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import LidarSpec
from .fields import converter, number_array, stamp_of
from .observation import InvalidSample, Sample
from .points import in_robot_axes, measured, read_points
from .scan_geometry import ray_angles

MAX_RAYS = 100_000
FARTHEST = 1000.0  # m; beyond it nothing on a robot measures, so that it is another unit
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


def _no_return(spec: LidarSpec, ranges: Array, high: float) -> Array:
    """Which rays say that nothing came back, by ``spec.no_return``."""
    says = ranges == np.inf  # REP 117, whatever else the driver does
    for name in spec.no_returns:
        if name == 'nan':
            says |= np.isnan(ranges)
        elif name == 'zero':
            says |= ranges == 0
        elif name == 'negative':
            says |= ranges < 0
        elif name == 'beyond_max':
            # A range_max beyond all reason says that the driver does not know it.
            limit = high if high < 100 * FARTHEST else FARTHEST
            says |= (ranges >= limit) & np.isfinite(ranges)
    return says


def _clean(spec: LidarSpec, ranges: Array, low: float, high: float) -> Array:
    """No return as the robot's ``range_max``, −Inf as too close (REP 117), invalid rays as NaN.

    Exactly zero is no distance, also where ``range_min`` is zero.
    """
    with np.errstate(invalid='ignore', over='ignore'):
        nothing = _no_return(spec, ranges, high)
        far = (ranges > FARTHEST) & (ranges <= high) & np.isfinite(ranges) & ~nothing
        if far.any():
            raise InvalidSample(
                f'ranges: got {ranges[far][0]:g} (range_max {high:g}), expected m: are they in mm? '
                'if that is how the driver says no return, set sensors.lidar.no_return: beyond_max')
        finite = ((ranges >= low) & (ranges <= high) & (ranges >= spec.range_min) & (ranges > 0))
        clean = np.where(finite, np.minimum(ranges, spec.range_max), np.nan)
        clean[ranges == -np.inf] = min(max(low, spec.range_min), spec.range_max)
        clean[nothing] = spec.range_max
    return clean.astype(np.float32)


def _lost(spec: LidarSpec, clean: Array, ranges: Array, high: float) -> InvalidSample:
    """Why no beam is valid, with the setting that would say otherwise."""
    if not np.isnan(clean).all():
        return InvalidSample(f'ranges: no valid ray of {ranges.size} between angle_min '
                             f'{spec.angle_min:g} and angle_max {spec.angle_max:g} of the robot')
    with np.errstate(invalid='ignore', over='ignore'):
        counts = {'nan': int(np.isnan(ranges).sum()), 'zero': int((ranges == 0).sum()),
                  'negative': int((ranges < 0).sum()), 'beyond_max': int((ranges > high).sum())}
    found = ', '.join(f'{count} {name}' for name, count in counts.items() if count)
    likely = max(counts, key=lambda name: counts[name])
    advice = (f'; if that is how the driver says no return, set sensors.lidar.no_return: {likely}'
              if counts[likely] else '')
    return InvalidSample(f'ranges: none of {ranges.size} is valid ({found or "all too near"}; '
                         f'range_max {high:g}): sensor lost{advice}')


@converter
def convert_scan(msg: Any, spec: LidarSpec) -> Sample:
    """``sensor_msgs/msg/LaserScan`` -> float32 ``[2, spec.beams]`` by REP 117.

    No return (+Inf, and what ``spec.no_return`` names) reads ``spec.range_max``, as do returns
    beyond it; too close reads the larger of both minimum ranges. Scans may start anywhere, turn
    either way and cover less than the circle: uncovered beams are invalid. Of several rays in a
    beam the nearest counts; a scan coarser than the beams gives each the ray that covers its
    centre.

    Raises:
        InvalidSample: Contradicting geometry, ranges in another unit than m, or no valid ray at
            all (the sensor is lost).
    """
    stamp = stamp_of(msg)
    ranges = number_array(msg.ranges, np.float32, 'ranges')
    if not 1 <= ranges.size <= MAX_RAYS:
        raise InvalidSample(f'ranges: got {ranges.size} values, expected 1 to {MAX_RAYS}')
    if any(spec.transform):
        raise InvalidSample('sensors.lidar.transform: got a pose, expected zeros for a LaserScan')
    start, increment = ray_angles(msg, ranges.size)
    low, high = float(msg.range_min), float(msg.range_max)
    if not 0 <= low < high:
        raise InvalidSample(f'range_min, range_max: got {low:g}, {high:g}, expected 0 <= min < max')
    clean = _clean(spec, ranges, low, high)
    beams = _resample(spec, clean, start, increment)
    if np.isnan(beams).all():
        raise _lost(spec, clean, ranges, high)
    return Sample(stamp, _scan(beams))


@converter
def convert_points(msg: Any, spec: LidarSpec) -> Sample:
    """``sensor_msgs/msg/PointCloud2`` between ``z_min`` and ``z_max``, seen from above as a scan.

    In the axes of the robot: those of the cloud's own frame, turned where that is a camera's
    optical one, or moved by ``spec.transform``. A beam without a point is a beam without a return,
    so a cloud of no points is a valid view of nothing; a camera with a narrow view needs its
    ``angle_min`` and ``angle_max``.

    Raises:
        InvalidSample: No x, y or z field, a layout that does not fit the data, or points of which
            none was measured (NaN, or 0, 0, 0): the sensor is lost.
    """
    stamp = stamp_of(msg)
    x, y, z = in_robot_axes(measured(read_points(msg)), msg, spec)
    with np.errstate(over='ignore', invalid='ignore'):
        distance = np.hypot(x, y)
        if distance.size and (far := (distance > FARTHEST).mean()) > 0.5:
            raise InvalidSample(f'data: {far:.0%} of the points are more than {FARTHEST:g} m away, '
                                'expected x, y, z in m: are they in mm?')
        keep = ((z >= spec.z_min) & (z <= spec.z_max) & (distance >= spec.range_min)
                & (distance <= spec.range_max))
    nearest = np.full(spec.beams + 1, np.float32(spec.range_max))
    np.minimum.at(nearest, _beams_at(spec, np.arctan2(y[keep], x[keep])), distance[keep])
    return Sample(stamp, _scan(nearest[:-1]))
