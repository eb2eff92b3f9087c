"""Sequences to features of fixed width: which moments count is learnt."""

from __future__ import annotations

from torch import nn, Tensor

POOLINGS = ('attention', 'last')


def require_pooling(pooling: str) -> None:
    """Check how a preprocessor shall sum up time.

    Raises:
        ValueError: There is no such way.
    """
    if pooling not in POOLINGS:
        raise ValueError(f'pooling: got {pooling!r}, expected one of {", ".join(POOLINGS)}')


class AttentionPooling(nn.Module):
    """Weighted means over time ``[B, T, width]`` -> ``[B, queries · width]``.

    Every query has a score for each moment, and the softmax of its scores over time are its
    weights (Lin et al., A Structured Self-Attentive Sentence Embedding, ICLR 2017). So what
    happened early reaches the features in one step instead of through all that came after it, as
    it must in the last state of a recurrence.

    Args:
        width: Of each moment.
        queries: Means that are taken side by side.
    """

    def __init__(self, width: int, queries: int = 4) -> None:
        super().__init__()
        self.score = nn.Linear(width, queries)
        self.output_dim = queries * width

    def forward(self, moments: Tensor) -> Tensor:
        """``[B, T, width]`` -> ``[B, queries · width]``."""
        weights = self.score(moments).softmax(1)  # [B, T, queries]
        return (weights.transpose(1, 2) @ moments).flatten(1)
