"""Damaged messages by the thousand: a valid sample or a reason comes out, and nothing else.

Runs some hundreds of a kind; ``LIQUIDSPIKE_FUZZ=100000`` (a number) runs that many of each.
"""

from __future__ import annotations

import copy
import math
import os
import random
import struct
from types import SimpleNamespace as Message
import zlib

import cv2
import numpy as np
import pytest

from liquidspike_ros.robot import (
    AUDIO_TYPES,
    AudioSpec,
    CameraSpec,
    IMAGE_TYPES,
    IMU_TYPES,
    ImuSpec,
    LIDAR_TYPES,
    LidarSpec,
    SAMPLE_FORMATS,
)
from liquidspike_ros.sensing.converters import convert, CONVERTERS
from liquidspike_ros.sensing.encodings import DEPTH, ENCODINGS
from liquidspike_ros.sensing.observation import InvalidSample, Sample

COUNT = int(os.environ.get('LIQUIDSPIKE_FUZZ', '600'))
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
NUMBERS = (0, 1, -1, 2, 3, 7, 16, 255, 65535, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -2**31,
           0.5, -0.0, 1e-40, 1e30, -1e300, math.nan, math.inf, -math.inf, math.pi, True)
ODD = (None, '', 'x', b'\0\1\2', [], [1, 2], [math.nan] * 9, ['a'], (), {}, object(),
       np.zeros(0, np.uint8), np.full(9, np.nan, np.float32), np.zeros((3, 3), np.int64),
       bytearray(33), memoryview(bytes(5)), 10**400, Message(), [Message()], [[1], [2, 3]],
       'é\n' * 40, '\0', *NUMBERS)
WORDS = (*ENCODINGS, *DEPTH, '8SC3', 'NV12', 'rgb8; jpeg compressed bgr8', 'mono16; png compressed',
         '16UC1; compressedDepth png', 'h264', 'camera_optical_frame', 'x', 'y', 'channels', '')

CAMERAS = (CameraSpec(width=8, height=8), CameraSpec(width=16, height=12))
MICROPHONES = (AudioSpec(channels=2),
               AudioSpec(channels=1, source_rate=44100, source_channels=2),
               *(AudioSpec(channels=2, sample_format=name) for name in SAMPLE_FORMATS[1:]))
SPECS = {
    **dict.fromkeys(IMAGE_TYPES, CAMERAS),
    IMU_TYPES[0]: (ImuSpec(), ImuSpec(acceleration_unit='g', angular_velocity_unit='deg/s',
                                      rotation=(0.1, 0.2, 3.0))),
    LIDAR_TYPES[0]: (LidarSpec(beams=8), LidarSpec(beams=90, no_return='nan,zero,beyond_max'),
                     LidarSpec(beams=16, angle_min=-1.0, angle_max=0.5, range_min=0.0)),
    LIDAR_TYPES[1]: (LidarSpec(beams=8), LidarSpec(beams=16, type=LIDAR_TYPES[1],
                                                   transform=(0.1, 0, 0.5, -1.5, 0, -1.5))),
    **dict.fromkeys(AUDIO_TYPES, MICROPHONES),
}


def compressed():
    """Pictures of every kind that is taken, and of some that are not."""
    bgr = PIXELS[..., ::-1]
    smooth = cv2.GaussianBlur(bgr, (5, 5), 2)
    options = [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)]
    yield from (cv2.imencode('.jpg', smooth, option)[1].tobytes() for option in options)
    yield cv2.imencode('.jpg', smooth[..., 0])[1].tobytes()
    for image in (bgr, bgr[..., 0], bgr.astype(np.uint16) * 257, np.dstack((bgr, bgr[..., :1]))):
        yield cv2.imencode('.png', image)[1].tobytes()


