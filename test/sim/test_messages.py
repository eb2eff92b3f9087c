from __future__ import annotations

import numpy as np
import pytest

from liquidspike_ros.sim.messages import (
    audio_message,
    image_message,
    SimMessage,
    twist_message,
    TYPESTORE,
)
from liquidspike_ros.sim.simulation import Simulation


@pytest.fixture(scope='module')
def messages() -> dict[str, SimMessage]:
    """The first message of each topic."""
    found: dict[str, SimMessage] = {}
    for message in Simulation(2).advance(150_000_000):
        found.setdefault(message.topic, message)
    return found


@pytest.mark.parametrize('topic', ['clock', 'imu', 'odom', 'ground_truth', 'scan', 'audio',
                                   'camera/image_raw'])
def test_every_message_survives_the_way_over_the_wire(messages, topic):
    sent = messages[topic]
    raw = sent.serialize()
    assert raw[:4] == b'\x00\x01\x00\x00'  # CDR, little endian
    back = TYPESTORE.deserialize_cdr(raw, sent.type_name)
    assert bytes(TYPESTORE.serialize_cdr(back, sent.type_name)) == raw
    assert type(back) is type(sent.msg)


def test_stamps_are_the_instants_at_which_messages_leave(messages):
    for message in messages.values():
        if hasattr(message.msg, 'header'):
            stamp = message.msg.header.stamp
            assert stamp.sec * 1_000_000_000 + stamp.nanosec == message.now_ns
    clock = messages['clock'].msg.clock
    assert clock.sec * 1_000_000_000 + clock.nanosec == messages['clock'].now_ns


def test_audio_is_interleaved_and_says_so():
    samples = np.array([[1, -1], [2, -2], [3, -3]], dtype=np.int16)
    message = audio_message(samples)
    assert message.data.tolist() == [1, -1, 2, -2, 3, -3]
    labels = [(d.label, d.size, d.stride) for d in message.layout.dim]
    assert labels == [('frames', 3, 6), ('channels', 2, 2)]


def test_an_image_keeps_rows_columns_and_colours_in_place():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    message = image_message(0, 'lens', pixels)
    assert (message.height, message.width, message.step) == (2, 3, 9)
    assert message.data.tolist() == list(range(18))


def test_a_twist_is_forward_and_counter_clockwise():
    twist = twist_message(0.4, -1.0)
    assert (twist.linear.x, twist.angular.z) == (0.4, -1.0)
    assert (twist.linear.y, twist.linear.z, twist.angular.x, twist.angular.y) == (0, 0, 0, 0)
