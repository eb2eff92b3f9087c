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


def test_unmeasured_field_reads_zero_whatever_it_holds(msgs):
    message = msgs.imu((1, 2, 3), (math.nan, 0, 0), linear_acceleration_covariance=UNMEASURED)
    assert convert_imu(message, ImuSpec()).data.tolist() == [1, 2, 3, 0, 0, 0]


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
