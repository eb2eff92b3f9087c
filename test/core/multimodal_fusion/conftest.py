from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork

WIDTHS = {'eye': 5, 'ear': 3, 'skin': 4, 'nose': 2}


@pytest.fixture
def network() -> Callable[..., MultiModalFusionNetwork]:
    """Build a small network in double precision from raw vectors, weights drawn apart."""

    def build(strategy='hybrid', modalities=4, **arguments) -> MultiModalFusionNetwork:
        torch.manual_seed(arguments.pop('seed', 0))
        modality = arguments.pop('modality', {})  # further keys of every modality's config
        configs = {
            name: {'type': 'custom', 'input_dim': width, 'encoder_dim': 6, 'liquid_units': 4,
                   'spiking_units': 7, 'num_spike_steps': 3 + width % 2, 'dropout': 0.0} | modality
            for name, width in list(WIDTHS.items())[:modalities]
        }
        if strategy in ('hybrid', 'hierarchical'):
            arguments.setdefault('memory_units', 4)
        settings = {'fusion_dim': 10, 'num_attention_heads': 3, 'output_dim': 2} | arguments
        model = MultiModalFusionNetwork(configs, strategy, **settings).double().eval()
        with torch.no_grad():  # tell modalities apart and make absence visible
            model.modality_logits.copy_(torch.randn(modalities))
        return model

    return build


@pytest.fixture
def sequence() -> Callable[..., dict[str, torch.Tensor]]:
    def draw(batch: int, ticks: int, modalities: int = 4, seed: int = 0) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.randn(batch, ticks, width, generator=generator, dtype=torch.float64)
            for name, width in list(WIDTHS.items())[:modalities]
        }

    return draw
