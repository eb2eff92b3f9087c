"""Captions word by word: greedy, beam search, sampling. The state is passed along explicitly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..multimodal_fusion import State
from ..state import map_state
from .vision_language import VisionLanguageModel

METHODS = ('greedy', 'beam', 'sampling')


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """Where captions begin and end."""

    max_length: int
    bos_id: int
    eos_id: int


@torch.no_grad()
def generate_caption(
    model: VisionLanguageModel,
    image: Tensor,
    method: str = 'greedy',
    *,
    max_length: int | None = None,
    eos_id: int | None = None,
    bos_id: int | None = None,
    beam_width: int = 4,
    length_penalty: float = 1.0,
    temperature: float = 1.0,
    top_k: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Describe images in words.

    Args:
        model: Built with ``task='captioning'``; works in evaluation mode for the call.
        image: ``[C, H, W]``, or several ``[B, C, H, W]``, in [0, 1].
        method: ``'greedy'``, ``'beam'`` or ``'sampling'``.
        max_length: Most words, the end included; ``text_seq_length`` by default and at most.
        eos_id: Id that ends a caption; the last of the vocabulary by default, as in GPT-2.
        bos_id: Id a caption begins with; ``eos_id`` by default, as in GPT-2.
        beam_width: Captions kept in mind by ``'beam'``.
        length_penalty: ``'beam'`` ranks by log-probability / words ** length_penalty.
        temperature: ``'sampling'``: below 1 bolder on the likely words, above 1 more even.
        top_k: ``'sampling'``: only the ``top_k`` likeliest words; 0 for all.
        generator: Of random numbers for ``'sampling'``, on the model's device.

    Returns:
        Ids ``[L]``, or ``[B, L]``, without the beginning, ``L <= max_length``; what comes after
        an ``eos_id`` is ``eos_id`` too.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """
    eos = model.text_vocab_size - 1 if eos_id is None else eos_id
    limits = _Limits(
        max_length=model.text_seq_length if max_length is None else max_length,
        bos_id=eos if bos_id is None else bos_id, eos_id=eos,
    )
    _check(model, method, limits, beam_width, temperature, top_k)
    was_training = model.training
    model.eval()
    try:
        seen = model.look(image.unsqueeze(0) if image.dim() == 3 else image)
        if method == 'beam':
            words = _beam(model, seen, limits, beam_width, length_penalty)
        else:
            even = None if method == 'greedy' else (temperature, top_k)
            words = _one_by_one(model, seen, limits, even, generator)
    finally:
        model.train(was_training)
    return words[0] if image.dim() == 3 else words


def _check(
    model: VisionLanguageModel, method: str, limits: _Limits, beam_width: int,
    temperature: float, top_k: int,
) -> None:
    if model.task != 'captioning':
        raise ValueError(f"task: got a model for {model.task!r}, expected one for 'captioning'")
    if method not in METHODS:
        raise ValueError(f'method: got {method!r}, expected one of {", ".join(METHODS)}')
    for name, value, low, high in (
        ('max_length', limits.max_length, 1, model.text_seq_length),
        ('eos_id', limits.eos_id, 0, model.text_vocab_size - 1),
        ('bos_id', limits.bos_id, 0, model.text_vocab_size - 1),
        ('top_k', top_k, 0, model.text_vocab_size),
    ):
        if not low <= value <= high:
            raise ValueError(f'{name}: got {value!r}, expected within [{low}, {high}]')
    if beam_width < 1:
        raise ValueError(f'beam_width: got {beam_width!r}, expected at least 1')
    if not temperature > 0:
        raise ValueError(f'temperature: got {temperature!r}, expected a number above 0')


def _next(
    model: VisionLanguageModel, seen: Tensor, words: Tensor, state: State | None
) -> tuple[Tensor, State]:
    """Log-probabilities ``[B, V]`` of the word after ``words [B]``, and the state there."""
    logits, state = model.decode(seen, words.unsqueeze(1), state)
    return logits[:, 0].log_softmax(-1), state


def _one_by_one(
    model: VisionLanguageModel, seen: Tensor, limits: _Limits,
    sampling: tuple[float, int] | None, generator: torch.Generator | None,
) -> Tensor:
    """Greedy if ``sampling`` is None, else drawn at ``(temperature, top_k)``; ``[B, L]``."""
    words = torch.full(seen.shape[:1], limits.bos_id, device=seen.device)
    ended = torch.zeros_like(words, dtype=torch.bool)
    state: State | None = None
    caption = []
    for _ in range(limits.max_length):
        scores, state = _next(model, seen, words, state)
        words = scores.argmax(-1) if sampling is None else _draw(scores, *sampling, generator)
        words = torch.where(ended, limits.eos_id, words)
        caption.append(words)
        ended = ended | (words == limits.eos_id)
        if bool(ended.all()):
            break
    return torch.stack(caption, 1)


def _draw(
    scores: Tensor, temperature: float, top_k: int, generator: torch.Generator | None
) -> Tensor:
    """One word ``[B]`` from log-probabilities ``[B, V]``."""
    scores = scores / temperature
    if top_k:
        likely, ids = scores.topk(top_k)
        chosen = torch.multinomial(likely.softmax(-1), 1, generator=generator)
        return ids.gather(1, chosen).squeeze(1)
    return torch.multinomial(scores.softmax(-1), 1, generator=generator).squeeze(1)


def _beam(
    model: VisionLanguageModel, seen: Tensor, limits: _Limits, width: int, penalty: float
) -> Tensor:
    """The best of ``width`` captions kept in mind per image, ``[B, L]``."""
    batch, device = seen.shape[0], seen.device
    rows = torch.arange(batch, device=device).unsqueeze(1) * width  # first beam of each image
    seen = seen.repeat_interleave(width, 0)
    captions = torch.full((batch * width, 1), limits.bos_id, device=device)
    # All beams begin alike: only the first counts, or they would stay copies of each other.
    total = torch.full((batch, width), -torch.inf, device=device)
    total[:, 0] = 0.0
    ended = torch.zeros(batch, width, dtype=torch.bool, device=device)
    lengths = torch.zeros(batch, width, device=device)
    state: State | None = None
    for _ in range(limits.max_length):
        scores, state = _next(model, seen, captions[:, -1], state)
        scores = scores.unflatten(0, (batch, width))  # [B, width, V]
        # What has ended goes on with its end, at no cost.
        scores = torch.where(ended.unsqueeze(-1), -torch.inf, scores)
        scores[..., limits.eos_id] = torch.where(ended, 0.0, scores[..., limits.eos_id])
        lengths = lengths + ~ended
        joint = total.unsqueeze(-1) + scores
        rank = (joint / lengths.unsqueeze(-1) ** penalty).flatten(1).topk(width).indices
        source, words = rank // scores.shape[-1], rank % scores.shape[-1]
        total = joint.flatten(1).gather(1, rank)
        lengths = lengths.gather(1, source)
        ended = ended.gather(1, source) | (words == limits.eos_id)
        chosen = (rows + source).flatten()
        captions = torch.cat([captions[chosen], words.view(-1, 1)], 1)
        state = map_state(lambda value, kept=chosen: value[kept], state)  # type: ignore[misc]
        if bool(ended.all()):
            break
    best = (total / lengths**penalty).argmax(1, keepdim=True)
    longest = int(lengths.gather(1, best).max())  # beams that lost may have gone on
    return captions[(rows + best).flatten(), 1:longest + 1]
