"""Early fusion: features side by side, then one shared encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn, Tensor

from ..kept_weights import KeptWeights
from .config import ModalityConfig, ModalityType, require_agreement
from .encoder import encode, feature_norm, ModalityEncoder
from .native_tick import native_early_tick
from .one_tick import run_early_tick, Tick, Ticked
from .parts import Batch, Fused, FusionSizes, OutputHead
from .side_by_side import group_key, structure
from .state import State
from .tick_weights import early_layout, EarlyWeights


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
        self.kept = KeptWeights()

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'shared': self.shared.state_sizes}

    def forward(self, batch: Batch, state: State) -> Fused:
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
                here = batch.present[..., index, None]
                token = torch.where(here, adapter(features) * shares[..., index, None], token)
            adapted[name] = token
        everything = torch.cat(list(adapted.values()), -1)
        encoded = encode(
            {'shared': self.shared}, {'shared': everything}, None, state, batch.dt, self.kept
        )
        return Fused(output=self.head(encoded.tokens[:, :, 0]), features=adapted, encoded=encoded,
                     state=dict(encoded.state))

    def tick_weights(self, owner: nn.Module, logits: Tensor) -> EarlyWeights | None:
        """Weights for ``tick``; see ``EncodedFusion``."""
        return self.kept.get('tick', [self], lambda: self._laid_out(logits), owner,
                             lambda: structure(self.shared))

    def _laid_out(self, logits: Tensor) -> EarlyWeights | None:
        alike = type(self.shared) is ModalityEncoder and group_key(self.shared) is not None
        shapes = {tuple((type(part), getattr(part, 'in_features', None)) for part in adapter)
                  for adapter in self.adapters.values() if type(adapter) is nn.Sequential}
        if not alike or len(shapes) > 1 or type(self.head) is not OutputHead:
            return None
        w = early_layout(self, logits)
        return replace(w, native=native_early_tick(w))

    def tick(self, w: EarlyWeights, tick: Tick, state: State, insight: bool) -> Ticked:
        """One tick the lean way, see ``one_tick``."""
        done: Ticked | None = None if w.native is None else w.native(tick, state, insight)
        return run_early_tick(w, tick, state) if done is None else done
