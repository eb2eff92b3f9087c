"""Microphones."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting
from .sensor import require_field, SensorSpec, TYPE

AUDIO_TYPES = (
    'std_msgs/msg/Int16MultiArray',
    'audio_common_msgs/msg/AudioData',
    'audio_common_msgs/msg/AudioDataStamped',
)
# Names as in audio_common_msgs/AudioInfo (GStreamer's).
SAMPLE_FORMATS = ('S16LE', 'S16BE', 'S8', 'U8', 'S24LE', 'S24BE', 'S32LE', 'S32BE', 'F32LE',
                  'F32BE', 'F64LE', 'F64BE')
LOWEST_SOURCE_RATE = 1000
"""Of an audio topic, Hz."""


@dataclass(frozen=True, kw_only=True)
class AudioSpec(SensorSpec):
    """PCM audio; the last ``window`` samples as float32 ``[channels, window]`` in [−1, 1].

    A topic of another rate or channel count is converted. The names of ``sample_format`` are those
    of GStreamer and of audio_common_msgs/AudioInfo.
    """

    topic: str = 'audio'
    type: str = setting(AUDIO_TYPES[0], TYPE, choices=AUDIO_TYPES)
    rate: float = 50.0
    max_age: float = 0.1
    sample_rate: int = setting(
        16000, 'Audio samples per second and channel', limits=(1000, 384_000), unit='Hz')
    channels: int = setting(2, 'Audio channels the model hears', limits=(1, 16))
    window: int = setting(
        1600, 'Audio samples per tick; at least one control period, so that none is skipped',
        limits=(64, 1_048_576), unit='samples')
    source_rate: int = setting(
        0, 'Sample rate of the topic, resampled if another; 0: sample_rate; else at least '
        f'{LOWEST_SOURCE_RATE}', limits=(0, 768_000), unit='Hz')
    source_channels: int = setting(
        0, 'Channels of the topic, mixed if another number; 0: channels; a count in the message '
        'layout goes first', limits=(0, 16))
    sample_format: str = setting(
        'S16LE', 'How AudioData holds a sample', choices=SAMPLE_FORMATS)

    def __post_init__(self) -> None:
        self._check('sensors.audio')
        require_field(self.source_rate == 0 or self.source_rate >= LOWEST_SOURCE_RATE,
                      'sensors.audio.source_rate', self.source_rate,
                      f'0 or a rate of at least {LOWEST_SOURCE_RATE} Hz')

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an ``Observation`` array."""
        return (self.channels, self.window)
