from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.robot import LidarSpec
from liquidspike_ros.sensing.lidar import convert_points, convert_scan
from liquidspike_ros.sensing.observation import InvalidSample

SPEC = LidarSpec(beams=8)  # beam i looks along −180° + 22.5° + i · 45°
EIGHT = np.arange(1, 9, dtype=np.float32) * 0.5
INF, NAN = math.inf, math.nan


def test_a_scan_with_the_beams_of_the_spec_is_unchanged(msgs):
    data = convert_scan(msgs.scan(EIGHT), SPEC).data
    assert data.dtype == np.float32
    assert np.array_equal(data, [EIGHT, np.ones(8)])


@pytest.mark.parametrize('beams', [180, 360, 720, 1440])
def test_identity_survives_float32_angles(msgs, beams):
    ranges = np.random.default_rng(1).uniform(0.1, 7.9, beams).astype(np.float32)
    for start in (None, -math.pi):
        message = msgs.scan(ranges, start=start)
        for name in ('angle_min', 'angle_max', 'angle_increment'):
            setattr(message, name, float(np.float32(getattr(message, name))))
        data = convert_scan(message, LidarSpec(beams=beams)).data
        assert np.array_equal(data, [ranges, np.ones(beams)]), start


def test_rep_117(msgs):
    data = convert_scan(msgs.scan([INF, -INF, NAN, 0.01, 9.0, 1, 2, 3]), SPEC).data
    assert data[0].tolist() == pytest.approx([8.0, 0.05, 0, 0, 0, 1, 2, 3])
    assert data[1].tolist() == [1, 1, 0, 0, 0, 1, 1, 1]


def test_limits_of_sensor_and_spec_together(msgs):
    far = LidarSpec(beams=8, range_max=3.0, range_min=0.8)
    data = convert_scan(msgs.scan([INF, -INF, 0.5, 3.5, 1, 1, 1, 1]), far).data
    assert data[0, :4].tolist() == pytest.approx([3.0, 0.8, 0, 3.0])
    assert data[1, :4].tolist() == [1, 1, 0, 1]
    short = convert_scan(msgs.scan([INF] + [1] * 7, range_max=2.0), SPEC).data
    assert short[0, 0] == 2.0  # nothing is known beyond what the sensor sees


def test_clockwise_from_zero_to_two_pi(msgs):
    # Ray k looks along −k · 45° − 22.5°: ray 0 falls into beam 3, ray 1 into beam 2, …
    message = msgs.scan(EIGHT, start=2 * math.pi - math.pi / 8, increment=-math.pi / 4)
    data = convert_scan(message, SPEC).data
    assert data[0].tolist() == EIGHT[[3, 2, 1, 0, 7, 6, 5, 4]].tolist()


def test_nearest_ray_of_a_beam_counts(msgs):
    ranges = np.full(80, 5.0)
    ranges[13] = 1.0  # beam 1
    ranges[[20, 29]] = NAN, INF  # beam 2
    data = convert_scan(msgs.scan(ranges), SPEC).data
    assert data[0].tolist() == [5, 1, 5, 5, 5, 5, 5, 5]
    assert data[1].all()


def test_a_beam_of_invalid_rays_is_invalid(msgs):
    ranges = np.full(80, 5.0)
    ranges[20:30] = NAN
    assert convert_scan(msgs.scan(ranges), SPEC).data[:, 2].tolist() == [0, 0]


def test_a_coarse_scan_reaches_every_beam_it_covers(msgs):
    spec = LidarSpec(beams=16)
    data = convert_scan(msgs.scan(EIGHT), spec).data
    assert data[0].tolist() == np.repeat(EIGHT, 2).tolist()
    clockwise = msgs.scan(EIGHT[::-1], start=math.pi - math.pi / 8, increment=-math.pi / 4)
    assert convert_scan(clockwise, spec).data[0].tolist() == np.repeat(EIGHT, 2).tolist()


@pytest.mark.parametrize('rays', [4, 40])
def test_beams_outside_the_scan_are_invalid(msgs, rays):
    step = math.pi / rays  # the half circle ahead
    message = msgs.scan(np.full(rays, 2.0), start=-math.pi / 2 + step / 2, increment=step)
    data = convert_scan(message, SPEC).data
    assert data.tolist() == [[0, 0, 2, 2, 2, 2, 0, 0], [0, 0, 1, 1, 1, 1, 0, 0]]


