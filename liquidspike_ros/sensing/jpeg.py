"""Reading the structure of a JPEG (ITU-T T.81) without decoding it: its size and where it ends."""

from __future__ import annotations

from dataclasses import dataclass
import math
import re

from .observation import InvalidSample

SIGNATURE = b'\xff\xd8'
MAX_SEGMENTS = 4096
MAX_SCANS = 32  # a pass over all pixels each; encoders write about ten
_SCAN, _END = 0xDA, 0xD9
# Start-of-frame markers C0–CF hold the size; C4, C8 and CC are tables, not frames.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a segment
# In coded data FF is followed by 00 or a restart marker; anything else ends the scan.
_AFTER_SCAN = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]', re.DOTALL)


@dataclass(frozen=True)
class Jpeg:
    """What a JPEG holds.

    Attributes:
        width, height: px.
        blocks: Coded blocks of 8 × 8 values, all components together.
        components: 1 grey, 3 colour, 4 CMYK.
        progressive: Whether the decoder must hold all coefficients at once.
        end: Bytes up to and with the end marker; what follows is no part of it.
    """

    width: int
    height: int
    blocks: int
    components: int
    progressive: bool
    end: int = 0

    @property
    def least_bytes(self) -> int:
        """Fewest bytes of such a picture: per block a bit for DC, and one for its end."""
        return self.blocks // (8 if self.progressive else 4)

    def memory(self, scale: int) -> int:
        """Bytes a decoder takes that makes ``1 / scale`` of the width and height."""
        pixels = math.ceil(self.width / scale) * math.ceil(self.height / scale) * 3
        return pixels + (self.blocks * 128 if self.progressive else 0)


def _frame(marker: int, segment: bytes) -> Jpeg:
    if marker not in (_BASELINE, _EXTENDED, _PROGRESSIVE):
        raise InvalidSample(f'data: JPEG of kind SOF{marker - 0xC0} (lossless, arithmetic or '
                            'hierarchical), expected baseline or progressive')
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise InvalidSample('data: JPEG with a frame header of the wrong length')
    if segment[0] != 8:
        raise InvalidSample(f'data: JPEG of {segment[0]} bits a value, expected 8')
    height, width = (int.from_bytes(segment[at:at + 2], 'big') for at in (1, 3))
    factors = [divmod(segment[at], 16) for at in range(7, len(segment), 3)]
    if segment[5] not in (1, 3, 4) or any(not 1 <= f <= 4 for pair in factors for f in pair):
        raise InvalidSample(f'data: JPEG of {segment[5]} components with sampling {factors}, '
                            'expected 1, 3 or 4 with 1 to 4')
    widest, tallest = (max(pair[i] for pair in factors) for i in (0, 1))
    blocks = sum(math.ceil(width * h / widest / 8) * math.ceil(height * v / tallest / 8)
                 for h, v in factors)
    return Jpeg(width, height, blocks, segment[5], marker == _PROGRESSIVE)


def measure(data: memoryview) -> Jpeg:
    """Size and end of a JPEG from its segments.

    Drivers that keep frames in a buffer of fixed size send zeros or the rest of an earlier frame
    after the end marker.

    Raises:
        InvalidSample: Cut off, no frame header, more than one, or of a kind cameras do not send.
    """
    frame: Jpeg | None = None
    at, scans, size = 2, 0, len(data)
    for _ in range(MAX_SEGMENTS):
        while at + 2 < size and data[at] == data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if at + 2 > size:
            raise InvalidSample(f'data: truncated JPEG ({size} bytes, no end marker)')
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0:
            raise InvalidSample(f'data: JPEG without a marker at byte {at}, damaged')
        if marker == _END:
            if frame is None or not scans:
                raise InvalidSample('data: JPEG without a frame header')
            return Jpeg(**{**vars(frame), 'end': at + 2})
        length = 0 if marker in _ALONE else int.from_bytes(data[at + 2:at + 4], 'big')
        if at + 2 + length > size:
            raise InvalidSample(f'data: truncated JPEG ({size} bytes, no end marker)')
        if marker in _FRAMES:
            if frame is not None:
                raise InvalidSample('data: JPEG with two frame headers, expected one picture')
            frame = _frame(marker, bytes(data[at + 4:at + 2 + length]))
        at += 2 + length
        if marker == _SCAN:
            scans += 1
            after = _AFTER_SCAN.search(data, at)
            if after is None:
                raise InvalidSample(f'data: truncated JPEG ({size} bytes, no end marker)')
            at = after.start()
        if scans > MAX_SCANS:
            raise InvalidSample(f'data: JPEG of more than {MAX_SCANS} scans')
    raise InvalidSample(f'data: JPEG of more than {MAX_SEGMENTS} segments')
