from __future__ import annotations

import math

import numpy as np
import pytest

from liquidspike_ros.robot import ImuSpec
from liquidspike_ros.sensing.imu import convert_imu
from liquidspike_ros.sensing.observation import InvalidSample

UNMEASURED = [-1.0] + [0.0] * 8


def test_angular_velocity_then_linear_acceleration(msgs):
    sample = convert_imu(msgs.imu((1, 2, 3), (4, 5, 6), t=7), ImuSpec())
    assert sample.stamp == 7
    assert sample.data.dtype == np.float32
    assert sample.data.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf, 36.0, -36.0])
def test_impossible_angular_velocity_is_dropped(msgs, bad):
    with pytest.raises(InvalidSample, match=r'angular_velocity\.y'):
        convert_imu(msgs.imu((0, bad, 0)), ImuSpec())


@pytest.mark.parametrize('bad', [math.nan, math.inf, 201.0])
def test_impossible_acceleration_is_dropped(msgs, bad):
    with pytest.raises(InvalidSample, match=r'linear_acceleration\.z'):
        convert_imu(msgs.imu(linear=(0, 0, bad)), ImuSpec())


def test_unmeasured_field_reads_nan_whatever_it_holds(msgs):
    message = msgs.imu((1, 2, 3), (math.nan, 0, 900), linear_acceleration_covariance=UNMEASURED)
    assert np.array_equal(convert_imu(message, ImuSpec()).data, [1, 2, 3] + [math.nan] * 3,
                          equal_nan=True)
    message = msgs.imu((math.nan, 0, 900), (1, 2, 3), angular_velocity_covariance=UNMEASURED)
    assert np.array_equal(convert_imu(message, ImuSpec()).data, [math.nan] * 3 + [1, 2, 3],
                          equal_nan=True)


def test_all_zero_covariance_means_unknown_and_is_legal(msgs):
    assert convert_imu(msgs.imu(), ImuSpec()).data[5] == np.float32(9.81)


def test_nothing_measured_is_refused(msgs):
    message = msgs.imu(angular_velocity_covariance=UNMEASURED,
                       linear_acceleration_covariance=np.array(UNMEASURED))
    with pytest.raises(InvalidSample, match='nothing is measured'):
        convert_imu(message, ImuSpec())


def test_impossible_stamp_is_refused(msgs):
    message = msgs.imu()
    message.header.stamp.nanosec = 1_000_000_000
    with pytest.raises(InvalidSample, match=r'header\.stamp'):
        convert_imu(message, ImuSpec())


def test_units_of_the_topic(msgs):
    spec = ImuSpec(acceleration_unit='g', angular_velocity_unit='deg/s')
    data = convert_imu(msgs.imu((90, 0, -180), (0, -0.5, 1)), spec).data
    assert data == pytest.approx([math.pi / 2, 0, -math.pi, 0, -4.903325, 9.80665])


@pytest.mark.parametrize(('angular', 'linear', 'setting'), [
    ((0, 0, 90), (0, 0, 9.8), 'angular_velocity_unit'),
    ((0, 0, 0), (0, 0, 980), 'acceleration_unit')])
def test_a_value_beyond_any_sensor_names_the_setting_of_its_unit(msgs, angular, linear, setting):
    with pytest.raises(InvalidSample, match=rf'sensors\.imu\.{setting}'):
        convert_imu(msgs.imu(angular, linear), ImuSpec())


def test_limits_are_those_of_the_unit(msgs):
    spec = ImuSpec(angular_velocity_unit='deg/s')
    assert convert_imu(msgs.imu((0, 0, 1999)), spec).data[2] == pytest.approx(34.889, abs=1e-3)
    with pytest.raises(InvalidSample, match=r'angular_velocity\.z: got 35'):
        convert_imu(msgs.imu((0, 0, 2010)), spec)


@pytest.mark.parametrize(('rotation', 'sensed'), [
    ((math.pi, 0, 0), (1, -2, -3)),             # upside down, or NED
    ((0, 0, math.pi / 2), (2, -1, 3)),          # its x looks left
    ((math.pi / 2, 0, 0), (1, 3, -2)),          # its y looks up
    ((0, -math.pi / 2, 0), (3, 2, -1)),         # its x looks up
    ((math.pi / 2, 0, math.pi / 2), (2, 3, 1)),  # roll first, then yaw
])
def test_rotation_turns_what_the_sensor_measures_into_the_axes_of_the_robot(msgs, rotation, sensed):
    data = convert_imu(msgs.imu(sensed, sensed), ImuSpec(rotation=rotation)).data
    assert data == pytest.approx([1, 2, 3] * 2, abs=1e-6)
    assert data.dtype == np.float32


def test_rotation_leaves_the_half_that_is_not_measured(msgs):
    message = msgs.imu((1, 2, 3), (0, 0, 0), linear_acceleration_covariance=UNMEASURED)
    data = convert_imu(message, ImuSpec(rotation=(0, 0, math.pi))).data
    assert data[:3] == pytest.approx([-1, -2, 3], abs=1e-6)
    assert np.isnan(data[3:]).all()


def test_an_optical_frame_is_turned_unless_the_robot_file_says_how(msgs):
    """The IMU of a depth camera: z ahead, x right, y down; gravity pushes along −y."""
    message = msgs.imu((1, 2, 3), (0, -9.8, 0))
    message.header.frame_id = 'camera_imu_optical_frame'
    data = convert_imu(message, ImuSpec()).data
    assert data == pytest.approx([3, -1, -2, 0, 0, 9.8], abs=1e-6)
    own = convert_imu(message, ImuSpec(rotation=(math.pi, 0, 0))).data
    assert own == pytest.approx([1, -2, -3, 0, 9.8, 0], abs=1e-6)
