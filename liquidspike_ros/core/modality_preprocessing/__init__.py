"""Preprocessors: one raw input in, one feature vector per sample out.

One module a sense: ``vision`` (with the trunks of ``resnet``), ``sensor`` (windows and scans),
``audio`` (with the ``spectral`` trunk), ``video``, ``text``; ``pooling`` over time. ``in_c`` runs
those of a deployed policy in C (pictures by ``in_c_pictures``, layers laid out by
``in_c_layouts``).
"""

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
