"""Auxiliary unimodal heads: while training, every modality must also do the task alone.

Joint training lets the modality that learns fastest carry the task and the others fall asleep. A
head on each modality's features gives each a gradient of its own; the heads are dropped afterwards
and the network is as it was.

Source: Wang, Tran and Feiszli, 'What makes training multi-modal classification networks hard?',
CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn, Tensor

from .info import FusionInfo


class UnimodalHeads(nn.Module):
    """A head on the features of each modality, beside a network and never part of it.

    Args:
        modalities: Their names, as ``network.modalities``.
        encoder_dim: Width of ``info.features``.
        output_dim: Width of the output.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, modalities: Sequence[str], encoder_dim: int, output_dim: int) -> None:
        super().__init__()
        if not modalities:
            raise ValueError(f'modalities: got {modalities!r}, expected at least one')
        for name, value in (('encoder_dim', encoder_dim), ('output_dim', output_dim)):
            if value < 1:
                raise ValueError(f'{name}: got {value!r}, expected at least 1')
        self.encoder_dim = encoder_dim
        self.heads = nn.ModuleDict({
            name: nn.Linear(encoder_dim, output_dim) for name in modalities
        })

    def forward(self, info: FusionInfo) -> dict[str, Tensor]:
        """What each modality says alone, ``[…, output_dim]`` by name.

        Args:
            info: Of the network, with features: ``return_info=True``, or
                ``return_modality_features=True``.

        Raises:
            ValueError: Features are missing or have another width.
        """
        for name in self.heads:
            if name not in info.features:
                raise ValueError(f'info.features: got {", ".join(info.features) or "none"}, '
                                 f'expected {name}: ask for them with return_modality_features')
            width = info.features[name].shape[-1]
            if width != self.encoder_dim:
                raise ValueError(f'info.features of {name}: got width {width}, '
                                 f'expected {self.encoder_dim} (encoder_dim)')
        return {name: head(info.features[name]) for name, head in self.heads.items()}

    def loss(
        self, info: FusionInfo, target: Tensor, criterion: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Mean loss of the modalities alone, where they were there.

        Args:
            info: As in ``forward``.
            target: ``[…]`` or ``[…, output_dim]``, what ``criterion`` takes.
            criterion: ``(output […, output_dim], target)`` -> a loss per element, ``[…]`` or
                ``[…, output_dim]``: ``reduction='none'`` in torch.

        Returns:
            A scalar; 0 where no modality was there at all.

        Raises:
            ValueError: ``criterion`` does not give a loss per element.
        """
        total = info.present.new_zeros((), dtype=torch.float32)
        count = total
        for name, output in self(info).items():
            mask = info.present[..., info.modalities.index(name)]
            losses = criterion(output, target)
            if losses.shape[:mask.dim()] != mask.shape:
                raise ValueError(f'criterion: got a loss of shape {tuple(losses.shape)}, '
                                 f"expected {tuple(mask.shape)} first: reduction='none'")
            losses = losses.reshape(*mask.shape, -1).mean(-1)
            # Replaced, not multiplied by zero: a loss where nothing was may be infinite.
            total = total + torch.where(mask, losses, 0.0).sum()
            count = count + mask.sum()
        return total / count.clamp_min(1)
