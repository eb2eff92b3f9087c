"""How far training has come, and the learning rate and averaged weights that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import math

import torch
from torch import nn, Tensor

from .configuration import OptimiserConfig


class Schedule:
    """Linear warm-up, then cosine decay, over the steps or the time budget, whichever ends first.

    Args:
        config: Rates, shares and budget.
        steps: Steps in all epochs.
    """

    def __init__(self, config: OptimiserConfig, steps: int) -> None:
        self.config = config
        self.steps = steps

    def share(self, step: int, minutes: float) -> float:
        """How much of the training is done, 0 … 1, from steps done and minutes spent."""
        budget = self.config.max_minutes
        return min(1.0, max(step / self.steps, minutes / budget if budget else 0.0))

    def rate(self, share: float) -> float:
        """The learning rate at a share of the training."""
        config = self.config
        if share < config.warm_up:
            # Never quite zero, so that the first step already moves.
            return config.learning_rate * max(share / config.warm_up, 0.01)
        along = (share - config.warm_up) / (1 - config.warm_up)
        fade = config.final_share + (1 - config.final_share) * (1 + math.cos(math.pi * along)) / 2
        return config.learning_rate * fade


class AveragedWeights:
    """Exponential moving average of a model's floating-point weights.

    The decay grows from 0, ``min(decay, (1 + n) / (10 + n))``, so that the start is forgotten.

    Args:
        model: Whose weights are followed.
        decay: Share of the average kept at each step; 0 follows the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.count = 0
        self._live = {name: value for name, value in model.state_dict(keep_vars=True).items()
                      if value.is_floating_point()}
        self.values = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the current weights."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count)) if self.decay else 0.0
        torch._foreach_lerp_(list(self.values.values()),
                             [value.detach() for value in self._live.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the model's place for a while."""
        kept = {name: value.detach().clone() for name, value in self._live.items()}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, live in self._live.items():
            live.copy_(values[name])
