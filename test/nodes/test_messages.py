from __future__ import annotations

from builtin_interfaces.msg import Time
import pytest
from sensor_msgs.msg import Image

from liquidspike_ros.nodes.messages import command_message, message_class, MessageTypeError
from liquidspike_ros.robot import CommandSpec


def test_interface_names_give_classes():
    assert message_class('sensor_msgs/msg/Image') is Image


@pytest.mark.parametrize('name', ['Image', 'sensor_msgs/Image', 'nothing_msgs/msg/Image',
                                  'sensor_msgs/msg/Picture', 'sensor_msgs/msg/_image',
                                  '/msg/Image', 'sensor_msgs/msg/Image/x', 'os/msg/Path'])
def test_an_unknown_interface_is_named(name: str):
    with pytest.raises(MessageTypeError, match=name.split('/')[0] or 'type'):
        message_class(name)


def test_a_type_named_by_a_recording_runs_no_other_code(tmp_path, monkeypatch):
    (tmp_path / 'trap').mkdir()
    (tmp_path / 'trap' / '__init__.py').write_text('raise SystemExit("sprung")')
    (tmp_path / 'lure.py').write_text('raise SystemExit("sprung")')
    monkeypatch.syspath_prepend(tmp_path)
    for name in ('trap/msg/Image', 'lure/msg/Image', 'x' * 10**6 + '/msg/\x1b[2J'):
        with pytest.raises(MessageTypeError) as caught:
            message_class(name)
        assert len(str(caught.value)) <= 500


def test_twist_takes_each_value_to_its_field():
    spec = CommandSpec(names=('angular.z', 'linear.y'))
    message = command_message(spec, [0.5, -0.1], Time())
    assert (message.angular.z, message.linear.y, message.linear.x) == (0.5, -0.1, 0.0)


def test_stamped_twist_carries_stamp_and_frame():
    spec = CommandSpec(kind='twist_stamped', frame_id='base')
    message = command_message(spec, [0.3, 0.2], Time(sec=4, nanosec=5))
    assert (message.header.stamp.sec, message.header.frame_id) == (4, 'base')
    assert (message.twist.linear.x, message.twist.angular.z) == (0.3, 0.2)


def test_a_multi_array_takes_any_width():
    names = 'upper', 'max_acceleration', 'max_deceleration', 'stop_deceleration'
    wide = dict.fromkeys(names, (1.0,) * 7)
    spec = CommandSpec(kind='float64_multi_array', names=tuple(f'joint_{i}' for i in range(7)),
                       lower=(-1.0,) * 7, safe=(0.0,) * 7, **wide)
    message = command_message(spec, range(7), Time())
    assert list(message.data) == [0, 1, 2, 3, 4, 5, 6]
    assert message.layout.dim[0].size == 7
