"""Token ids to features: embedding, position, and what stands next to what."""

from __future__ import annotations

from functools import partial
import math

import torch
from torch import nn, Tensor
from torch.nn import functional

from ..computed_buffers import register_constant

INTEGERS = (torch.int64, torch.int32)


def sinusoids(length: int, width: int) -> Tensor:
    """Positional encoding ``[length, width]`` (Vaswani et al., NeurIPS 2017, section 3.5)."""
    position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(1e4) / width))
    angles = position * rate  # [length, ⌈width / 2⌉]
    table = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
    return table[:, :width].float()


class TokenEmbedding(nn.Module):
    """Token ids ``[B, S]`` to ``[B, S, embedding_dim]``: embedding plus positional encoding.

    Args:
        vocab_size: Number of token ids; 50257 is GPT-2's.
        embedding_dim: Width.
        max_length: Longest ``S``.
        pad_id: Id that stands for no token; 0 is what most tokenizers and ``pad_sequence`` pad
            with. Where 0 is a word (GPT-2's ``!``), give 50256 or what the tokenizer pads with, or
            −1 for a text without padding.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, vocab_size: int = 50257, embedding_dim: int = 256, max_length: int = 128,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (('vocab_size', vocab_size), ('embedding_dim', embedding_dim),
                            ('max_length', max_length)):
            if value < 1:
                raise ValueError(f'{name}: got {value!r}, expected at least 1')
        if not -1 <= pad_id < vocab_size:
            raise ValueError(f'pad_id: got {pad_id!r}, expected within [-1, {vocab_size})')
        self.vocab_size, self.max_length, self.pad_id = vocab_size, max_length, pad_id
        self.embedding_dim = embedding_dim
        self.embedding = nn.Embedding(vocab_size, embedding_dim)
        # About the size of the positional encoding, so that neither drowns the other.
        nn.init.normal_(self.embedding.weight, std=0.7)
        self.positions: Tensor
        register_constant(self, 'positions', partial(sinusoids, max_length, embedding_dim))

    def forward(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Embed tokens.

        Args:
            tokens: ``[B, S]``; padding is embedded as zeros plus its position.
            positions: Place of each token ``[B, S]``; 0, 1, … if None.

        Returns:
            ``[B, S, embedding_dim]``.

        Raises:
            ValueError: Another shape or type, or an id outside the vocabulary.
        """
        self.check(tokens)
        mask = self.mask(tokens)
        embedded = self.embedding(torch.where(mask, tokens, 0)) * mask.unsqueeze(-1)
        if positions is None:
            return embedded + self.positions[:tokens.shape[1]]
        return embedded + self.positions[positions]

    def mask(self, tokens: Tensor) -> Tensor:
        """Where there is a token, not padding: ``[B, S]`` bool."""
        return tokens != self.pad_id

    def check(self, tokens: Tensor) -> None:
        """Refuse what is not ``[B, S]`` ids of the vocabulary, ``1 <= S <= max_length``.

        On a GPU the ids themselves are not looked at: that would stall it at every call.

        Raises:
            ValueError: Says what was got and what was expected.
        """
        if tokens.dim() != 2 or not 1 <= tokens.shape[1] <= self.max_length:
            raise ValueError(f'tokens: got shape {tuple(tokens.shape)}, expected [B, S] with '
                             f'S from 1 to {self.max_length}')
        if tokens.dtype not in INTEGERS:
            raise ValueError(f'tokens: got {tokens.dtype}, expected torch.int64 or torch.int32')
        if tokens.device.type == 'cpu' and tokens.numel() and not torch.compiler.is_compiling():
            low, high = (int(limit) for limit in torch.aminmax(tokens))
            if low < min(self.pad_id, 0) or high >= self.vocab_size:
                wrong = high if high >= self.vocab_size else low
                raise ValueError(f'tokens: got id {wrong}, expected within [0, '
                                 f'{self.vocab_size}), or {self.pad_id} for padding')


class TextPreprocessor(nn.Module):
    """Token ids ``[B, S]`` to features ``[B, output_dim]``; padding on either side changes nothing.

    Embedding and position, two convolutions that see a token's neighbours (three and then seven
    tokens wide), and a pooling in which each of ``num_queries`` learned queries picks its own
    places. A plain mean would forget the order of the words.

    Args:
        vocab_size: Number of token ids.
        output_dim: Width of the features.
        max_length: Longest ``S``.
        embedding_dim: Width of the embedding, a multiple of ``num_queries``.
        pad_id: See ``TokenEmbedding``.
        num_queries: Queries of the pooling.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        vocab_size: int = 50257,
        output_dim: int = 512,
        max_length: int = 128,
        *,
        embedding_dim: int = 256,
        pad_id: int = 0,
        num_queries: int = 8,
    ) -> None:
        super().__init__()
        if num_queries < 1 or embedding_dim % num_queries:
            raise ValueError(f'embedding_dim: got {embedding_dim!r}, expected a multiple of '
                             f'num_queries={num_queries!r}')
        self.output_dim, self.num_queries = output_dim, num_queries
        self.tokens = TokenEmbedding(vocab_size, embedding_dim, max_length, pad_id)
        self.convolutions = nn.ModuleList([
            nn.Conv1d(embedding_dim, embedding_dim, 3, padding=reach, dilation=reach)
            for reach in (1, 2)
        ])
        self.scores = nn.Linear(embedding_dim, num_queries)
        self.head = nn.Linear(embedding_dim, output_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, S]`` -> ``[B, output_dim]``.

        Raises:
            ValueError: Another shape or type, or an id outside the vocabulary.
        """
        self.tokens.check(tokens)
        valid = self.tokens.mask(tokens)
        places = (valid.cumsum(1) - 1).clamp(min=0)  # the first word is the first, padded or not
        x = self.tokens(tokens, places)  # [B, S, E]
        mask = valid.unsqueeze(-1)  # [B, S, 1]
        for convolution in self.convolutions:
            # Zeros in the place of padding are what stands beyond the end of the text as well.
            near = convolution((x * mask).transpose(1, 2)).transpose(1, 2)
            x = x + functional.silu(near)
        scores = torch.where(mask, self.scores(x), torch.finfo(x.dtype).min)
        share = torch.where(mask, scores.softmax(1), 0.0)  # [B, S, Q]; all zero without a token
        values = x.unflatten(-1, (self.num_queries, -1))  # [B, S, Q, E / Q]
        pooled = (values * share.unsqueeze(-1)).sum(1).flatten(1)
        return functional.silu(self.head(pooled))
