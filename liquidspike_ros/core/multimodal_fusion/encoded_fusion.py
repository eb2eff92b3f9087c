"""What late, hybrid and hierarchical fusion share: an encoder per modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn, Tensor

from ..derived_weights import DerivedWeights
from ..dispatch import why_call
from ..liquid import CfC
from ..state import State
from ..tick.weights import TickWeights
from .attention import CrossModalAttentionFusion
from .batch import Encoded, FusionInput, FusionSizes
from .config import ModalityConfig
from .encode import encode
from .encoder import ModalityEncoder
from .heads import FusionCore, OutputHead
from .side_by_side import group_key
from .tick_layout import attention_layout, core_layout, encoder_layout, shares_of


class EncodedFusion(nn.Module):
    """An encoder per modality; a subclass says what becomes of what they say."""

    def __init__(self, configs: Mapping[str, ModalityConfig], sizes: FusionSizes) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({
            name: ModalityEncoder(_preprocessed(config), dt_scale=sizes.dt_scale,
                                  backend=sizes.backend)
            for name, config in configs.items()
        })
        self.derived = DerivedWeights()

    def _encode(self, batch: FusionInput, state: State) -> Encoded:
        present = None if batch.complete else dict(
            zip(self.encoders, batch.present.unbind(-1), strict=True))
        return encode(self._encoders(), batch.features, present, state['encoders'], batch.dt,
                      self.derived)

    def tick_weights(self, logits: Tensor) -> TickWeights | None:
        """Weights for single ticks in C; None where layers have to be called.

        Args:
            logits: Of the modalities' weights ``[M]``.
        """
        return None if why_call(self) else self._laid_out(logits)

    def _encoders(self) -> dict[str, ModalityEncoder]:
        return {name: encoder for name, encoder in self.encoders._modules.items()
                if isinstance(encoder, ModalityEncoder)}

    def _laid_out(self, logits: Tensor) -> TickWeights | None:
        """Weights of the encoders alone; None if they do not all run side by side."""
        encoders = self._encoders()
        keys = {group_key(encoder) for encoder in encoders.values()}
        if len(keys) > 1 or None in keys or len(encoders) < len(self.encoders):
            return None
        return TickWeights(encoders=encoder_layout(encoders), shares=shares_of(logits), votes=None,
                           levels=(), core=None, state_sizes=self.state_sizes)

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state."""
        return {'encoders': {name: e.state_sizes for name, e in self.encoders.items()}}


def _preprocessed(config: ModalityConfig) -> ModalityConfig:
    """The same modality with its features coming in: the network runs the preprocessors."""
    raw = config.preprocessing is None
    return replace(config, preprocessing=None if raw else nn.Identity())


def with_core(
    w: TickWeights | None, levels: Iterable[nn.Module], groups: Iterable[Tensor | None],
    core: FusionCore,
) -> TickWeights | None:
    """Add attention and core; None if other modules were put in place of those built here."""
    laid_out = [attention_layout(level, group)
                for level, group in zip(levels, groups, strict=True)
                if type(level) is CrossModalAttentionFusion]
    if (w is None or len(laid_out) < len(list(levels)) or type(core) is not FusionCore
            or type(core.head) is not OutputHead):
        return None
    if core.memory is not None and not (type(core.memory) is CfC and core.memory.one_node):
        return None
    return replace(w, levels=tuple(laid_out), core=core_layout(core))
