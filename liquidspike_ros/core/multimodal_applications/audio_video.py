"""Sound and moving pictures to a class: what is being done."""

from __future__ import annotations

import types
from typing import ClassVar, TYPE_CHECKING

from torch import nn, Tensor

from ..modality_preprocessing import AudioPreprocessor, VideoPreprocessor
from ..multimodal_fusion import FusionInfo, ModalityType
from .arguments import EncoderArguments
from .model import audio_shape, build_network, FusionModel

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
        encoder: See ``EncoderArguments``; by default hierarchical fusion, 12 attention heads.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    encoder_defaults: ClassVar[EncoderArguments] = {
        'fusion_strategy': 'hierarchical', 'num_attention_heads': 12}
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
        **encoder: Unpack[EncoderArguments],
    ) -> None:
        super().__init__()
        arguments = self.remember(
            encoder, video_frames=video_frames, audio_sample_rate=audio_sample_rate,
            fusion_dim=fusion_dim, num_classes=num_classes, video_architecture=video_architecture,
            frame_architecture=frame_architecture, video_channels=video_channels,
            video_pooling=video_pooling, audio_channels=audio_channels, audio_mels=audio_mels,
            audio_pooling=audio_pooling)
        width = arguments['encoder_dim']
        self.sample_shapes = {'video': (video_frames, video_channels, 'H', 'W'),
                              'audio': audio_shape(audio_channels)}
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {
            'video': (ModalityType.VIDEO, VideoPreprocessor(
                video_frames, width, video_architecture, input_channels=video_channels,
                frame_architecture=frame_architecture, pooling=video_pooling)),
            'audio': (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, width, channels=audio_channels,
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
