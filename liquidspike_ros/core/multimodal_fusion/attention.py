"""Modalities attend to each other, the absent ones left out."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from ..products import linear


class CrossModalAttentionFusion(nn.Module):
    """Multi-head attention over the modalities of one tick, with a residual and LayerNorm.

    The inner width is ``num_heads · head_dim`` with its own projections, so any number of heads
    goes with any ``embed_dim``.

    Args:
        embed_dim: Width ``E`` of the tokens.
        num_heads: Heads.
        head_dim: Width of a head; ``embed_dim / num_heads`` rounded up if None.
        dropout: Dropout of the attended values.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, embed_dim: int, num_heads: int = 8, head_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if embed_dim < 1:
            raise ValueError(f'embed_dim: got {embed_dim!r}, expected at least 1')
        if num_heads < 1:
            raise ValueError(f'num_attention_heads: got {num_heads!r}, expected at least 1')
        self.num_heads = num_heads
        self.head_dim = -(-embed_dim // num_heads) if head_dim is None else head_dim
        if self.head_dim < 1:
            raise ValueError(f'head_dim: got {head_dim!r}, expected at least 1')
        inner = num_heads * self.head_dim
        self.projection = nn.Linear(embed_dim, 3 * inner)
        self.output = nn.Linear(inner, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, present: Tensor | None, groups: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Let the tokens of each row attend to each other.

        Args:
            tokens: ``[..., M, E]``.
            present: ``[..., M]`` bool; absent modalities are attended to by nobody. None if all
                are there.
            groups: ``[M, M]`` bool, which modality may attend to which; all if None.

        Returns:
            Tokens ``[..., M, E]`` and attention ``[..., heads, M, M]``. A row with nobody to
            attend to has zero attention and keeps its own token.
        """
        parts = linear(self.projection, tokens).unflatten(-1, (3, self.num_heads, self.head_dim))
        query, key, value = parts.movedim(-4, -2).unbind(-4)  # [..., heads, M, head_dim]
        scores = query @ key.transpose(-2, -1) * self.head_dim**-0.5
        allowed = _allowed(present, groups)
        if allowed is None:
            attention = scores.softmax(-1)
        else:
            # The lowest finite score, not −inf: a row without any key would be NaN.
            scores = torch.where(allowed, scores, torch.finfo(scores.dtype).min)
            attention = torch.where(allowed, scores.softmax(-1), 0.0)
        attended = (attention @ value).transpose(-3, -2).flatten(-2)
        return self.norm(tokens + self.dropout(linear(self.output, attended))), attention


def _allowed(present: Tensor | None, groups: Tensor | None) -> Tensor | None:
    """Who may attend to whom, broadcast against ``[..., heads, M query, M key]``."""
    if present is None:
        return groups
    keys = present.unsqueeze(-2)
    return (keys if groups is None else keys & groups).unsqueeze(-3)