def test_a_sector_takes_its_part_of_a_full_scan(msgs):
    spec = LidarSpec(beams=4, angle_min=-math.pi / 2, angle_max=math.pi / 2)
    assert convert_scan(msgs.scan(EIGHT), spec).data[0].tolist() == EIGHT[2:6].tolist()


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'angle_increment': 0.0}, 'angle_increment'),
    ({'angle_increment': NAN}, 'angle_increment'),
    ({'angle_min': INF}, 'angle_min'),
    ({'angle_max': 0.0}, 'ranges: got 8, expected'),
    ({'angle_min': 1e9, 'angle_max': 1e9}, 'radians'),
    ({'range_max': 0.0}, 'range_min, range_max'),
    ({'range_min': NAN}, 'range_min, range_max'),
    ({'ranges': []}, 'ranges: got 0'),
    ({'ranges': np.full(8, np.nan, np.float32)}, 'sensor lost'),
    ({'ranges': ['a'] * 8}, 'expected numbers'),
])
def test_scans_that_contradict_themselves_are_refused(msgs, fields, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_scan(msgs.scan(EIGHT, **fields), SPEC)


def test_a_count_that_is_off_by_one_is_common_and_taken(msgs):
    message = msgs.scan(EIGHT)
    message.angle_max += message.angle_increment
    assert np.array_equal(convert_scan(message, SPEC).data[0], EIGHT)


POINTS = [(1, 0.1, 0), (2, 0.1, 0), (-3, -0.1, 0.5), (0.1, 4, 3.0), (NAN, 1, 0), (20, 1, 0),
          (0.01, 0.01, 0), (0.1, -4, 0)]


def test_a_cloud_seen_from_above(msgs):
    """The nearer of two, the z band, NaN, too far and too near; no point is no return."""
    data = convert_points(msgs.points(POINTS), SPEC).data
    expected = [math.hypot(3, 0.1), 8, 8, 8, math.hypot(1, 0.1), 8, 8, 8]
    expected[int((math.atan2(-4, 0.1) + math.pi) // (math.pi / 4))] = math.hypot(0.1, 4)
    assert data[0].tolist() == pytest.approx(expected)
    assert data[1].all()


@pytest.mark.parametrize('layout', [
    {'formats': {'z': 'f4', 'intensity': 'u1', 'y': 'f8', 'x': 'f4'}},
    {'big': True}, {'rows': 4, 'row_padding': 7}, {'point_padding': 5, 'big': True},
    {'formats': {'x': 'f8', 'y': 'f8', 'z': 'f8', 'intensity': 'i2'}, 'rows': 2, 'big': True},
    {'is_dense': False},
])
def test_layouts_of_the_same_cloud_read_the_same(msgs, layout):
    plain = convert_points(msgs.points(POINTS), SPEC).data
    assert np.array_equal(convert_points(msgs.points(POINTS, **layout), SPEC).data, plain)


def test_integer_coordinates(msgs):
    formats = {'x': 'i2', 'y': 'i2', 'z': 'i2'}
    data = convert_points(msgs.points([(-3, -1, 0)], formats), SPEC).data
    assert data[0, 0] == pytest.approx(math.hypot(3, 1))


def test_zero_points_are_a_valid_view_of_nothing(msgs):
    data = convert_points(msgs.points(np.zeros((0, 3)), rows=1), SPEC).data
    assert np.array_equal(data, [np.full(8, 8.0), np.ones(8)])


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'fields': []}, 'expected x, y and z'),
    ({'point_step': 11}, 'within point_step 11'),
    ({'row_step': 95}, 'row_step'),
    ({'data': b'123'}, 'data: got 3 bytes'),
    ({'point_step': 0}, 'point_step'),
    ({'width': 2**31, 'height': 2**31}, 'row_step'),
])
def test_clouds_that_contradict_themselves_are_refused(msgs, fields, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_points(msgs.points(POINTS, **fields), SPEC)


def test_missing_x_is_refused(msgs):
    with pytest.raises(InvalidSample, match='fields: got y, z, expected x, y and z'):
        convert_points(msgs.points(POINTS, {'y': 'f4', 'z': 'f4'}), SPEC)


def test_a_reason_is_one_line_whatever_a_field_is_called(msgs):
    message = msgs.points(POINTS)
    message.fields[0].name = 'x\ny'
    with pytest.raises(InvalidSample, match=r'^fields: got x y, y, z, expected x, y and z$'):
        convert_points(message, SPEC)


def test_unknown_datatype_is_refused(msgs):
    message = msgs.points(POINTS)
    message.fields[1].datatype = 9
    with pytest.raises(InvalidSample, match=r'fields\.y\.datatype'):
        convert_points(message, SPEC)
