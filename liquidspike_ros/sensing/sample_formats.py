"""How ``AudioData`` holds samples: decoding by name, and noticing that the name is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .observation import InvalidSample

Array = NDArray[Any]


@dataclass(frozen=True)
class SampleFormat:
    """One sample in bytes: the numpy type of it, its zero and its full scale."""

    dtype: str
    full: float
    zero: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of a sample."""
        return int(self.dtype[-1])


# Names of GStreamer, as audio_common_msgs/AudioInfo has them (robot.SAMPLE_FORMATS).
FORMATS = {
    'S16LE': SampleFormat('<i2', 2.0**15), 'S16BE': SampleFormat('>i2', 2.0**15),
    'S8': SampleFormat('i1', 2.0**7), 'U8': SampleFormat('u1', 2.0**7, 2.0**7),
    'S24LE': SampleFormat('<i3', 2.0**31), 'S24BE': SampleFormat('>i3', 2.0**31),
    'S32LE': SampleFormat('<i4', 2.0**31), 'S32BE': SampleFormat('>i4', 2.0**31),
    'F32LE': SampleFormat('<f4', 1.0), 'F32BE': SampleFormat('>f4', 1.0),
    'F64LE': SampleFormat('<f8', 1.0), 'F64BE': SampleFormat('>f8', 1.0),
}
MAX_FLOAT = 64.0  # overdriven floats are clipped; beyond this they are no samples

# First bytes of files and streams that are not bare samples.
_CONTAINERS = {b'RIFF': 'a WAV file', b'OggS': 'Ogg', b'fLaC': 'FLAC', b'ID3': 'MP3',
               b'FORM': 'AIFF', b'.snd': 'an AU file', b'caff': 'a CAF file',
               b'\x1a\x45\xdf\xa3': 'WebM', b'#!AMR': 'AMR'}
