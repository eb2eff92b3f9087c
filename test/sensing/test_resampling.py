from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from liquidspike_ros.sensing.resampling import change_rate, window_means


def test_constant_stays_constant():
    times, values = np.array([0.0, 0.4, 0.5]), np.full((2, 3), 7.0)
    assert np.allclose(window_means(times, values, 0.0, 0.5, 4), 7.0)


def test_a_line_gives_the_values_at_the_cell_centres():
    times = np.array([0.0, 0.3, 0.35, 1.0])
    means = window_means(times, times[None] * 2, 0.0, 1.0, 4)
    assert np.allclose(means, [[0.25, 0.75, 1.25, 1.75]])


def test_nearest_is_held_outside_the_samples():
    means = window_means(np.array([1.0]), np.array([[5.0]]), 0.0, 2.0, 4)
    assert np.allclose(means, 5.0)


def test_a_single_spike_is_not_lost_between_few_cells():
    times = np.arange(101) / 100
    values = np.zeros((1, 101))
    values[0, 37] = 10.0
    means = window_means(times, values, 0.0, 1.0, 2)
    assert np.allclose(means, [[0.2, 0.0]])  # area 10 · 0.01 over a cell of 0.5


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-10, 10)), min_size=2, max_size=30,
                unique_by=lambda sample: sample[0]), st.integers(1, 20))
def test_the_integral_is_kept(samples, count):
    samples.sort()
    times, values = np.array(samples).T
    if times[-1] - times[0] < 1e-3:
        return
    means = window_means(times, values[None], times[0], times[-1], count)
    integral = means.mean() * (times[-1] - times[0])
    line = np.sum((values[1:] + values[:-1]) / 2 * np.diff(times))
    assert np.isclose(integral, line, atol=1e-9)


def test_samples_of_one_time_count_as_their_mean():
    times, values = np.array([0.0, 0.0, 0.0, 1.0]), np.array([[1.0, 2.0, 6.0, 3.0]])
    assert np.allclose(window_means(times, values, 0.0, 1.0, 1), 3.0)


def test_change_of_rate():
    ramp = np.arange(8, dtype=np.float32)[None]
    assert change_rate(ramp, 100, 100) is ramp
    assert np.allclose(change_rate(ramp, 200, 100)[0, 1:-1], [2.5, 4.5])
    up = change_rate(ramp, 100, 200)
    assert up.shape == (1, 16)
    assert np.allclose(np.diff(up[0, 2:-2]), 0.5)
    assert change_rate(ramp, 44100, 16000).dtype == np.float32
