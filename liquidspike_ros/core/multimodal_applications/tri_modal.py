"""Image, sound and text to a class."""

from __future__ import annotations

import types
from typing import ClassVar, TYPE_CHECKING

from torch import nn, Tensor

from ..modality_preprocessing import AudioPreprocessor, TextPreprocessor, VisionPreprocessor
from ..multimodal_fusion import FusionInfo, ModalityType
from .arguments import EncoderArguments
from .model import audio_shape, build_network, FusionModel, image_shape

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TriModalModel(FusionModel):
    """An image, a sound and a text, any subset of them, to class logits.

    Args:
        image_size: ``(C, H, W)``.
        text_vocab_size: Number of token ids.
        audio_sample_rate: Hz.
        fusion_dim: Width of the fused features.
        num_classes: Classes.
        text_seq_length: Longest text, tokens.
        text_pad_id: Id that stands for no token; see ``TokenEmbedding``.
        vision_architecture: ``'efficient'``, ``'simple'``, ``'resnet'`` or ``'resnet50'``.
        audio_channels: Microphones; 1 takes ``[B, samples]``, more ``[B, C, samples]``.
        audio_mels: Mel bands.
        audio_pooling: How a sound is summed up over time; see ``AudioPreprocessor``.
        encoder: See ``EncoderArguments``; by default late fusion, 6 attention heads.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    encoder_defaults: ClassVar[EncoderArguments] = {
        'fusion_strategy': 'late', 'num_attention_heads': 6}
    earlier = types.MappingProxyType({'audio_pooling': 'last'})

    def __init__(
        self,
        image_size: tuple[int, int, int] = (3, 224, 224),
        text_vocab_size: int = 50257,
        audio_sample_rate: int = 16000,
        fusion_dim: int = 512,
        num_classes: int = 1000,
        *,
        text_seq_length: int = 128,
        text_pad_id: int = 0,
        vision_architecture: str = 'efficient',
        audio_channels: int = 1,
        audio_mels: int = 128,
        audio_pooling: str = 'attention',
        **encoder: Unpack[EncoderArguments],
    ) -> None:
        super().__init__()
        arguments = self.remember(
            encoder, image_size=image_size, text_vocab_size=text_vocab_size,
            audio_sample_rate=audio_sample_rate, fusion_dim=fusion_dim, num_classes=num_classes,
            text_seq_length=text_seq_length, text_pad_id=text_pad_id,
            vision_architecture=vision_architecture, audio_channels=audio_channels,
            audio_mels=audio_mels, audio_pooling=audio_pooling)
        width = arguments['encoder_dim']
        image = image_shape('image_size', image_size)
        self.sample_shapes = {'images': image, 'audio': audio_shape(audio_channels),
                              'tokens': ('S',)}
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {
            'images': (ModalityType.VISION, VisionPreprocessor(
                image[0], width, vision_architecture)),
            'audio': (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, width, channels=audio_channels,
                pooling=audio_pooling)),
            'tokens': (ModalityType.TEXT, TextPreprocessor(
                text_vocab_size, width, text_seq_length, pad_id=text_pad_id)),
        }
        self.network = build_network(preprocessors, num_classes, arguments)
        self.num_classes = num_classes

    def forward(
        self,
        images: Tensor | None,
        audio: Tensor | None = None,
        tokens: Tensor | None = None,
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """Classify what is seen, heard and read.

        Args:
            images: ``[B, C, H, W]`` in [0, 1], or None.
            audio: ``[B, samples]`` in [−1, 1] (``[B, C, samples]`` with more microphones), or
                None.
            tokens: Ids ``[B, S]``, or None.
            return_modality_features: Also return info, with the encoded features.
            return_attention_maps: Also return info, with the attention maps.

        Returns:
            Logits ``[B, num_classes]``, or ``(logits, info)``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        return self._once(return_modality_features, return_attention_maps,
                          images=images, audio=audio, tokens=tokens)
