"""What training minimises: how far the policy's commands are from the demonstrated ones."""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn import functional as F

from .configuration import LossConfig, TrainingError


class ActionLoss(nn.Module):
    """Weighted Huber or squared error of actions, averaged over the ticks that have a label.

    Huber is ``e² / 2`` up to ``delta`` and ``delta · (|e| − delta / 2)`` beyond (Huber 1964).

    Args:
        config: Kind, delta and weights of the action dimensions.
        names: Action dimensions, for the error text.

    Raises:
        TrainingError: There are neither one weight nor as many as action dimensions.
    """

    def __init__(self, config: LossConfig, names: tuple[str, ...]) -> None:
        super().__init__()
        given = config.weights or (1.0,)
        if len(given) not in (1, len(names)):
            raise TrainingError(f'loss.weights: got {len(given)} numbers, expected one, or '
                                f'{len(names)}, one for each of {", ".join(names)}')
        weights = torch.tensor(given * len(names) if len(given) == 1 else given)
        self.weights: Tensor
        self.register_buffer('weights', weights / weights.sum())
        self.kind = config.kind
        self.delta = config.huber_delta

    def forward(self, actions: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
        """The loss.

        Args:
            actions: ``[B, T, A]``, model units.
            labels: ``[B, T, A]``.
            weight: ``[B, T]``, 0 where the tick does not count.

        Returns:
            A scalar; 0 when no tick counts.
        """
        if self.kind == 'mse':
            error = F.mse_loss(actions, labels, reduction='none')
        else:
            error = F.huber_loss(actions, labels, reduction='none', delta=self.delta)
        per_tick = error @ self.weights.to(error.dtype)  # [B, T]
        return (per_tick * weight).sum() / weight.sum().clamp_min(1.0)
