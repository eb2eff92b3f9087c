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


@pytest.mark.parametrize('range_max', [2.0, 7.9, 8.0, 12.0, 1e9, INF])
def test_no_return_is_the_range_max_of_the_robot_whatever_the_driver_says(msgs, range_max):
    """Some drivers send another one with every scan; the model must not see a wall that moves."""
    data = convert_scan(msgs.scan([INF] + [1] * 7, range_max=range_max), SPEC).data
    assert data[:, 0].tolist() == [8.0, 1.0]


NO_RETURNS = [('nan', NAN), ('zero', 0.0), ('negative', -1.0), ('beyond_max', 9.0),
              ('beyond_max', 65.535), ('beyond_max', 8.0), ('inf', INF)]


@pytest.mark.parametrize(('name', 'value'), NO_RETURNS)
def test_what_no_return_looks_like_is_a_setting(msgs, name, value):
    spec = LidarSpec(beams=8, no_return=name)
    message = msgs.scan([value, 1, 2, 3, value, INF, 6, 7], range_min=0.0)
    data = convert_scan(message, spec).data
    assert data.tolist() == [[8, 1, 2, 3, 8, 8, 6, 7], [1] * 8]


def test_several_of_them(msgs):
    spec = LidarSpec(beams=8, no_return='nan,zero')
    data = convert_scan(msgs.scan([NAN, 0, INF, -INF, 5, 9, -1, 0.01]), spec).data
    assert data[0].tolist() == pytest.approx([8, 8, 8, 0.05, 5, 0, 0, 0])
    assert data[1].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(('name', 'value'), NO_RETURNS[:5])
def test_without_the_setting_it_is_no_data_and_the_reason_names_it(msgs, name, value):
    with pytest.raises(InvalidSample, match=rf'none of 8 is valid \(8 {name}.* range_max 8\): '
                       rf'sensor lost.*sensors\.lidar\.no_return: {name}$'):
        convert_scan(msgs.scan([value] * 8), SPEC)


@pytest.mark.parametrize('range_min', [0.0, 0.05])
def test_zero_is_no_obstacle(msgs, range_min):
    spec = LidarSpec(beams=8, range_min=0.0)
    data = convert_scan(msgs.scan([0.0, 1] * 4, range_min=range_min), spec).data
    assert data.tolist() == [[0, 1] * 4, [0, 1] * 4]


def test_nothing_in_range_is_a_valid_view_of_nothing(msgs):
    assert convert_scan(msgs.scan([INF] * 8), SPEC).data.tolist() == [[8.0] * 8, [1.0] * 8]


@pytest.mark.parametrize('range_max', [12000.0, 1e9, INF])
def test_ranges_in_mm_are_not_a_free_view(msgs, range_max):
    with pytest.raises(InvalidSample, match=r'ranges: got 1500 \(range_max .*expected m: .*mm\?'):
        convert_scan(msgs.scan(EIGHT * 1500 + 750, range_max=range_max), SPEC)
    spec = LidarSpec(beams=8, no_return='beyond_max')
    data = convert_scan(msgs.scan([65535, *EIGHT[1:]], range_max=range_max), spec).data
    assert data[0].tolist() == [8.0, *EIGHT[1:]]
    with pytest.raises(InvalidSample, match='in mm'):
        convert_scan(msgs.scan(EIGHT * 1500 + 750, range_max=12000.0), spec)


def test_a_cloud_in_mm_is_not_a_free_view(msgs):
    with pytest.raises(InvalidSample, match=r'100% of the points are more than 1000 m away.*mm'):
        convert_points(msgs.points(np.array(POINTS[:4]) * 1e3 + 1000), SPEC)
    far = [(1e4, 0, 0), (2, 1, 0), (3, 1, 0)]
    assert convert_points(msgs.points(far), SPEC).data[0].min() == pytest.approx(math.hypot(2, 1))


