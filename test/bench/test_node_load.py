"""The load is what it says it is; the figures are made of what was sent and what came."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
load_robot = pytest.importorskip('load_robot')
node_load = pytest.importorskip('node_load')

from liquidspike_ros.control.tensors import robot_model_config  # noqa: E402
from liquidspike_ros.robot import load_robot as read_robot  # noqa: E402
from liquidspike_ros.sensing.cdr import read_message  # noqa: E402


@pytest.mark.parametrize('camera', node_load.CAMERAS.values())
def test_the_policy_of_the_beacon_robot_fits(camera: tuple[int, int, float]) -> None:
    robot = node_load.robot_of(camera[2])
    shipped = read_robot(node_load.ROOT / 'config/robots/beacon.yaml')
    shapes = {**robot_model_config(shipped), 'control_rate': camera[2]}
    assert robot_model_config(robot) == shapes
    assert (robot.rate, robot.imu.rate, robot.lidar.rate) == (camera[2], 1000.0, 20.0)


def test_payloads_change_so_that_nothing_looks_frozen() -> None:
    for topic, messages in load_robot.payloads(64, 48).items():
        assert len(set(messages)) == len(messages), topic


def test_the_stamp_of_a_message_can_be_set_where_it_lies() -> None:
    data = bytearray(load_robot.payloads(64, 48)['scan'][0])
    data[load_robot._STAMP] = (5).to_bytes(4, 'little') + (6).to_bytes(4, 'little')
    assert read_message('sensor_msgs/msg/LaserScan', bytes(data)).header.stamp == (5, 6)


def test_streams_keep_their_rates() -> None:
    robot: Any = SimpleNamespace(rates={'a': 1000, 'b': 30.0}, sent={'a': 0, 'b': 0})
    for _ in range(1030):
        topic = min(robot.rates, key=lambda name: load_robot.LoadRobot._due(robot, name))
        robot.sent[topic] += 1
    assert robot.sent == {'a': 1000, 'b': 30}


def answer(accepted: int, dropped: int) -> dict[str, Any]:
    return {'sent': {'camera/image_raw': 200, 'imu': 5000}, 'commands': 90, 'status': {
        'policy: camera': {'accepted': str(accepted), 'dropped': str(dropped),
                           'reliability': 'reliable'},
        'policy: inference': {'ticks': '180', 'latency_p99': '0.012'}}}


def test_a_frame_that_was_refused_has_arrived_all_the_same() -> None:
    row = node_load.figures('ours', answer(0, 0), answer(190, 8), 0.2,
                            np.array([[0.0, 300.0], [60.0, 301.0], [120.0, 302.0],
                                      [180.0, 303.0], [240.0, 304.0], [300.0, 305.0]]), 0.1)
    assert row['share'] == 0.99
    assert row['latency_p99_ms'] == 12.0
    assert np.isnan(row['latency_p50_ms'])
    assert row['memory_growth_mib_per_min'] == pytest.approx(1.0)


def test_medians_are_of_each_figure() -> None:
    runs = [{'share': share, 'subscription': 'reliable'} for share in (0.5, 1.0, 0.9)]
    assert node_load.medians(runs) == {'share': 0.9, 'subscription': 'reliable'}
