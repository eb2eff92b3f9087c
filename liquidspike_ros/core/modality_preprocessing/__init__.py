"""Preprocessors: one raw input in, one feature vector per sample out."""

from __future__ import annotations

from .audio import AudioPreprocessor
from .sensor import LidarPreprocessor, SensorPreprocessor
from .text import TextPreprocessor, TokenEmbedding
from .video import VideoPreprocessor
from .vision import VisionPreprocessor

__all__ = [
    'AudioPreprocessor',
    'LidarPreprocessor',
    'SensorPreprocessor',
    'TextPreprocessor',
    'TokenEmbedding',
    'VideoPreprocessor',
    'VisionPreprocessor',
]