def test_a_scan_that_looks_elsewhere(msgs):
    spec = LidarSpec(beams=4, angle_min=2.0, angle_max=3.0)
    step = math.pi / 8
    with pytest.raises(InvalidSample, match='no valid ray of 8 between angle_min 2 and angle_max'):
        convert_scan(msgs.scan(EIGHT, start=-math.pi / 2, increment=step), spec)


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
    ({'angle_min': 1e9, 'angle_max': 1e9}, 'radians'),
    ({'range_max': 0.0}, 'range_min, range_max'),
    ({'range_min': NAN}, 'range_min, range_max'),
    ({'ranges': []}, 'ranges: got 0'),
    ({'ranges': np.full(8, np.nan, np.float32)}, 'sensor lost'),
    ({'ranges': ['a'] * 8}, 'expected numbers'),
    ({'ranges': np.ones(17, np.float32), 'angle_max': 50.0}, 'got 17 .* at most a full circle'),
    ({'angle_min': -180.0, 'angle_max': 180.0, 'angle_increment': 45.0}, 'radians'),
    ({'angle_min': -90.0, 'angle_max': 90.0, 'angle_increment': 25.7}, 'full circle'),
])
def test_scans_that_contradict_themselves_are_refused(msgs, fields, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_scan(msgs.scan(EIGHT, **fields), SPEC)


def test_a_count_that_is_off_by_one_is_common_and_taken(msgs):
    message = msgs.scan(EIGHT)
    message.angle_max += message.angle_increment
    assert np.array_equal(convert_scan(message, SPEC).data[0], EIGHT)


STEP = math.pi / 4


@pytest.mark.parametrize('angle_max', [0.0, NAN, INF, -INF, -math.pi, 50.0])
def test_rays_that_go_once_round_leave_no_doubt_about_angle_max(msgs, angle_max):
    message = msgs.scan(EIGHT, angle_max=angle_max)
    assert np.array_equal(convert_scan(message, SPEC).data[0], EIGHT)


@pytest.mark.parametrize('turn', [-2 * math.pi, 2 * math.pi])
def test_angle_max_may_be_on_another_turn(msgs, turn):
    message = msgs.scan(EIGHT[:4], start=math.pi - STEP, increment=STEP)
    message.angle_max += turn
    data = convert_scan(message, SPEC).data
    assert sorted(data[0]) == [0, 0, 0, 0, *EIGHT[:4]]


def test_an_impossible_increment_leaves_no_doubt_about_it(msgs):
    """In degrees, say; angle_min, angle_max and the number of rays tell."""
    message = msgs.scan(EIGHT)
    message.angle_increment = 45.0
    assert np.array_equal(convert_scan(message, SPEC).data[0], EIGHT)


@pytest.mark.parametrize(('start', 'stop', 'increment', 'count'), [
    (-1.0, 1.0, 0.1, 10),                        # half of the rays, or twice the increment
    (-1.0, 1.0, 0.1, 41),                        # twice the rays, or half of the increment
    (-math.pi, math.pi, STEP, 4),                # half a circle, or all of it
    (math.pi, -math.pi + 0.02, STEP / 90, 720),  # all of it, and either way round
    (-1.0, 1.0, -0.1, 21),
])
def test_two_readings_that_are_possible_are_refused(msgs, start, stop, increment, count):
    message = msgs.scan(np.ones(count), start=start, increment=increment, angle_max=stop)
    with pytest.raises(InvalidSample, match=rf'ranges: got {count} from angle_min .*expected'):
        convert_scan(message, SPEC)


def test_both_ends_of_a_circle_and_one_ray_more_are_common(msgs):
    for count, increment in ((361, math.pi / 180), (360, 2 * math.pi / 359), (720, math.pi / 360)):
        message = msgs.scan(np.full(count, 2.0), start=-math.pi, increment=increment,
                            angle_max=math.pi)
        assert (convert_scan(message, LidarSpec()).data[0] == 2).all()


def test_a_pose_is_for_clouds(msgs):
    spec = LidarSpec(beams=8, type='sensor_msgs/msg/PointCloud2', transform=(0, 0, 1, 0, 0, 0))
    with pytest.raises(InvalidSample, match=r'sensors\.lidar\.transform'):
        convert_scan(msgs.scan(EIGHT), spec)


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
    ({'data': b'123'}, 'data: got 3 bytes and row_step 96, expected .* 96'),
    ({'data': bytes(97)}, 'data: got 97 bytes'),
    ({'width': 9, 'row_step': 96}, r'data: got 96 bytes .* 9 × 1 × 12 = 108'),
    ({'width': 0}, 'data: got 96 bytes, expected none for width × height = 0 × 1'),
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
    message.fields[0].name = 'x\n\x1b[2Jy'
    with pytest.raises(InvalidSample, match=r'^fields: got x \?\[2Jy, y, z, expected x, y and z$'):
        convert_points(message, SPEC)


def test_unknown_datatype_is_refused(msgs):
    message = msgs.points(POINTS)
    message.fields[1].datatype = 9
    with pytest.raises(InvalidSample, match=r'fields\.y\.datatype'):
        convert_points(message, SPEC)


@pytest.mark.parametrize('row_step', [0, 8, 95, 96, 1, 9999, 2**32 - 1])
@pytest.mark.parametrize('rows', [1, 2, 4])
def test_a_wrong_row_step_where_the_data_leave_no_doubt(msgs, row_step, rows):
    """Zero, the number of points, the bytes of all of them: the rows fill the data exactly."""
    message = msgs.points(POINTS, rows=rows)
    message.row_step = row_step
    plain = convert_points(msgs.points(POINTS), SPEC).data
    assert np.array_equal(convert_points(message, SPEC).data, plain)


def test_a_right_row_step_still_tells_the_padding(msgs):
    message = msgs.points(POINTS, rows=4, row_padding=8)
    message.data = message.data[:-8]  # the last row may lack it
    plain = convert_points(msgs.points(POINTS), SPEC).data
    assert np.array_equal(convert_points(message, SPEC).data, plain)


@pytest.mark.parametrize('value', [NAN, INF, 0.0])
def test_points_of_which_none_was_measured_are_a_lost_sensor(msgs, value):
    with pytest.raises(InvalidSample, match=r'none of 12 points was measured .* sensor lost'):
        convert_points(msgs.points(np.full((12, 3), value), rows=3), SPEC)


def test_points_at_the_origin_are_no_data(msgs):
    spec = LidarSpec(beams=8, range_min=0.0)
    data = convert_points(msgs.points([(0, 0, 0), (NAN, 0, 0), (2, 1, 0)]), spec).data
    assert sorted(data[0]) == pytest.approx([math.hypot(2, 1)] + [8.0] * 7)


@pytest.mark.parametrize('frame', ['camera_depth_optical_frame', 'Optical', 'oak/right_optical'])
def test_an_optical_frame_is_turned(msgs, frame):
    """z ahead, x right, y down (REP 103): a wall 1 m ahead, a thing to the right, one too low."""
    points = [(-0.05, 0, 1), (0.05, 0, 1), (3, 0, 0.1), (-2, 0.9, 0.1)]
    message = msgs.points(points)
    message.header.frame_id = frame
    right_way = msgs.points([(z, -x, -y) for x, y, z in points])
    data = convert_points(message, SPEC).data
    assert np.array_equal(data, convert_points(right_way, SPEC).data)
    assert sorted(data[0]) == pytest.approx([1.00125, 1.00125, math.hypot(3, 0.1)] + [8.0] * 5,
                                            abs=1e-4)


def test_the_pose_of_the_robot_file_goes_before_the_name_of_the_frame(msgs):
    cloud = 'sensor_msgs/msg/PointCloud2'
    # A camera 0.5 m up and 0.1 m ahead that looks along its own z.
    pose = (0.1, 0.0, 0.5, -math.pi / 2, 0.0, -math.pi / 2)
    message = msgs.points([(0.2, 0.4, 1.0), (0.2, 0.8, 1.0)])  # the second one is below the floor
    message.header.frame_id = 'camera_optical'
    data = convert_points(message, LidarSpec(beams=8, type=cloud, transform=pose)).data
    near = math.hypot(1.1, 0.2)
    assert sorted(data[0])[:2] == pytest.approx([near, 8.0])
    # Turned about z only: what is ahead of the sensor is to the left of the robot.
    spec = LidarSpec(beams=8, type=cloud, transform=(0, 0, 0, 0, 0, math.pi / 2))
    turned = convert_points(msgs.points([(3, 0.1, 0)]), spec).data
    assert np.array_equal(turned, convert_points(msgs.points([(-0.1, 3, 0)]), SPEC).data)
