"""Images and text: one answer (classification), or the next word at every place (captioning).

Captioning is causal by construction: the spiking, liquid network walks over the places of the
text one by one, the image before it all along, and what it knows of earlier words is its state.
"""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import torch
from torch import nn, Tensor

from ..modality_preprocessing import TextPreprocessor, TokenEmbedding, VisionPreprocessor
from ..multimodal_fusion import FusionInfo, ModalityType, State
from .arguments import EncoderArguments
from .model import build_network, FusionModel, image_shape

if TYPE_CHECKING:
    from typing_extensions import Unpack

TASKS = ('classification', 'captioning')


class VisionLanguageModel(FusionModel):
    """An image and a text, either of them alone too, to class logits or next-word logits.

    Args:
        image_size: ``(C, H, W)``.
        text_vocab_size: Number of token ids ``V``.
        text_seq_length: Longest text, tokens.
        fusion_dim: Width of the fused features.
        num_classes: Classes of ``'classification'``, the answers of VQA.
        task: ``'classification'``: ``model(images, tokens)`` gives ``[B, num_classes]``.
            None is that, or captioning where there are as many classes as words.
            ``'captioning'``: it gives, with teacher forcing, logits ``[B, S, V]`` of the word
            that follows each of the ``S`` given ones; ``generate_caption`` writes from these.
        text_pad_id: Id that stands for no token; see ``TokenEmbedding``.
        vision_architecture: ``'resnet'``, ``'resnet50'``, ``'efficient'`` or ``'simple'``.
        encoder: See ``EncoderArguments``; by default hybrid fusion, 8 attention heads.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    def __init__(
        self,
        image_size: tuple[int, int, int] = (3, 224, 224),
        text_vocab_size: int = 50257,
        text_seq_length: int = 128,
        fusion_dim: int = 512,
        num_classes: int = 1000,
        *,
        task: str | None = None,
        text_pad_id: int = 0,
        vision_architecture: str = 'resnet',
        **encoder: Unpack[EncoderArguments],
    ) -> None:
        if task is None:
            task = 'captioning' if num_classes == text_vocab_size else 'classification'
        super().__init__()
        arguments = self.remember(
            encoder, image_size=image_size, text_vocab_size=text_vocab_size,
            text_seq_length=text_seq_length, fusion_dim=fusion_dim, num_classes=num_classes,
            task=task, text_pad_id=text_pad_id, vision_architecture=vision_architecture)
        width = arguments['encoder_dim']
        if task not in TASKS:
            raise ValueError(f'task: got {task!r}, expected one of {", ".join(TASKS)}')
        self.task, self.num_classes = task, num_classes
        self.text_vocab_size, self.text_seq_length = text_vocab_size, text_seq_length
        image = image_shape('image_size', image_size)
        self.sample_shapes = {'images': image, 'tokens': ('S',)}
        vision = VisionPreprocessor(image[0], width, vision_architecture)
        if task == 'classification':
            text: nn.Module = TextPreprocessor(text_vocab_size, width, text_seq_length,
                                               pad_id=text_pad_id)
            seen: nn.Module = vision
        else:
            # The image is looked at once, not once per word: the network gets its features.
            self.vision = vision
            self.outside = {'vision': 'images', 'words': 'tokens'}
            self.words = TokenEmbedding(text_vocab_size, width, text_seq_length,
                                        text_pad_id)
            self.to_words = nn.Sequential(nn.Linear(fusion_dim, width),
                                          nn.LayerNorm(width))
            self.word_bias = nn.Parameter(torch.zeros(text_vocab_size))
            seen, text = nn.Identity(), nn.Identity()
        self.network = build_network(
            {'images': (ModalityType.VISION, seen), 'tokens': (ModalityType.TEXT, text)},
            num_classes if task == 'classification' else fusion_dim, arguments)

    def forward(
        self,
        images: Tensor | None,
        tokens: Tensor | None = None,
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """Answer, or tell what follows each word.

        Args:
            images: ``[B, C, H, W]`` in [0, 1], or None.
            tokens: Ids ``[B, S]``, or None; in captioning, None asks for the first word from the
                image alone, as if one place of padding had been given.
            return_modality_features: Also return info, with the encoded features.
            return_attention_maps: Also return info, with the attention maps.

        Returns:
            Logits ``[B, num_classes]``, or ``[B, S, V]`` in captioning; or ``(logits, info)``,
            in captioning with ``[B, S, …]`` entries.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        if self.task == 'classification':
            return self._once(return_modality_features, return_attention_maps,
                              images=images, tokens=tokens)
        seen = None if images is None else self.look(images)
        logits, _, info = self.decode(seen, tokens, return_info=True)
        if not (return_modality_features or return_attention_maps):
            return logits
        return logits, FusionInfo(
            modalities=info.modalities,
            features=info.features if return_modality_features else {},
            attention=info.attention if return_attention_maps else None,
            weights=info.weights, spike_rates=info.spike_rates, present=info.present,
        )

    def look(self, images: Tensor) -> Tensor:
        """Features ``[B, encoder_dim]`` of images ``[B, C, H, W]``, for ``decode``.

        Raises:
            ValueError: Another shape, or the model is not for captioning.
        """
        self._require('captioning')
        self._check({'images': images}, 1)
        return self.vision(images)

    def decode(
        self,
        seen: Tensor | None,
        tokens: Tensor | None,
        state: State | None = None,
        return_info: bool = False,
    ) -> Any:
        """Walk over words; ``S`` at once or one by one, the result is the same.

        Args:
            seen: From ``look``, or None.
            tokens: Ids ``[B, S]``, or None for one place without a word.
            state: ``{'network': …, 'position': [B, 1]}`` from the words before; none if None.
            return_info: Also return a ``FusionInfo`` with ``[B, S, …]`` entries.

        Returns:
            ``(logits [B, S, V], state)`` or ``(logits, state, info)``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        self._require('captioning')
        if seen is None and tokens is None:
            raise ValueError('inputs: got none, expected at least one of images, tokens')
        self._check({'tokens': tokens}, 1)
        if seen is not None and tokens is not None and seen.shape[0] != tokens.shape[0]:
            raise ValueError(f'tokens: got {tokens.shape[0]} rows, expected {seen.shape[0]} '
                             f'like images')
        inputs: dict[str, Tensor | None] = {}
        batch = (tokens if seen is None else seen).shape[0]  # type: ignore[union-attr]
        places = 1 if tokens is None else tokens.shape[-1]
        device = self.word_bias.device
        start = (torch.zeros(batch, 1, dtype=torch.int64, device=device) if state is None
                 else state['position'])
        present = None
        if tokens is not None:
            inputs['tokens'] = self.words(tokens, self._places(start, places))
            is_word = self.words.mask(tokens)
            present = torch.stack([torch.full_like(is_word, seen is not None), is_word], -1)
        if seen is not None:
            inputs['images'] = seen.unsqueeze(1).expand(-1, places, -1)
        fused, after, info = self.network.unroll(
            inputs, None if state is None else state['network'], present=present,
            return_info=True)
        # The embedding is also the readout: half the weights, and a word is one thing.
        logits = nn.functional.linear(self.to_words(fused), self._readout(), self.word_bias)
        state = {'network': after, 'position': start + places}
        return (logits, state, info) if return_info else (logits, state)

    def _step(self, *args: Any) -> Any:
        self._require('classification')  # captions: ``decode``
        return super()._step(*args)

    def _unroll(self, *args: Any) -> Any:
        self._require('classification')
        return super()._unroll(*args)

    def _places(self, start: Tensor, count: int) -> Tensor:
        """Places ``[B, count]`` from ``start [B, 1]`` on; the last one stands for any beyond."""
        steps = torch.arange(count, device=start.device)
        return (start + steps).clamp(max=self.text_seq_length - 1)

    def _readout(self) -> Tensor:
        weight = self.words.embedding.weight
        return weight / weight.shape[1] ** 0.5

    def _require(self, task: str) -> None:
        if self.task != task:
            raise ValueError(f'task: got {self.task!r}, expected {task!r} for this call')


class CaptionLoss(nn.CrossEntropyLoss):
    """Cross-entropy of the words of captions; padding does not count.

    ``nn.CrossEntropyLoss`` wants the classes second: ``criterion(logits.transpose(1, 2), words)``.
    This one takes what a captioning model gives.

    Args:
        pad_id: Id that stands for no word.
        options: Further arguments of ``nn.CrossEntropyLoss``.
    """

    def __init__(self, pad_id: int = 0, **options: Any) -> None:
        super().__init__(ignore_index=pad_id, **options)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Loss of logits ``[B, S, V]`` for words ``[B, S]``.

        Raises:
            ValueError: Other shapes.
        """
        if input.dim() != 3 or input.shape[:2] != target.shape:
            raise ValueError(f'captions: got logits {tuple(input.shape)} for words '
                             f'{tuple(target.shape)}, expected [B, S, V] for [B, S]: '
                             'criterion(model(images, captions[:, :-1]), captions[:, 1:])')
        return super().forward(input.flatten(0, 1), target.flatten())
