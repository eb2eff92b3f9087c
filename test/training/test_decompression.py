"""What recordings hold is decompressed, never more than their size makes believable."""

from __future__ import annotations

import bz2
import io
import sys

import lz4.frame
import pytest

from liquidspike_ros.training.decompression import (
    ALWAYS,
    believable,
    BoundedZstdFile,
    decompress,
    DecompressionError,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {'zstd': zstd.compress, 'lz4': lz4.frame.compress}
PACKED = pytest.mark.parametrize('name', ['zstd', 'lz4'])
DATA = bytes(range(256)) * 4000


@PACKED
def test_what_was_compressed_comes_back(name):
    packed = COMPRESS[name](DATA)
    assert decompress(packed, name) == decompress(packed, name, len(DATA)) == DATA
    assert decompress(packed + COMPRESS[name](b'more'), name) == DATA + b'more'
    assert decompress(b'', name) == b''
    assert decompress(COMPRESS[name](b''), name, 0) == b''


def test_data_as_it_is_stays_so():
    assert decompress(DATA, '') == DATA
    with pytest.raises(DecompressionError, match=r'got 1,024,000 bytes, expected 7'):
        decompress(DATA, '', 7)


@PACKED
def test_pictures_of_one_colour_pass_at_any_ratio(name):
    black = bytes(4_000_000)
    assert decompress(COMPRESS[name](black), name, len(black)) == black


def test_a_bomb_is_stopped_while_it_unpacks():
    bomb = zstd.compress(bytes(8 * ALWAYS))
    assert len(bomb) < 10_000
    with pytest.raises(DecompressionError, match='becomes more than its size makes believable'):
        decompress(bomb, 'zstd')
    with pytest.raises(DecompressionError, match=r'said to become 268,435,456, expected at most'):
        decompress(bomb, 'zstd', 8 * ALWAYS)
    with pytest.raises(DecompressionError, match='becomes more than'):
        decompress(bomb, 'zstd', 1000)
    many = zstd.compress(bytes(ALWAYS // 2)) * 3
    with pytest.raises(DecompressionError, match='becomes more than'):
        decompress(many, 'zstd')


@PACKED
def test_damage_is_one_line(name):
    packed = COMPRESS[name](DATA)
    for data, size in ((packed[:-10], None), (packed, len(DATA) + 1), (packed, len(DATA) - 1),
                       (b'nonsense', None), (packed + b'tail', None)):
        with pytest.raises(DecompressionError) as caught:
            decompress(data, name, size)
        assert len(str(caught.value)) <= 500


def test_a_window_larger_than_the_data_could_be_is_refused():
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.checksum_flag: 0}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(b'x' * 100) + compressor.flush()
    with pytest.raises(DecompressionError, match='not zstd'):
        decompress(packed, 'zstd')


def test_an_unknown_compression_is_named():
    with pytest.raises(DecompressionError, match='compression: got gzip, expected zstd'):
        decompress(b'x', 'gzip')


def test_large_data_may_be_large():
    assert believable(10 << 20) == 1 << 30
    assert believable(1 << 20) == 200 << 20
    assert believable(0) == ALWAYS


def test_files_are_bounded_too():
    file = BoundedZstdFile(io.BytesIO(zstd.compress(DATA)))
    assert file.read(10) + file.read() == DATA
    assert file.read(10) == b''
    bomb = BoundedZstdFile(io.BytesIO(zstd.compress(bytes(2 * ALWAYS))))
    with pytest.raises(DecompressionError, match='believable'):
        while bomb.read(1 << 20):
            pass
    with pytest.raises(DecompressionError, match='not zstd'):
        BoundedZstdFile(io.BytesIO(b'nonsense')).read()


def test_old_recordings_compress_otherwise():
    assert decompress(bz2.compress(DATA), 'bz2', len(DATA)) == DATA
    for bad in (bz2.compress(bytes(2 * ALWAYS)), bz2.compress(DATA)[:-9], b'BZh9nonsense'):
        with pytest.raises(DecompressionError):
            decompress(bad, 'bz2')
