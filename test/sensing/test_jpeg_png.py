"""Pictures as cameras send them, and pictures made to hurt: measured before they are unpacked."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest

from liquidspike_ros.robot import CameraSpec
from liquidspike_ros.sensing.image import convert_compressed_image
from liquidspike_ros.sensing.observation import InvalidSample

SPEC = CameraSpec(width=32, height=24)
RNG = np.random.default_rng(3)
SMOOTH = np.stack(np.meshgrid(np.linspace(20, 220, 32), np.linspace(50, 200, 24)), axis=-1)
RGB = np.dstack((SMOOTH, np.full((24, 32), 90))).astype(np.uint8)


def jpeg(image=RGB, *options):
    return cv2.imencode('.jpg', image[..., ::-1], list(options))[1].tobytes()


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width=32, height=24, bits=8, colour=2, data=None, before=b''):
    values = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if data is None:
        data = zlib.compress(bytes((1 + width * values * bits // 8) * height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits,
                                                              colour, 0, 0, 0))
            + before + chunk(b'IDAT', data) + chunk(b'IEND', b''))


def convert(msgs, data, text='rgb8; jpeg compressed bgr8', spec=SPEC):
    return convert_compressed_image(msgs.compressed(data, format=text), spec).data


class TestAsCamerasSendThem:
    @pytest.mark.parametrize('rest', [
        bytes(1), bytes(70_000), jpeg(RNG.integers(0, 256, (24, 32, 3), np.uint8))[300:],
        jpeg(RGB[::-1]), b'\xff\xd9', b'\xff', b'\xff\xd8', bytes(range(256)) * 9])
    def test_what_follows_the_end_of_a_jpeg_is_left(self, msgs, rest):
        assert np.array_equal(convert(msgs, jpeg() + rest), convert(msgs, jpeg()))

    @pytest.mark.parametrize('rest', [bytes(9000), png(), b'\0'])
    def test_what_follows_the_end_of_a_png_is_left(self, msgs, rest):
        whole = cv2.imencode('.png', RGB[..., ::-1])[1].tobytes()
        assert np.array_equal(convert(msgs, whole + rest), RGB)

    def test_the_end_of_a_thumbnail_is_not_the_end(self, msgs):
        thumbnail = b'Exif\0\0' + jpeg(RGB[:8, :8])
        segment = b'\xff\xe1' + struct.pack('>H', len(thumbnail) + 2) + thumbnail
        data = jpeg()[:2] + segment + jpeg()[2:]
        assert np.array_equal(convert(msgs, data), convert(msgs, jpeg()))

    @pytest.mark.parametrize('options', [
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 2), (cv2.IMWRITE_JPEG_QUALITY, 30)])
    def test_kinds_of_jpeg(self, msgs, options):
        image = convert(msgs, jpeg(RGB, *options))
        assert np.abs(image.astype(int) - RGB).mean() < 6

    def test_a_grey_jpeg_of_a_colour_camera(self, msgs):
        data = cv2.imencode('.jpg', RGB[..., 0])[1].tobytes()
        image = convert(msgs, data, 'yuv422_yuy2; jpeg compressed mono8')
        assert np.abs(image.astype(int) - RGB[..., :1]).max() < 12

    def test_a_cmyk_jpeg(self, msgs):
        images = pytest.importorskip('PIL.Image')
        file = io.BytesIO()
        images.fromarray(RGB).convert('CMYK').save(file, 'JPEG', quality=95)
        assert np.abs(convert(msgs, file.getvalue()).astype(int) - RGB).mean() < 6

    def test_palette_and_alpha(self, msgs):
        palette = chunk(b'PLTE', bytes(range(6))) + chunk(b'tRNS', b'\0\x80')
        rows = zlib.compress((b'\0' + b'\1' * 32) * 24)
        assert np.array_equal(convert(msgs, png(colour=3, data=rows, before=palette)),
                              np.broadcast_to([3, 4, 5], (24, 32, 3)))
        rows = zlib.compress((b'\0' + bytes((77, 3)) * 32) * 24)
        assert (convert(msgs, png(colour=4, data=rows)) == 77).all()
        rows = zlib.compress((b'\0' + bytes((9, 8, 7, 0)) * 32) * 24)
        assert np.array_equal(convert(msgs, png(colour=6, data=rows))[0, 0], [9, 8, 7])

    def test_a_very_large_jpeg_comes_at_a_fraction_of_its_size(self, msgs):
        big = cv2.resize(RGB, (3200, 2400), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(big, (32, 24), interpolation=cv2.INTER_AREA)
        assert np.abs(convert(msgs, jpeg(big)).astype(int) - small).mean() < 2


def scans(count):
    data = jpeg()
    at = data.index(b'\xff\xda')
    return data[:at] + data[at:-2] * count + data[-2:]


def frame(width, height, data=None, marker=None):
    """A JPEG whose frame header says another size or kind."""
    data = bytearray(data or jpeg())
    at = next(data.index(bytes((0xFF, kind))) for kind in (0xC0, 0xC2)
              if bytes((0xFF, kind)) in data)
    data[at + 5:at + 9] = struct.pack('>HH', height, width)
    if marker is not None:
        data[at + 1] = marker
    return bytes(data)


PROGRESSIVE = jpeg(RGB, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
ZEROS = zlib.compress(bytes(60_000_000), 9)  # 58 kB
BOMBS = {
    'a PNG of 86 bytes': (png(34_000, 34_000, data=bytes(17)), '34000 × 34000'),
    'more pixels than the data can hold': (png(3000, 3000, data=bytes(17)), r'17 compressed byt'),
    'as many as they can hold, and too many': (png(4500, 4000, data=ZEROS), '108 MB'),
    'one very long row': (png(2**31 - 1, 1, data=bytes(17)), '2147483647 × 1'),
    'no pixels': (png(0, 5, data=bytes(17)), '0 × 5'),
    'a chunk longer than the file': (
        png()[:33] + struct.pack('>I', 2**31 - 1) + b'IDAT' + bytes(50), 'truncated PNG'),
    'an animation': (png(before=chunk(b'acTL', struct.pack('>II', 2**31 - 1, 0))), 'animated'),
    'very many chunks': (png(before=chunk(b'tEXt', b'') * 70_000), 'more than 65536 chunks'),
    'a colour type that is none': (png().replace(b'\x08\x02\0\0\0', b'\x08\x05\0\0\0'),
                                   'colour type 5'),
    'a JPEG of more pixels than bytes': (frame(8000, 8000), 'expected at least'),
    'a progressive one': (frame(8000, 6000, PROGRESSIVE), 'MB to decode|expected at least'),
    'a side too long': (frame(65_500, 8), '65500 × 8'),
    'very many scans': (scans(40), 'more than 32 scans'),
    'very many segments': (jpeg()[:2] + b'\xff\xfe\0\2' * 5000 + jpeg()[2:], '4096 segments'),
    'two frame headers': (jpeg()[:-2] + jpeg()[2:], 'two frame headers'),
    'no lines': (frame(32, 0), '32 × 0'),
    'arithmetic coding': (frame(32, 24, marker=0xC9), 'SOF9'),
    'lossless': (frame(32, 24, marker=0xC3), 'SOF3'),
}


class TestMadeToHurt:
    @pytest.mark.parametrize('name', BOMBS)
    def test_refused_before_it_is_unpacked(self, msgs, name, monkeypatch):
        data, reason = BOMBS[name]
        monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('unpacked'))
        with pytest.raises(InvalidSample, match=reason) as caught:
            convert(msgs, data)
        assert len(str(caught.value)) < 200

    def test_profiles_and_texts_are_not_unpacked(self, msgs, monkeypatch):
        before = (chunk(b'iCCP', b'name\0\0' + ZEROS) + chunk(b'zTXt', b'name\0\0' + ZEROS)
                  + chunk(b'iTXt', b'name\0\1\0\0\0' + ZEROS))
        given = []
        decode = cv2.imdecode
        monkeypatch.setattr(cv2, 'imdecode',
                            lambda data, flags: given.append(data) or decode(data, flags))
        assert not convert(msgs, png(before=before)).any()
        assert given[0].size < 200

    def test_a_picture_of_as_many_pixels_as_a_camera_has_is_taken(self, msgs):
        rows = zlib.compress(bytes(2160 * (1 + 3 * 3840)), 9)
        assert not convert(msgs, png(3840, 2160, data=rows)).any()
