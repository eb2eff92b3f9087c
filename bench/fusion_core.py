"""The fusion core, everything behind the preprocessors: features of four modalities to an action.

A part of ``step_latency.py`` and others, not a script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from stock_build import bare_products, KINDS, StockBuild
import torch
from torch import nn

from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork
from liquidspike_ros.core.tick import native_tick

SIZES = {
    'default': {'width': 512, 'spiking': 128, 'liquid': 256, 'heads': 8},
    'small': {'width': 128, 'spiking': 64, 'liquid': 64, 'heads': 4},
}
NAMES = ('camera', 'sensors', 'lidar', 'audio')
ACTIONS, STEPS = 7, 32


def ours(
    width: int, spiking: int, liquid: int, heads: int, strategy: str = 'hybrid',
    backend: str = 'fused',
) -> MultiModalFusionNetwork:
    configs = {
        name: {'type': 'custom', 'input_dim': width, 'encoder_dim': width, 'dropout': 0.0,
               'spiking_units': spiking, 'liquid_units': liquid, 'num_spike_steps': STEPS,
               'preprocessing': nn.Identity()}
        for name in NAMES
    }
    return MultiModalFusionNetwork(configs, strategy, width, heads, ACTIONS, backend=backend).eval()


def stock_core(width: int, spiking: int, liquid: int, heads: int, kind: str = 'liquid'
               ) -> StockBuild:
    """The stock build without preprocessors, or one of its twins."""
    return StockBuild(dict.fromkeys(NAMES), width=width, spiking_units=spiking,
                      liquid_units=liquid, output_dim=ACTIONS, num_spike_steps=STEPS,
                      heads=heads, kind=kind)


def named(kind: str) -> str:
    """What a kind of stock build is called in tables."""
    return 'stock' if kind == 'liquid' else f'{kind} twin'


def ticking(step: Callable[..., Any], inputs: dict[str, torch.Tensor]) -> Callable[[], object]:
    """A call that goes on from where the last one left, as a robot does."""
    state: Any = None

    @torch.inference_mode()
    def tick() -> None:
        nonlocal state
        _, state = step(inputs, state)[:2]

    return tick


def with_deployed(size: dict[str, int]) -> dict[str, Callable[[], object]]:
    """One tick of everything, ours also as ``PolicyRuntime`` deploys it, with and without C."""
    inputs = {name: torch.randn(1, size['width']) for name in NAMES}
    deployed, in_torch = (deploy(ours(**size)) for _ in range(2))
    with patch.object(native_tick, 'takes', return_value=False), torch.no_grad():
        in_torch.step(inputs)  # settles for good that there is no tick in C
    return candidates(size, ['hybrid']) | {
        'ours, hybrid, deployed': ticking(deployed.step, inputs),
        'ours, hybrid, deployed without C': ticking(in_torch.step, inputs)}


def candidates(size: dict[str, int], strategies: list[str]) -> dict[str, Callable[[], object]]:
    """One tick of everything, batch of one."""
    width, spiking, liquid, _ = size.values()
    inputs = {name: torch.randn(1, width) for name in NAMES}
    cases: dict[str, Callable[[], object]] = {
        'bare products': torch.inference_mode()(
            bare_products(len(NAMES), width, spiking, liquid, ACTIONS))}
    for kind in KINDS:
        cases[named(kind)] = ticking(stock_core(**size, kind=kind).eval().step, inputs)
    for strategy in strategies:
        cases[f'ours, {strategy}'] = ticking(ours(**size, strategy=strategy).step, inputs)
    return cases
