"""Sound and moving pictures to a class: what is being done."""

from __future__ import annotations

from collections.abc import Mapping
import types
from typing import Any

from torch import nn, Tensor

from ..modality_preprocessing import AudioPreprocessor, VideoPreprocessor
from ..multimodal_fusion import FusionInfo, FusionStrategy, ModalityType
from .model import audio_shape, build_network, FusionModel


class AudioVideoModel(FusionModel):
    """A clip and its sound, either of them alone too, to class logits.

    Args:
        video_frames: Frames of a clip.
        audio_sample_rate: Hz.
        fusion_dim: Width of the fused features.
        num_classes: Classes; 400 is the size of Kinetics-400.
        video_architecture: ``'3d'`` or ``'frame'``.
        frame_architecture: Architecture of the trunk of ``'frame'``.
        video_channels: Channels of a frame.
        video_pooling: How ``'frame'`` sums up a clip; see ``VideoPreprocessor``.
        audio_channels: Microphones; 1 takes ``[B, samples]``, more ``[B, C, samples]``.
        audio_mels: Mel bands.
        audio_pooling: How a sound is summed up over time; see ``AudioPreprocessor``.
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        num_attention_heads: Heads of cross-modal attention.
        encoder_dim: Width of preprocessed and encoded features.
        liquid_units: Liquid units per encoder, and of the joint memory.
        spiking_units: Neurons per modality.
        num_spike_steps: Spike steps per clip.
        beta: Initial membrane decay per spike step.
        backbone: Liquid cell: ``'cfc'``, ``'ltc'``, ``'ncp'`` or ``'ncp_ltc'``.
        backbone_options: Further arguments of the liquid cells, such as ``{'mixed_memory':
            True}``; see ``ModalityConfig``.
        coding: How features reach the neurons: ``'direct'``, ``'rate'``, ``'latency'`` or
            ``'delta'``; see ``spike_coding``.
        spiking_options: Further arguments of the neurons, such as ``{'reset': 'zero'}``; see
            ``ModalityConfig``.
        dropout: Dropout of encoded features.
        modality_dropout: Chance that a modality is dropped while training.
        backend: ``'fused'`` or ``'reference'``.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    earlier = types.MappingProxyType({'audio_pooling': 'last', 'video_pooling': 'last'})

    def __init__(
        self,
        video_frames: int = 16,
        audio_sample_rate: int = 16000,
        fusion_dim: int = 512,
        num_classes: int = 400,
        *,
        video_architecture: str = '3d',
        frame_architecture: str = 'efficient',
        video_channels: int = 3,
        video_pooling: str = 'attention',
        audio_channels: int = 1,
        audio_mels: int = 128,
        audio_pooling: str = 'attention',
        fusion_strategy: FusionStrategy | str = 'hierarchical',
        num_attention_heads: int = 12,
        encoder_dim: int = 512,
        liquid_units: int = 256,
        spiking_units: int = 128,
        num_spike_steps: int = 32,
        beta: float = 0.95,
        backbone: str = 'cfc',
        backbone_options: Mapping[str, Any] | None = None,
        coding: str = 'direct',
        spiking_options: Mapping[str, Any] | None = None,
        dropout: float = 0.1,
        modality_dropout: float | Mapping[str, float] = 0.0,
        backend: str = 'fused',
    ) -> None:
        arguments = dict(locals())
        super().__init__()
        self.remember(arguments)
        self.sample_shapes = {'video': (video_frames, video_channels, 'H', 'W'),
                              'audio': audio_shape(audio_channels)}
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {
            'video': (ModalityType.VIDEO, VideoPreprocessor(
                video_frames, encoder_dim, video_architecture, input_channels=video_channels,
                frame_architecture=frame_architecture, pooling=video_pooling)),
            'audio': (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, encoder_dim, channels=audio_channels,
                pooling=audio_pooling)),
        }
        self.network = build_network(preprocessors, num_classes, arguments)
        self.num_classes = num_classes

    def forward(
        self,
        video: Tensor | None,
        audio: Tensor | None = None,
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """Classify a clip.

        Args:
            video: ``[B, video_frames, C, H, W]`` in [0, 1], or None.
            audio: ``[B, samples]`` in [−1, 1] (``[B, C, samples]`` with more microphones), or
                None.
            return_modality_features: Also return info, with the encoded features.
            return_attention_maps: Also return info, with the attention maps.

        Returns:
            Logits ``[B, num_classes]``, or ``(logits, info)``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        return self._once(return_modality_features, return_attention_maps,
                          video=video, audio=audio)