_KBIT = {  # MPEG audio layer III by version: kbit/s by index 1 to 14
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = (44100, 48000, 32000)
_COMPARED = 1024  # bytes looked at: enough to tell, little enough for every message
_ROUGH, _SMOOTH, _LOUD = 0.9, 0.4, 0.2


def samples_of(raw: Array, name: str) -> Array:
    """Bytes as float32 samples in [−1, 1] ``[n]``, by the format's name.

    Raises:
        InvalidSample: Not a whole number of samples, or floats that are none.
    """
    form = FORMATS[name]
    if raw.size % form.size:
        raise InvalidSample(f'data: got {raw.size} bytes, expected a multiple of {form.size} '
                            f'({name})')
    with np.errstate(over='ignore', invalid='ignore'):
        values = (_numbers(raw, form) - np.float32(form.zero)) / np.float32(form.full)
    if form.dtype[-2] != 'f':
        return values
    largest = float(np.abs(values).max()) if values.size else 0.0
    if not largest <= MAX_FLOAT:
        raise InvalidSample(f'data: got a sample of {largest:g}, expected {name} within ±1')
    return values.clip(-1.0, 1.0)


def _numbers(raw: Array, form: SampleFormat) -> Array:
    if form.size == 3:  # numpy has no such integer: the three bytes become the high ones of four
        four = np.zeros((raw.size // 3, 4), np.uint8)
        high = slice(1, 4) if form.dtype[0] == '<' else slice(0, 3)
        four[:, high] = raw.reshape(-1, 3)
        return four.view(f'{form.dtype[0]}i4').reshape(-1).astype(np.float32)
    return raw.view(form.dtype).astype(np.float32)


def container_of(raw: Array) -> str:
    """What the bytes are by their header: a file or stream that is no bare samples; else ''."""
    start = raw[:8].tobytes()
    for first, name in _CONTAINERS.items():
        if start.startswith(first):
            return name
    length = _mpeg_frame(start)
    if length and (length == raw.size or (
            length < raw.size and _mpeg_frame(raw[length:length + 4].tobytes()))):
        return 'MP3'
    # An AAC frame tells its own length (13 bits from bit 30).
    if len(start) >= 7 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0:
        length = int.from_bytes(start[3:6], 'big') >> 5 & 0x1FFF
        if length == raw.size or raw[length:length + 2].tobytes() == start[:2]:
            return 'AAC'
    return ''


def _mpeg_frame(header: bytes) -> int:
    """Bytes of the MPEG layer III frame that starts so; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return 0
    old = 1 if version == 3 else 2
    hertz = _MPEG_RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if old == 1 else 72) * 1000 * _KBIT[old][bits - 1] // hertz + (header[2] >> 1 & 1)


def _roughness(samples: Array, channels: int) -> float:
    """Mean step from sample to sample against the mean size: noise 1.4, sound less, silence 0."""
    usable = samples[:samples.size // channels * channels].reshape(-1, channels)
    if len(usable) < 32:
        return 0.0
    size = float(np.abs(usable - usable.mean(axis=0)).mean())
    return float(np.abs(usable[1:] - usable[:-1]).mean()) / size if size else 0.0


def better_format(raw: Array, name: str, channels: int) -> str:
    """What the bytes are if not samples of the format ``name``: a line with both figures, or ''.

    Sound is smooth from sample to sample, or at least not loud; read in the wrong byte order it is
    loud noise. Floats read as integers are noise, and hardly any integers read as floats lie
    within ±1. Bytes that are noise either way say nothing. (Another width shows in bytes per
    second: ``plausibility``.)
    """
    looked = raw[:_COMPARED - _COMPARED % (channels * 24)]
    form, samples = FORMATS[name], _shown(looked, name)
    rough, loud = _roughness(samples, channels), _rms(samples)
    if rough < _ROUGH and loud < _LOUD:
        return ''
    swapped = name[:-2] + {'LE': 'BE', 'BE': 'LE'}.get(name[-2:], '')
    if swapped in FORMATS and form.dtype[-2] == 'i':
        other = _shown(looked, swapped)
        smooth, quiet = _roughness(other, channels), _rms(other)
        if rough >= _ROUGH and 0 < smooth < _SMOOTH:
            return _line(swapped, f'a mean step of {smooth:.2f} of the mean size', name,
                         f'{rough:.2f}')
        if loud >= _LOUD and _is_quieter(other, samples) and (
                loud > 8 * quiet or _is_confined(other, samples)):
            return _line(swapped, f'{quiet:.3f} of full scale', name, f'{loud:.3f}')
    if loud < _LOUD or form.dtype[-2] == 'f' or not _varied(samples):
        return ''
    for floats in ('F32LE', 'F32BE', 'F64LE', 'F64BE'):
        values = np.abs(_shown(looked, floats))
        values = values[values > 0]
        if values.size >= 32 and ((values > 1e-6) & (values <= 1.5)).mean() > 0.98:
            return _line(floats, f'{values.max():.3f} at most', name, f'noise, {loud:.3f} of full '
                         'scale')
    return ''


def _line(other: str, its: str, name: str, ours: str) -> str:
    return (f'as {other} {its}, as {name} {ours}: is it {other}? set '
            f'sensors.audio.sample_format: {other}')


def _is_quieter(other: Array, samples: Array) -> bool:
    """Neither 8-bit samples in 16 bits, whose low bytes have one sign, nor clipped sound."""
    below, clipped = float((other < 0).mean()), float((np.abs(samples) >= 32512).mean())
    return 0.1 < below < 0.9 and clipped < 0.05 and _varied(samples)


def _is_confined(other: Array, samples: Array) -> bool:
    """Within half of full scale, where the low bytes of sound would go anywhere."""
    half = 16384.0
    return bool((np.abs(other) < half).mean() > 0.995 and (np.abs(samples) > half).mean() > 0.3)


def _varied(samples: Array) -> bool:
    return np.unique(samples // 256).size >= 16


def _rms(samples: Array) -> float:
    """Root mean square of int16-like samples, of full scale."""
    return float(np.sqrt(np.mean(np.square(samples / 32768.0)))) if samples.size >= 64 else 0.0


def _shown(raw: Array, name: str) -> Array:
    """The bytes as that format would have them; empty where they cannot be samples of it."""
    form = FORMATS[name]
    with np.errstate(over='ignore', invalid='ignore'):
        values = _numbers(raw[:raw.size // form.size * form.size], form)
        if form.dtype[-2] == 'f':
            return values if (np.abs(values) <= MAX_FLOAT).all() else values[:0]
    return (values - form.zero) * np.float32(32768.0 / form.full)