def originals(msgs, type_name):
    rng = np.random.default_rng(1)
    pcm = (np.sin(np.arange(256) / 9) * 9000).astype('<i2')
    if type_name == IMAGE_TYPES[0]:
        return [msgs.image(PIXELS), msgs.image(PIXELS[..., 0], 'mono8', padding=4),
                msgs.image(PIXELS.astype(np.uint16), 'rgb16', big=True),
                *(msgs.image(PIXELS[..., :2], 'nv12', step=16, height=24 // 3 * 2),
                  msgs.image(PIXELS[..., :2], 'yuv422'), msgs.image(PIXELS[..., 0], 'bayer_rggb8'))]
    if type_name == IMAGE_TYPES[1]:
        return [msgs.compressed(data) for data in compressed()]
    if type_name == IMU_TYPES[0]:
        return [msgs.imu(), msgs.imu((0, 0, 0), (0, 0, 9.8),
                                     angular_velocity_covariance=[-1.0] + [0.0] * 8)]
    if type_name == LIDAR_TYPES[0]:
        return [msgs.scan(rng.uniform(0.1, 9, n)) for n in (8, 90, 361)]
    if type_name == LIDAR_TYPES[1]:
        points = rng.normal(size=(24, 3)) * 2
        return [msgs.points(points, rows=4), msgs.points(points, big=True, point_padding=6),
                msgs.points(points, {'z': 'f8', 'x': 'i2', 'y': 'f4'}, rows=2, row_padding=5)]
    if type_name == AUDIO_TYPES[0]:
        return [msgs.audio(pcm, [('frames', 128), ('channels', 2)]), msgs.audio(pcm)]
    body = Message(data=pcm.tobytes())
    return [body] if type_name == AUDIO_TYPES[1] else [
        Message(header=msgs.header(5), audio=body)]


def places(message):
    """Every field of a message, nested ones included, as (owner, name)."""
    for name, value in vars(message).items():
        yield message, name
        for inner in value[:4] if isinstance(value, list) else [value]:
            if isinstance(inner, Message):
                yield from places(inner)


def damage_bytes(chance, data):
    """Flipped, cut, longer, doubled; in a PNG also with its check sums made right again."""
    data = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 2, 8))):
        if data:
            at = chance.choice((chance.randrange(len(data)), chance.randrange(min(40, len(data)))))
            data[at] = chance.choice((0, 1, 255, 0xD9, 0x7F, chance.randrange(256)))
    kind = chance.randrange(8)
    if kind == 0:
        data = data[:chance.randrange(len(data) + 1)]
    elif kind == 1:
        data += chance.randbytes(chance.choice((1, 4, 100)))
    elif kind == 2:
        at = chance.randrange(len(data) + 1)
        data = data[:at] + data[at // 2:at] * 3 + data[at:]
    return repair_png(bytes(data)) if data[:4] == b'\x89PNG' and chance.random() < 0.8 else (
        bytes(data))


def repair_png(data):
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = struct.unpack('>I', data[at:at + 4])[0]
        body = data[at + 4:at + 8 + length]
        out += data[at:at + 4] + body + struct.pack('>I', zlib.crc32(body))
        at += 12 + length
    return out


def damage_value(chance, value):
    if isinstance(value, (bytes, bytearray)):
        return damage_bytes(chance, value)
    if isinstance(value, str):
        return chance.choice(WORDS)
    if isinstance(value, np.ndarray) and value.size:
        value = value.reshape(-1).copy()
        with np.errstate(all='ignore'):
            for _ in range(chance.choice((1, 3, value.size))):
                number = chance.choice(NUMBERS)
                if value.dtype.kind == 'f':
                    value[chance.randrange(value.size)] = np.float64(number).astype(value.dtype)
                else:
                    value[chance.randrange(value.size)] = chance.randrange(-32768, 32768)
        return value[:chance.choice((value.size, value.size, value.size - 1, 1))]
    if isinstance(value, list):
        return chance.choice((value[::-1], value[:1], value * 2, [], [chance.choice(NUMBERS)] * 9))
    if isinstance(value, int) and chance.random() < 0.5:
        return value + chance.choice((-2, -1, 1, 2, value, 7 * value))
    return chance.choice(NUMBERS)


def damaged(chance, original):
    message = copy.deepcopy(original)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        fields = list(places(message))
        if not fields:
            break
        owner, name = chance.choice(fields)
        kind = chance.random()
        if kind < 0.03:
            delattr(owner, name)
        elif kind < 0.15:
            setattr(owner, name, chance.choice(ODD))
        elif not isinstance(getattr(owner, name), Message):
            setattr(owner, name, damage_value(chance, getattr(owner, name)))
    return message


def check(sample, spec):
    assert isinstance(sample, Sample)
    assert type(sample.stamp) is int
    data = sample.data
    assert data.flags.c_contiguous
    assert data.size
    if isinstance(spec, CameraSpec):
        assert data.dtype == np.uint8
        assert data.shape == spec.shape
        return
    assert data.dtype == np.float32
    if isinstance(spec, ImuSpec):
        assert data.shape == (6,)
        halves = np.isnan(data).reshape(2, 3)
        assert not halves.all()
        assert (halves.all(axis=1) == halves.any(axis=1)).all()  # a half is measured or it is not
        data = data[~np.isnan(data)]
    assert np.isfinite(data).all()
    if isinstance(spec, LidarSpec):
        assert data.shape == spec.shape
        assert (data[0] >= 0).all()
        assert (data[0] <= np.float32(spec.range_max)).all()
        assert set(np.unique(data[1])) <= {0, 1}
    if isinstance(spec, AudioSpec):
        assert data.shape[0] == spec.channels
        assert np.abs(data).max() <= 1


@pytest.mark.timeout(7200)
@pytest.mark.parametrize('type_name', CONVERTERS)
@pytest.mark.filterwarnings('error')
def test_a_valid_sample_or_a_reason(msgs, type_name):
    bases, taken = originals(msgs, type_name), 0
    for seed in range(COUNT):
        chance = random.Random(seed)
        spec = chance.choice(SPECS[type_name])
        message = damaged(chance, chance.choice(bases))
        reason = 'taken'
        try:
            check(convert(message, type_name, spec), spec)
            taken += 1
        except InvalidSample as error:
            reason = str(error)
        except BaseException as error:
            pytest.fail(f'seed {seed}: {error!r}')
        assert 0 < len(reason) < 500, seed
        assert reason.isprintable(), seed
    assert COUNT * 0.02 < taken < COUNT  # the damage is neither none nor total


@pytest.mark.parametrize('type_name', CONVERTERS)
def test_what_is_damaged_is_taken_while_it_is_whole(msgs, type_name):
    """Else the test above would see nothing but reasons."""
    for message in originals(msgs, type_name):
        check(convert(message, type_name, SPECS[type_name][0]), SPECS[type_name][0])
