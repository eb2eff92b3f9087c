"""Ready-made models: robot control, vision and language, audio and video, all three.

``robot``, ``vision_language`` (captions by ``generation``), ``audio_video`` and ``tri_modal``, on
what they share: ``model`` (configuration, ways in, state), ``arguments`` and ``presets``.
"""

from __future__ import annotations

from .audio_video import AudioVideoModel
from .generation import generate_caption
from .robot import RobotMultiSensorModel
from .tri_modal import TriModalModel
from .vision_language import CaptionLoss, VisionLanguageModel

__all__ = [
    'AudioVideoModel',
    'CaptionLoss',
    'RobotMultiSensorModel',
    'TriModalModel',
    'VisionLanguageModel',
    'generate_caption',
]
