"""PCM audio messages -> float32 ``[channels, n]`` in [−1, 1]."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..robot import AudioSpec
from .fields import byte_array, converter, number_array, stamp_of
from .observation import InvalidSample, Sample
from .resampling import change_rate
from .sample_formats import better_format, container_of, samples_of

MAX_SAMPLES = 10_000_000
MAX_BYTES = 8 * MAX_SAMPLES
MAX_SECONDS = 10.0  # of one message; a change of rate may make many samples of few


def _frames(pcm: NDArray[Any], channels: int) -> NDArray[Any]:
    """Interleaved samples as ``[channels, n]``."""
    if pcm.size == 0:
        raise InvalidSample('data: empty, expected samples')
    if pcm.size > MAX_SAMPLES:
        raise InvalidSample(f'data: got {pcm.size} samples, expected at most {MAX_SAMPLES}')
    if pcm.size % channels:
        raise InvalidSample(f'data: got {pcm.size} samples, expected a multiple of {channels} '
                            'channels')
    return pcm.reshape(-1, channels).T


def _from_layout(msg: Any, pcm: NDArray[Any], default: int) -> NDArray[Any]:
    """By ``layout.dim``: [frames, channels] is interleaved, [channels, frames] planar."""
    dims = [(str(dim.label).lower(), operator.index(dim.size)) for dim in msg.layout.dim]
    offset = operator.index(msg.layout.data_offset)
    if not 0 <= offset <= pcm.size:
        raise InvalidSample(f'layout.data_offset: got {offset}, expected 0 to {pcm.size}')
    pcm = pcm[offset:]
    if len(dims) < 2:
        return _frames(pcm, default)
    sizes = [size for _, size in dims]
    if len(dims) > 2 or min(sizes) < 1 or sizes[0] * sizes[1] != pcm.size:
        raise InvalidSample(f'layout.dim: got sizes {sizes[:4]}, expected [frames, channels] with '
                            f'product {pcm.size}')
    planar = dims[0][0].startswith('channel')
    channels = sizes[0] if planar else sizes[1]
    if channels > 64:
        raise InvalidSample(f'layout.dim: got {channels} channels, expected at most 64')
    return pcm.reshape(channels, -1) if planar else _frames(pcm, channels)


def mix(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """``[n_in, n]`` -> ``[channels, n]``: many to one is the mean, one to many is repeated.

    Between two different counts above one the first ``channels`` are taken, cyclically: averaging
    would destroy the time differences between microphones.
    """
    if samples.shape[0] == channels:
        return samples
    if channels == 1:
        return samples.mean(axis=0, keepdims=True)
    return samples[np.arange(channels) % samples.shape[0]]


def _sample(stamp: int, samples: NDArray[Any], spec: AudioSpec) -> Sample:
    rate = spec.source_rate or spec.sample_rate
    if samples.shape[1] > MAX_SECONDS * rate:
        raise InvalidSample(f'data: got {samples.shape[1] / rate:.1f} s of sound in one message, '
                            f'expected at most {MAX_SECONDS:g}')
    samples = change_rate(samples, rate, spec.sample_rate)
    return Sample(stamp, np.ascontiguousarray(mix(samples, spec.channels)))


def _bytes(data: Any, spec: AudioSpec) -> NDArray[Any]:
    raw, channels = np.ascontiguousarray(byte_array(data)), spec.source_channels or spec.channels
    if raw.size > MAX_BYTES:
        raise InvalidSample(f'data: got {raw.size} bytes, expected at most {MAX_BYTES}')
    container = container_of(raw)
    if container:
        raise InvalidSample(f'data: got {container} ({raw[:4].tobytes().hex()} at its start), '
                            f'expected {spec.sample_format} samples: set the driver to send those '
                            "(audio_capture: format 'wave')")
    samples = _frames(samples_of(raw, spec.sample_format), channels)
    better = better_format(raw, spec.sample_format, channels)
    if better:
        raise InvalidSample(f'data: {better}')
    return samples


@converter
def convert_int16(msg: Any, spec: AudioSpec) -> Sample:
    """``std_msgs/msg/Int16MultiArray``; carries no time, so the stamp is 0."""
    pcm = _from_layout(msg, number_array(msg.data, np.int16, 'data'),
                       spec.source_channels or spec.channels)
    return _sample(0, np.ascontiguousarray(pcm, np.float32) / np.float32(32768.0), spec)


@converter
def convert_bytes(msg: Any, spec: AudioSpec) -> Sample:
    """``audio_common_msgs/msg/AudioData``: bare samples of ``spec.sample_format``."""
    return _sample(0, _bytes(msg.data, spec), spec)


@converter
def convert_stamped_bytes(msg: Any, spec: AudioSpec) -> Sample:
    """``audio_common_msgs/msg/AudioDataStamped``: bare samples of ``spec.sample_format``."""
    return _sample(stamp_of(msg), _bytes(msg.audio.data, spec), spec)


def convert_audio(msg: Any, spec: AudioSpec) -> Sample:
    """Any of ``AUDIO_TYPES`` -> float32 ``[spec.channels, n]`` in [−1, 1], by the fields it has.

    Raises:
        InvalidSample: Empty, not a whole number of frames, MP3 or another coding, another sample
            format than the robot file says.
    """
    if hasattr(msg, 'layout'):
        return convert_int16(msg, spec)
    if hasattr(msg, 'audio'):
        return convert_stamped_bytes(msg, spec)
    return convert_bytes(msg, spec)
