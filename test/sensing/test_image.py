from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from liquidspike_ros.robot import CameraSpec
from liquidspike_ros.sensing.image import convert_compressed_image, convert_image
from liquidspike_ros.sensing.observation import InvalidSample

SPEC = CameraSpec(width=10, height=8)
RGB = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def test_rgb8_is_taken_as_it_is_without_a_copy(msgs):
    data = np.frombuffer(RGB.tobytes(), np.uint8).copy()
    sample = convert_image(msgs.image(RGB, data=data, t=1_500_000_000), SPEC)
    assert np.array_equal(sample.data, RGB)
    assert np.shares_memory(sample.data, data)
    assert sample.stamp == 1_500_000_000


@pytest.mark.parametrize('represent', [bytes, list, lambda d: array.array('B', d),
                                       lambda d: np.frombuffer(d, np.uint8), memoryview])
def test_data_in_every_representation(msgs, represent):
    sample = convert_image(msgs.image(RGB, data=represent(RGB.tobytes())), SPEC)
    assert np.array_equal(sample.data, RGB)


def _with_alpha(image):
    return np.dstack((image, np.full(image.shape[:2], 9, image.dtype)))


@pytest.mark.parametrize(('encoding', 'pixels'), [
    ('rgb8', RGB), ('bgr8', RGB[..., ::-1]), ('8UC3', RGB[..., ::-1]),
    ('rgba8', _with_alpha(RGB)), ('bgra8', _with_alpha(RGB[..., ::-1])),
    ('rgb16', RGB.astype(np.uint16) * 256 + 17), ('bgr16', RGB[..., ::-1].astype(np.uint16) * 256),
    ('rgba16', _with_alpha(RGB).astype(np.uint16) * 256 + 255),
])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('big', [False, True])
def test_colour_encodings_padding_and_endianness(msgs, encoding, pixels, padding, big):
    message = msgs.image(np.ascontiguousarray(pixels), encoding, padding=padding, big=big)
    assert np.array_equal(convert_image(message, SPEC).data, RGB)


@pytest.mark.parametrize(('encoding', 'pixels'), [
    ('mono8', GREY), ('8UC1', GREY), ('mono16', GREY.astype(np.uint16) * 256 + 3)])
@pytest.mark.parametrize('big', [False, True])
def test_grey_encodings(msgs, encoding, pixels, big):
    sample = convert_image(msgs.image(pixels, encoding, padding=3, big=big), SPEC)
    assert np.array_equal(sample.data, np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_patterns_name_the_first_two_by_two_pixels(msgs, pattern, bits):
    colour = {'r': 200, 'g': 100, 'b': 30}
    mosaic = np.zeros((8, 10), np.uint16)
    for i, letter in enumerate(pattern):
        mosaic[i // 2::2, i % 2::2] = colour[letter]
    pixels = mosaic.astype(np.uint8) if bits == 8 else mosaic * 256
    image = convert_image(msgs.image(pixels, f'bayer_{pattern}{bits}'), SPEC).data
    assert np.abs(image[2:-2, 2:-2].astype(int) - [200, 100, 30]).max() <= 1


@pytest.mark.parametrize(('encoding', 'order'), [
    ('yuv422', 'UYVY'), ('uyvy', 'UYVY'), ('yuv422_yuy2', 'YUYV'), ('yuyv', 'YUYV')])
def test_yuv422(msgs, encoding, order):
    flat = np.full((8, 10, 3), (180, 60, 90), np.uint8)
    y, u, v = cv2.cvtColor(flat, cv2.COLOR_RGB2YUV)[0, 0]
    row = np.array([{'Y': y, 'U': u, 'V': v}[letter] for letter in order] * 5, np.uint8)
    pixels = np.broadcast_to(row, (8, 20)).reshape(8, 10, 2).copy()
    image = convert_image(msgs.image(pixels, encoding), SPEC).data
    assert np.abs(image.astype(int) - flat).max() <= 30  # studio range against full range
    assert image[0, 0, 0] > image[0, 0, 2] > image[0, 0, 1]


def test_resized_by_area_only_where_the_size_differs(msgs):
    small = convert_image(msgs.image(np.repeat(np.repeat(RGB, 4, 0), 4, 1), 'bgr8'), SPEC).data
    assert np.array_equal(small, RGB[..., ::-1])
    assert small.flags.c_contiguous


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'step': 29}, 'step: got 29, expected at least 30'),
    ({'data': RGB.tobytes()[:-1]}, 'data: got 239 bytes'),
    ({'data': RGB.tobytes() + b'1'}, 'data: got 241 bytes'),
    ({'width': 0}, 'width: got 0'),
    ({'height': 2**32 - 1}, 'height: got 4294967295'),
    ({'width': 16384, 'height': 16384}, 'pixels'),
    ({'encoding': '32FC1'}, 'depth image 32FC1'),
    ({'encoding': '16UC1'}, 'depth image 16UC1'),
    ({'encoding': 'rgb9'}, "encoding: got 'rgb9'"),
    ({'encoding': 'yuv422', 'width': 9}, 'even number'),
    ({'data': None}, 'malformed'),
])
def test_contradictions_are_refused_with_a_reason(msgs, fields, reason):
    with pytest.raises(InvalidSample, match=reason) as caught:
        convert_image(msgs.image(RGB, **fields), SPEC)
    assert '\n' not in str(caught.value)


def _encode(image, extension, *options):
    return cv2.imencode(extension, image[..., ::-1], list(options))[1].tobytes()


def test_png_is_exact(msgs):
    sample = convert_compressed_image(msgs.compressed(_encode(RGB, '.png')), SPEC)
    assert np.array_equal(sample.data, RGB)


def test_jpeg_keeps_red_and_blue_apart(msgs):
    flat = np.full((8, 10, 3), (200, 40, 90), np.uint8)
    data = _encode(flat, '.jpg', cv2.IMWRITE_JPEG_QUALITY, 100) + b'\0\0'
    sample = convert_compressed_image(msgs.compressed(data), SPEC)
    assert np.abs(sample.data.astype(int) - flat).max() <= 3


def test_the_content_counts_and_not_the_format_text(msgs):
    message = msgs.compressed(_encode(RGB, '.png'), format='jpeg')
    assert np.array_equal(convert_compressed_image(message, SPEC).data, RGB)


JPEG, PNG = _encode(RGB, '.jpg'), _encode(RGB, '.png')
_HUGE = PNG[:16] + (60000).to_bytes(4, 'big') * 2 + PNG[24:]


@pytest.mark.parametrize(('data', 'reason'), [
    (b'', 'starts with nothing'),
    (b'GIF89a', 'expected JPEG or PNG'),
    (JPEG[:len(JPEG) // 2], 'truncated JPEG'),
    (PNG[:-6], 'truncated PNG'),
    (b'\xff\xd8\xff\xd9', 'without a frame header'),
    (_HUGE, '60000 × 60000'),
    (PNG[:8] + b'\0' * 40 + PNG[-8:], '0 × 0'),
    (PNG[:41] + bytes(len(PNG) - 53) + PNG[-12:], 'corrupt|imdecode'),
])
def test_broken_files_are_refused_before_they_are_unpacked(msgs, data, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_compressed_image(msgs.compressed(data), SPEC)


def test_compressed_depth_is_no_colour_image(msgs):
    with pytest.raises(InvalidSample, match='compressedDepth'):
        convert_compressed_image(msgs.compressed(PNG, format='16UC1; compressedDepth png'), SPEC)
