"""Early fusion: features side by side, then one shared encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn, Tensor

from ..derived_weights import DerivedWeights
from ..dispatch import why_call
from ..state import State
from ..tick.weights import EarlyWeights
from .batch import Fused, FusionInput, FusionSizes
from .config import ModalityConfig, ModalityType, require_agreement
from .encode import encode
from .encoder import feature_norm, ModalityEncoder
from .heads import OutputHead
from .side_by_side import group_key, has_all
from .tick_layout import early_layout


class EarlyFusion(nn.Module):
    """Preprocessed features side by side, then one shared encoder.

    The shared spike encoder has the neurons of all modalities together, its liquid cell as many
    units as the largest. An absent modality is replaced by a learned token.
    """

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__()
        require_agreement(
            configs, ('backbone', 'backbone_options', 'coding', 'spiking_options'),
            'early fusion has one encoder for all modalities',
        )
        values = list(configs.values())
        width = values[0].encoder_dim
        self.adapters = nn.ModuleDict({
            name: nn.Sequential(feature_norm(config), nn.Linear(config.input_dim, width))
            for name, config in configs.items()
        })
        self.tokens = nn.ParameterDict({
            name: nn.Parameter(torch.randn(width) * 0.02) for name in configs
        })
        shared = replace(
            values[0],
            type=ModalityType.CUSTOM,
            input_dim=width * len(configs),
            encoder_dim=sizes.fusion_dim,
            spiking_units=sum(config.spiking_units for config in values),
            liquid_units=max(config.liquid_units for config in values),
            num_spike_steps=max(config.num_spike_steps for config in values),
            preprocessing=nn.Identity(),  # features already, if not from a single module
        )
        self.shared = ModalityEncoder(shared, dt_scale=sizes.dt_scale, backend=sizes.backend)
        # Its input always holds something, the learned tokens at least.
        self.shared.absent.requires_grad_(False)
        self.head = OutputHead(sizes.fusion_dim, sizes.fusion_dim // 2 or 1, sizes.output_dim)
        self.derived = DerivedWeights()

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'shared': self.shared.state_sizes}

    def forward(self, batch: FusionInput, state: State) -> Fused:
        """Fuse and read out."""
        # 1 for every present modality to begin with, whatever the subset.
        shares = batch.weights * batch.present.sum(-1, keepdim=True)
        adapted = {}
        for index, (name, adapter) in enumerate(self.adapters.items()):
            token = self.tokens[name].expand(*batch.present.shape[:2], -1)
            features = batch.features[name]
            if features is not None and batch.complete:
                token = adapter(features) * shares[..., index, None]
            elif features is not None:
                mask = batch.present[..., index, None]
                token = torch.where(mask, adapter(features) * shares[..., index, None], token)
            adapted[name] = token
        everything = torch.cat(list(adapted.values()), -1)
        encoded = encode(
            {'shared': self.shared}, {'shared': everything}, None, state, batch.dt, self.derived
        )
        return Fused(output=self.head(encoded.tokens[:, :, 0]), features=adapted, encoded=encoded,
                     state=dict(encoded.state))

    def tick_weights(self, logits: Tensor) -> EarlyWeights | None:
        """Weights for single ticks in C; see ``EncodedFusion``."""
        alike = type(self.shared) is ModalityEncoder and group_key(self.shared) is not None
        shapes = {tuple((type(part), getattr(part, 'in_features', getattr(part, 'eps', None)))
                        for part in adapter)
                  for adapter in self.adapters.values() if type(adapter) is nn.Sequential}
        whole = all(has_all(adapter[0]) for adapter in self.adapters.values()
                    if isinstance(adapter, nn.Sequential))
        if (why_call(self) or not alike or not whole or len(shapes) > 1
                or type(self.head) is not OutputHead):
            return None
        adapters = {name: adapter for name, adapter in self.adapters.items()
                    if isinstance(adapter, nn.Sequential)}
        return early_layout(adapters, dict(self.tokens.items()), self.shared, self.head, logits)
