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


FLAT = np.array((180, 60, 90), np.uint8)


def _yuv():
    # Studio range, as cameras send it: OpenCV has no full-range 4:2:0.
    y, u, v = (int(plane[0]) for plane in np.split(cv2.cvtColor(
        np.broadcast_to(FLAT, (2, 2, 3)).copy(), cv2.COLOR_RGB2YUV_I420).reshape(-1), [4, 5]))
    return {'Y': y, 'U': u, 'V': v}


def _plane(order, rows, length, padding):
    values = _yuv()
    line = [values[letter] for letter in order] * (length // len(order)) + [77] * padding
    return np.tile(np.array(line, np.uint8), (rows, 1)).reshape(-1)


@pytest.mark.parametrize(('encoding', 'chroma'), [
    # per plane: order, rows and length as shares of the image's
    ('nv12', [('UV', 2, 1)]), ('nv21', [('VU', 2, 1)]), ('NV12', [('UV', 2, 1)]),
    ('i420', [('U', 2, 0.5), ('V', 2, 0.5)]), ('yv12', [('V', 2, 0.5), ('U', 2, 0.5)]),
    ('yuv420p', [('U', 2, 0.5), ('V', 2, 0.5)]),
    ('nv16', [('UV', 1, 1)]), ('nv61', [('VU', 1, 1)]),
    ('nv24', [('UV', 1, 2)]), ('nv42', [('VU', 1, 2)]),
])
@pytest.mark.parametrize('padding', [0, 6])
def test_planar_yuv(msgs, encoding, chroma, padding):
    """``step`` is that of the luma plane; those of the others follow from it."""
    planes = [_plane('Y', 8, 10, padding)] + [
        _plane(order, 8 // rows, int(10 * share), int(padding * share))
        for order, rows, share in chroma]
    message = msgs.image(RGB, encoding, step=10 + padding, data=np.concatenate(planes))
    image = convert_image(message, SPEC).data
    assert np.abs(image.astype(int) - FLAT).max() <= 3


def test_planar_yuv_keeps_places_apart(msgs):
    picture = np.full((8, 10, 3), 30, np.uint8)
    picture[:4, :6] = FLAT
    i420 = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
    chroma = np.stack(np.split(i420[8:].reshape(-1), 2), axis=1)
    data = np.concatenate((i420[:8].reshape(-1), chroma.reshape(-1)))
    image = convert_image(msgs.image(RGB, 'nv12', step=10, data=data), SPEC).data
    assert np.abs(image.astype(int) - picture).max() <= 4


@pytest.mark.parametrize('encoding', ['RGB8', 'Rgb8'])
def test_encodings_in_any_case(msgs, encoding):
    assert np.array_equal(convert_image(msgs.image(RGB, encoding), SPEC).data, RGB)


@pytest.mark.parametrize('step', [0, 10, 1, 64, 9999, 2**32 - 1])
@pytest.mark.parametrize('encoding', ['rgb8', 'nv12'])
def test_a_wrong_step_where_the_data_leave_no_doubt(msgs, step, encoding):
    """Rows without padding fill the data exactly, so ``step`` is what is wrong."""
    data = RGB.tobytes()[:240 if encoding == 'rgb8' else 120]
    right = msgs.image(RGB, encoding, data=data, step=30 if encoding == 'rgb8' else 10)
    wrong = msgs.image(RGB, encoding, data=data, step=step)
    assert np.array_equal(convert_image(wrong, SPEC).data, convert_image(right, SPEC).data)


def test_step_in_pixels_with_padded_rows(msgs):
    message = msgs.image(RGB, padding=6)
    message.step = 12  # pixels of 3 bytes
    assert np.array_equal(convert_image(message, SPEC).data, RGB)


def test_the_last_row_may_lack_its_padding(msgs):
    message = msgs.image(RGB, padding=6)
    message.data = message.data[:-6]
    assert np.array_equal(convert_image(message, SPEC).data, RGB)


@pytest.mark.parametrize('surplus', [1, 3, 100])
def test_bytes_after_the_last_row_are_left(msgs, surplus):
    message = msgs.image(RGB, padding=6)
    message.data += bytes(surplus)
    assert np.array_equal(convert_image(message, SPEC).data, RGB)


def test_resized_by_area_only_where_the_size_differs(msgs):
    small = convert_image(msgs.image(np.repeat(np.repeat(RGB, 4, 0), 4, 1), 'bgr8'), SPEC).data
    assert np.array_equal(small, RGB[..., ::-1])
    assert small.flags.c_contiguous


@pytest.mark.parametrize(('fields', 'reason'), [
    ({'data': RGB.tobytes()[:-1]}, 'data: got 239 bytes and step 30, expected .* 240'),
    ({'data': bytes(248)}, 'data: got 248 bytes and step 30'),  # rows of 31, or 8 bytes after them
    ({'data': bytes(500)}, 'data: got 500 bytes'),
    ({'step': 31, 'data': bytes(256)}, 'data: got 256 bytes and step 31, expected .* 248, or 240'),
    ({'step': 0, 'data': bytes(256)}, 'data: got 256 bytes and step 0'),
    ({'width': 0}, 'width: got 0'),
    ({'height': 2**32 - 1}, 'height: got 4294967295'),
    ({'width': 16384, 'height': 16384}, 'pixels'),
    ({'encoding': '32FC1'}, 'depth image 32FC1'),
    ({'encoding': '16UC1'}, 'depth image 16UC1'),
    ({'encoding': 'rgb9'}, "encoding: got 'rgb9'"),
    ({'encoding': '8SC3'}, "encoding: got '8SC3'"),
    ({'encoding': 'yuv422', 'width': 9}, 'even number'),
    ({'encoding': 'nv12', 'width': 9}, 'width: got 9, expected an even number for nv12'),
    ({'encoding': 'nv12', 'height': 7}, 'height: got 7, expected an even number for nv12'),
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

@pytest.mark.parametrize(('data', 'reason'), [
    (b'', 'got nothing'),
    (b'\1\2\3\4\5', 'got 01020304 at its start, expected JPEG or PNG'),
    (JPEG[:len(JPEG) // 2], 'truncated JPEG'),
    (JPEG[:-2], 'truncated JPEG'),
    (PNG[:-6], 'truncated PNG'),
    (PNG[:-6] + bytes(40), 'truncated PNG|corrupt'),
    (b'\xff\xd8\xff\xd9', 'without a frame header'),
    (PNG[:8] + b'\0' * 40 + PNG[-8:], 'without a header'),
    (PNG[:41] + bytes(len(PNG) - 53) + PNG[-12:], 'corrupt|imdecode'),
])
def test_broken_files_are_refused_before_they_are_unpacked(msgs, data, reason):
    with pytest.raises(InvalidSample, match=reason):
        convert_compressed_image(msgs.compressed(data), SPEC)


@pytest.mark.parametrize(('text', 'reason'), [
    ('16UC1; compressedDepth png', 'compressedDepth'),
    ('32FC1; compressedDepth', 'compressedDepth'),
    ('16UC1; compressedDepth rvl', 'compressedDepth'),
    ('rvl', 'got rvl'),
    ('16UC1; png compressed ', 'depth image 16UC1'),
    ('32FC1; jpeg compressed', 'depth image 32FC1'),
    ('png compressed 16uc1', 'depth image 16uc1'),
])
def test_depth_is_no_colour_image(msgs, text, reason):
    with pytest.raises(InvalidSample, match=f'format: got {reason}|format: {reason}'):
        convert_compressed_image(msgs.compressed(PNG, format=text), SPEC)


DEEP = np.linspace(300, 5000, 80).reshape(8, 10).astype(np.uint16)


@pytest.mark.parametrize('text', ['png', '', 'mono8; png compressed'])
def test_one_channel_of_16_bits_is_depth_unless_it_is_said_to_be_grey(msgs, text):
    data = cv2.imencode('.png', DEEP)[1].tobytes()
    with pytest.raises(InvalidSample, match=r'16-bit channel .* depth image\?'):
        convert_compressed_image(msgs.compressed(data, format=text), SPEC)
    infrared = msgs.compressed(data, format='mono16; png compressed ')
    assert np.array_equal(convert_compressed_image(infrared, SPEC).data[..., 1], DEEP >> 8)


def test_a_colour_png_of_16_bits(msgs):
    data = cv2.imencode('.png', RGB[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(convert_compressed_image(msgs.compressed(data), SPEC).data, RGB)


def test_a_mosaic_is_no_grey_picture(msgs):
    for data in (cv2.imencode(kind, GREY)[1].tobytes() for kind in ('.png', '.jpg')):
        with pytest.raises(InvalidSample, match='grey picture of bayer_rggb8'):
            convert_compressed_image(
                msgs.compressed(data, format='bayer_rggb8; png compressed '), SPEC)


@pytest.mark.parametrize(('start', 'name'), [
    (b'RIFF\x10\0\0\0WEBPVP8 ', 'WebP'), (b'\0\0\0\x1cftypavif', 'AVIF'),
    (b'\0\0\0\x01\x67\x42', 'H.264'), (b'\0\0\x01\x65', 'H.264'), (b'GIF89a', 'GIF'),
    (bytes(12) + PNG, 'compressedDepth'), (b'II*\0', 'TIFF'), (b'\xff\x0a', 'JPEG XL'),
])
def test_other_codings_are_named(msgs, start, name):
    with pytest.raises(InvalidSample, match=f'data: got .*{name}.*, expected JPEG or PNG'):
        convert_compressed_image(msgs.compressed(start + bytes(50)), SPEC)
