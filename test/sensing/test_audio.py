from __future__ import annotations

import array
from types import SimpleNamespace as Message

import numpy as np
import pytest

from liquidspike_ros.robot import AudioSpec, SAMPLE_FORMATS
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
    (Message(data=b'123'), r'got 3 bytes, expected a multiple of 2 \(S16LE\)'),
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


def test_a_message_of_many_seconds_is_refused_before_its_rate_is_changed(monkeypatch):
    spec = AudioSpec(channels=1, source_rate=1000, source_channels=1, sample_rate=384_000,
                     window=384_000)
    monkeypatch.setattr('liquidspike_ros.sensing.audio.change_rate',
                        lambda *_: pytest.fail('changed'))
    with pytest.raises(InvalidSample, match=r'got 10\.1 s of sound in one message, expected'):
        convert_audio(Message(data=bytes(20_200)), spec)


def test_a_number_of_any_length_makes_no_long_reason(msgs):
    message = msgs.audio(INTERLEAVED, [('frames', 10**900), ('channels', 2)])
    with pytest.raises(InvalidSample, match=r'^layout\.dim: got sizes \[1000.{,400}$'):
        convert_audio(message, STEREO)


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


def test_a_file_or_a_codec_is_no_bare_sound():
    """By the header at the start; ``audio_capture`` sends MP3 unless it is told otherwise."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, 288, dtype=np.uint8)
    frame[:4] = (0xFF, 0xF3, 0x88, 0xC4)  # MPEG-2 layer III, 64 kbit/s at 16 kHz: 288 bytes
    for data, name in (
            (frame.tobytes(), 'MP3'), (frame.tobytes() * 3, 'MP3'),
            (b'ID3\x04' + bytes(60), 'MP3'), (b'OggS' + bytes(60), 'Ogg'),
            (b'fLaC' + bytes(60), 'FLAC'), (b'RIFF' + bytes(60), 'WAV'),
            (b'\xff\xf1\x50\x80\x08\x1f\xfc' + bytes(57), 'AAC')):
        with pytest.raises(InvalidSample, match=f'data: got .*{name}.*expected S16LE'):
            convert_audio(Message(data=data), STEREO)


def test_quiet_sound_that_starts_like_a_header_is_sound():
    data = np.full(640, -1025, '<i2').tobytes()  # FF FB FF FB …
    assert convert_audio(Message(data=data), STEREO).data.shape == (2, 320)


def speech(frames=320, channels=2, loudness=0.2):
    """Some partials of a voice and a little noise ``[frames, channels]``."""
    rng = np.random.default_rng(5)
    times, partials = np.arange(frames) / 16000, np.array([120, 240, 370, 800, 1500])
    waves = np.sin(2 * np.pi * partials[:, None] * times + partials[:, None])
    sound = (waves / partials[:, None]).sum(axis=0)
    sound = sound[:, None] / np.abs(sound).max() + rng.normal(size=(frames, channels)) * 0.02
    return sound * loudness


def encode(sound, name):
    big, flat = name.endswith('BE'), sound.reshape(-1)
    if name.startswith('F'):
        return flat.astype(f'{">" if big else "<"}f{int(name[1:3]) // 8}').tobytes()
    if name in ('S8', 'U8'):
        return (np.round(flat * 127) + (128 if name == 'U8' else 0)).astype(
            np.uint8 if name == 'U8' else np.int8).tobytes()
    words = np.round(flat * 2**31).astype('>i4' if big else '<i4').view(np.uint8).reshape(-1, 4)
    size = int(name[1:3]) // 8
    return np.ascontiguousarray(words[:, :size] if big else words[:, 4 - size:]).tobytes()


@pytest.mark.parametrize('name', SAMPLE_FORMATS)
@pytest.mark.parametrize('channels', [1, 2])
def test_every_sample_format_by_its_name(name, channels):
    sound = speech(channels=channels)
    spec = AudioSpec(channels=channels, sample_format=name)
    data = convert_audio(Message(data=encode(sound, name)), spec).data
    assert np.abs(data - sound.T).max() < (0.01 if '8' in name[:2] else 1e-4)


NOISE = np.random.default_rng(1).integers(-9000, 9000, (320, 2)) / 32768


@pytest.mark.parametrize('name', ['S16BE', 'F32LE', 'F32BE', 'F64LE', 'F64BE'])
@pytest.mark.parametrize('sound', [speech(), speech(loudness=0.9), speech(loudness=0.01), NOISE,
                                   NOISE * 0.02])
def test_another_format_than_the_robot_file_says_is_refused_with_figures(name, sound):
    with pytest.raises(InvalidSample, match=rf'as {name} .*\d\.\d.* as S16LE .*\d\.\d.*set '
                       rf'sensors\.audio\.sample_format: {name}'):
        convert_audio(Message(data=encode(sound, name)), STEREO)


def test_little_endian_in_place_of_big_endian():
    spec = AudioSpec(channels=2, sample_format='S16BE')
    with pytest.raises(InvalidSample, match=r'as S16LE .* as S16BE'):
        convert_audio(Message(data=encode(speech(), 'S16LE')), spec)


def tone(hertz, loudness):
    wave = np.sin(2 * np.pi * hertz * np.arange(320) / 16000) * loudness
    return np.repeat(wave[:, None], 2, axis=1)


@pytest.mark.parametrize('sound', [
    speech(), speech(loudness=0.001), NOISE, NOISE * 3.5, NOISE * 0.001, np.zeros((320, 2)),
    tone(7990, 0.5), tone(4000, 0.999), tone(100, 0.01), np.sign(tone(900, 1)) * 0.999,
    np.clip(speech(loudness=30), -1, 0.999), np.round(speech(loudness=0.9) * 127) / 128,
    np.round(NOISE * 2 * 127) / 128, np.full((320, 2), 0.45), np.full((320, 2), -1.0),
], ids=lambda sound: f'{sound.std():.4f}')
def test_what_is_little_endian_is_never_doubted(sound):
    data = convert_audio(Message(data=encode(sound, 'S16LE')), STEREO).data
    assert np.abs(data - sound.T).max() < 1e-4


@pytest.mark.parametrize(('values', 'reason'), [
    ([0.1, np.nan], 'got a sample of nan'), ([0.1, np.inf], 'got a sample of inf'),
    ([0.1, 1e9], r'got a sample of 1e\+09, expected F32LE within ±1')])
def test_floats_that_are_no_samples_are_refused(values, reason):
    spec = AudioSpec(channels=2, sample_format='F32LE')
    with pytest.raises(InvalidSample, match=reason):
        convert_audio(Message(data=np.array(values, '<f4').tobytes()), spec)


def test_overdriven_floats_are_clipped():
    spec = AudioSpec(channels=1, sample_format='F32LE')
    data = convert_audio(Message(data=np.array([0.5, -1.5, 3], '<f4').tobytes()), spec).data
    assert data.tolist() == [[0.5, -1.0, 1.0]]
