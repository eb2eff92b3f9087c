"""The recommended settings by name; ``Model.preset(name)`` builds from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Model class -> preset -> constructor arguments. What is not named here is the model's default.
PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    'RobotMultiSensorModel': {
        # Early fusion is the fastest; sensors always go through 1D convolutions.
        'robot_control': {
            'fusion_strategy': 'early', 'camera_architecture': 'efficient',
            'num_attention_heads': 4,
        },
    },
    'VisionLanguageModel': {
        'image_captioning': {
            'task': 'captioning', 'fusion_strategy': 'hybrid', 'vision_architecture': 'resnet',
            'num_attention_heads': 8,
        },
    },
    'AudioVideoModel': {
        # Audio is always a log-mel spectrogram.
        'video_understanding': {
            'fusion_strategy': 'hierarchical', 'video_architecture': '3d',
            'num_attention_heads': 12,
        },
    },
    'TriModalModel': {
        # Late fusion is interpretable: every modality casts its own, weighted vote.
        'content_moderation': {'fusion_strategy': 'late', 'num_attention_heads': 6},
    },
}


def preset_arguments(model: str, name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments of a preset, ``overrides`` on top.

    Raises:
        ValueError: The model has no preset of that name.
    """
    presets = PRESETS.get(model, {})
    if name not in presets:
        raise ValueError(f'preset: got {name!r}, expected one of {", ".join(presets)} '
                         f'for {model}')
    return {**presets[name], **overrides}
