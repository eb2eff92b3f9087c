from __future__ import annotations

import array
from types import SimpleNamespace as Message

import numpy as np
import pytest

from liquidspike_ros.robot import AudioSpec
from liquidspike_ros.sensing.audio import convert_audio, mix
from liquidspike_ros.sensing.observation import InvalidSample

STEREO = AudioSpec(channels=2)
LEFT, RIGHT = np.array([1, 2, 3]) * 1000, np.array([-1, -2, -3]) * 4000
INTERLEAVED = np.stack((LEFT, RIGHT), axis=1)
EXPECTED = np.stack((LEFT, RIGHT)).astype(np.float32) / 32768


def test_interleaved_without_layout_follows_the_spec(msgs):
    sample = convert_audio(msgs.audio(INTERLEAVED), STEREO)
    assert sample.stamp == 0
    assert sample.data.dtype == np.float32
    assert np.array_equal(sample.data, EXPECTED)


@pytest.mark.parametrize('represent', [
    list, lambda d: array.array('h', d), lambda d: np.asarray(d, np.int16)])
def test_data_in_every_representation(msgs, represent):
    message = msgs.audio(INTERLEAVED)
    message.data = represent(message.data.tolist())
    assert np.array_equal(convert_audio(message, STEREO).data, EXPECTED)


def test_layout_says_interleaved_or_planar(msgs):
    rows = msgs.audio(INTERLEAVED, [('frames', 3), ('channels', 2)])
    planar = msgs.audio(INTERLEAVED.T, [('channels', 2), ('frames', 3)])
    assert np.array_equal(convert_audio(rows, STEREO).data, EXPECTED)
    assert np.array_equal(convert_audio(planar, STEREO).data, EXPECTED)


def test_data_offset_is_skipped(msgs):
    message = msgs.audio([9, 9, *INTERLEAVED.reshape(-1)])
    message.layout.data_offset = 2
    assert np.array_equal(convert_audio(message, STEREO).data, EXPECTED)


def test_bytes_are_little_endian_pcm():
    data = INTERLEAVED.astype('<i2').tobytes()
    plain = convert_audio(Message(data=list(data)), STEREO)
    header = Message(stamp=Message(sec=3, nanosec=5))
    stamped = convert_audio(Message(header=header, audio=Message(data=data)), STEREO)
    assert np.array_equal(plain.data, EXPECTED)
    assert np.array_equal(stamped.data, EXPECTED)
    assert (plain.stamp, stamped.stamp) == (0, 3_000_000_005)


@pytest.mark.parametrize(('message', 'reason'), [
    (Message(data=b'123'), 'got 3 bytes, expected an even number'),
    (Message(data=b'123456'), 'got 3 samples, expected a multiple of 2'),
    (Message(data=b''), 'empty'),
    (Message(data='text'), 'malformed'),
])
def test_bytes_that_are_no_frames_are_refused(message, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_audio(message, STEREO)


@pytest.mark.parametrize('dims', [
    [('frames', 3), ('channels', 3)], [('frames', 0), ('channels', 2)], [('a', 1)] * 3,
    [('frames', -3), ('channels', -2)]])
def test_a_layout_that_contradicts_the_data_is_refused(msgs, dims):
    with pytest.raises(InvalidSample, match=r'layout\.dim'):
        convert_audio(msgs.audio(INTERLEAVED, dims), STEREO)


def test_values_beyond_int16_are_refused(msgs):
    message = msgs.audio([1, 2])
    message.data = [1, 40000]
    with pytest.raises(InvalidSample, match='fit int16'):
        convert_audio(message, STEREO)


def test_mixing():
    one, two = np.ones((1, 4), np.float32), np.array([[1.0], [3.0]], np.float32)
    four = np.arange(4, dtype=np.float32)[:, None]
    assert mix(two, 2) is two
    assert mix(two, 1).tolist() == [[2]]
    assert mix(one, 3).shape == (3, 4)
    assert mix(four, 2).tolist() == [[0], [1]]
    assert mix(two, 3).tolist() == [[1], [3], [1]]


def test_another_rate_and_channel_count_than_the_models():
    spec = AudioSpec(channels=1, sample_rate=16000, source_rate=48000, source_channels=2)
    tone = np.sin(2 * np.pi * 400 * np.arange(960) / 48000) * 20000
    pcm = np.repeat(tone.astype('<i2')[:, None], 2, axis=1)
    data = convert_audio(Message(data=pcm.tobytes()), spec).data
    wanted = np.sin(2 * np.pi * 400 * (np.arange(320) + 1 / 3) / 16000) * 20000 / 32768
    assert data.shape == (1, 320)
    assert np.abs(data[0] - wanted).max() < 0.005
