"""A whole control step, raw sensors to action: the stock build's way and ours.

A part of ``step_latency.py`` and others, not a script.

small    64×64 camera, spiking 64, liquid 64, fusion_dim 128
default  224×224 camera with 'efficient' trunk, as RobotMultiSensorModel comes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bare_products import bare_products_of
from fusion_core import ACTIONS, named, STEPS, ticking
from stock_build import KINDS, StockBuild, StockCamera, StockSignal
import torch

from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel

BEAMS, CHANNELS, WINDOW, SAMPLES = 360, 10, 16, 1600
SMALL = {'spiking': 64, 'liquid': 64, 'width': 128}
DEFAULT = {'spiking': 128, 'liquid': 128, 'width': 512}


def sensors(camera: int, *leading: int) -> dict[str, torch.Tensor]:
    """Random raw inputs ``[*leading, …]``."""
    return {'camera': torch.rand(*leading, 3, camera, camera),
            'sensors': torch.randn(*leading, CHANNELS, WINDOW),
            'lidar': torch.rand(*leading, 2, BEAMS),
            'audio': torch.rand(*leading, 1, SAMPLES) * 0.1}


def stock(width: int, spiking: int, liquid: int, kind: str = 'liquid') -> StockBuild:
    parts = {'camera': StockCamera(width), 'sensors': StockSignal(CHANNELS, width),
             'lidar': StockSignal(2, width), 'audio': StockSignal(1, width, 4)}
    return StockBuild(parts, width=width, spiking_units=spiking, liquid_units=liquid,
                      output_dim=ACTIONS, num_spike_steps=STEPS, kind=kind)


def ours(camera: int, architecture: str, strategy: str, **options: Any) -> RobotMultiSensorModel:
    return RobotMultiSensorModel(
        (3, camera, camera), CHANNELS, action_dim=ACTIONS, sensor_window=WINDOW,
        lidar_shape=(2, BEAMS), audio_channels=1, audio_window=SAMPLES,
        camera_architecture=architecture, fusion_strategy=strategy, num_spike_steps=STEPS,
        **options)


def small(architecture: str = 'simple', strategy: str = 'hybrid') -> RobotMultiSensorModel:
    return ours(64, architecture, strategy, fusion_dim=128, encoder_dim=128, spiking_units=64,
                liquid_units=64)


def whole_steps(size: str) -> dict[str, Callable[[], object]]:
    """One step of everything, batch of one; ``size`` is 'small' or 'default'.

    The stock build's ResNet-18 does ten times the arithmetic of our trunks, so the bare products
    stand there twice: those of the stock build, and those of the first of ours. Ours come as built,
    and as ``deploy`` copies them.
    """
    camera, sizes = (64, SMALL) if size == 'small' else (224, DEFAULT)
    inputs = sensors(camera, 1)
    models = {'ours, simple, hybrid': small(), 'ours, efficient, hybrid': small('efficient')
              } if size == 'small' else {
                  'ours, efficient, early': ours(224, 'efficient', 'early'),
                  'ours, efficient, hybrid': ours(224, 'efficient', 'hybrid')}
    stocks: dict[str, Callable[[], object]] = {
        named(kind): ticking(stock(**sizes, kind=kind).eval().step, inputs) for kind in KINDS}
    mine = {case: ticking(model.eval().step, inputs) for case, model in models.items()}
    mine |= {f'{case}, deployed': ticking(deploy(model).step, inputs)
             for case, model in models.items()}
    first = next(iter(mine))
    return {'bare products': bare_products_of(stocks['stock']), **stocks, **mine,
            f'our bare products, {first.partition(", ")[2]}': bare_products_of(mine[first])}
