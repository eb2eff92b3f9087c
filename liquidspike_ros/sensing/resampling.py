"""Irregular samples to a fixed window, so that nothing between two ticks is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def window_means(times: Array, values: Array, start: float, stop: float, count: int) -> Array:
    """Means over ``count`` equal cells of (start, stop] of the line through the samples.

    Means of the linear interpolation instead of points on it: every sample counts even where
    they outnumber the cells, and the sum over the cells keeps the integral (the angle turned, for
    a gyroscope). Outside the samples the nearest one is held.

    Args:
        times: Non-decreasing sample times ``[N]``, s.
        values: Samples ``[C, N]``.
        start: Start of the window, s.
        stop: End of the window, s; more than ``start``.
        count: Number of cells.

    Returns:
        ``[C, count]``.
    """
    times, values = _merge_equal_times(times, values)
    edges = np.linspace(start, stop, count + 1)
    inner = times[(times > start) & (times < stop)]
    knots = np.sort(np.concatenate((edges, inner)))
    # The line at all knots for all channels at once (np.interp takes one channel only).
    right = np.searchsorted(times, knots, side='left').clip(1, max(len(times) - 1, 1))
    right = np.minimum(right, len(times) - 1)
    left = np.maximum(right - 1, 0)
    span = times[right] - times[left]
    share = np.where(span > 0, (knots - times[left]) / np.where(span > 0, span, 1.0), 1.0)
    share = share.clip(0.0, 1.0)
    line = values[:, left] * (1.0 - share) + values[:, right] * share
    # Exact integral of a piecewise linear function: trapezoids between its knots.
    areas = 0.5 * (line[:, 1:] + line[:, :-1]) * np.diff(knots)
    total = np.concatenate((np.zeros((len(values), 1)), np.cumsum(areas, axis=1)), axis=1)
    at = np.searchsorted(knots, edges, side='left')
    means: Array = np.diff(total[:, at], axis=1) * (count / (stop - start))
    return means


def _merge_equal_times(times: Array, values: Array) -> tuple[Array, Array]:
    """Samples of one and the same time as their mean: a line has one value at a time."""
    new = np.concatenate(([True], np.diff(times) > 0))
    if new.all():
        return times, values
    first = np.flatnonzero(new)
    sizes = np.diff(np.append(first, len(times)))
    return times[first], np.add.reduceat(values, first, axis=1) / sizes


def change_rate(samples: NDArray[np.float32], source: int, target: int) -> NDArray[np.float32]:
    """PCM ``[C, n]`` from ``source`` Hz to ``target`` Hz, chunk by chunk.

    Down: means over the new sample's interval (a first-order low-pass, so high tones do not fold
    back undamped). Up: linear interpolation. Each chunk stands alone.
    """
    if source == target:
        return samples
    length = samples.shape[1]
    count = max(1, round(length * target / source))
    times = (np.arange(length) + 0.5) / length
    if target < source:
        means = window_means(times, samples.astype(np.float64), 0.0, 1.0, count)
        return means.astype(np.float32)
    wanted = (np.arange(count) + 0.5) / count
    return np.stack([np.interp(wanted, times, row) for row in samples]).astype(np.float32)
