"""Image, sound and text to a class."""

from __future__ import annotations

from collections.abc import Mapping
import types
from typing import Any

from torch import nn, Tensor

from ..modality_preprocessing import AudioPreprocessor, TextPreprocessor, VisionPreprocessor
from ..multimodal_fusion import FusionInfo, FusionStrategy, ModalityType
from .model import audio_shape, build_network, FusionModel, image_shape


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
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        num_attention_heads: Heads of cross-modal attention (hybrid, hierarchical).
        encoder_dim: Width of preprocessed and encoded features.
        liquid_units: Liquid units per encoder, and of the joint memory.
        spiking_units: Neurons per modality.
        num_spike_steps: Spike steps per input.
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
        fusion_strategy: FusionStrategy | str = 'late',
        num_attention_heads: int = 6,
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
        image = image_shape('image_size', image_size)
        self.sample_shapes = {'images': image, 'audio': audio_shape(audio_channels),
                              'tokens': ('S',)}
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {
            'images': (ModalityType.VISION, VisionPreprocessor(
                image[0], encoder_dim, vision_architecture)),
            'audio': (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, encoder_dim, channels=audio_channels,
                pooling=audio_pooling)),
            'tokens': (ModalityType.TEXT, TextPreprocessor(
                text_vocab_size, encoder_dim, text_seq_length, pad_id=text_pad_id)),
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
