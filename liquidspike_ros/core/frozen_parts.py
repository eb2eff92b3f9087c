"""Parts that were frozen stay in evaluation mode, whatever the whole is switched to."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

Whole = TypeVar('Whole', bound='PartlyFrozen')


class PartlyFrozen(nn.Module):
    """A module of which ``stages.freeze`` may have frozen parts."""

    def train(self: Whole, mode: bool = True) -> Whole:
        """Switch between training and evaluation; frozen parts stay in evaluation."""
        super().train(mode)
        if mode:
            for part in self.modules():
                if 'frozen' in part.__dict__:
                    part.training = False
        return self
