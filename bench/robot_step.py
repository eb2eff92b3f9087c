"""One whole control step, raw sensors to action, batch of one: stock build against ours.

small    64×64 camera, spiking 64, liquid 64, fusion_dim 128
default  224×224 camera with 'efficient' trunk, as RobotMultiSensorModel comes
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from fusion_core import ACTIONS, STEPS, ticking
from interleave import interleaved, machine, print_rows, write
from stock_build import KINDS, StockBuild, StockCamera, StockSignal
import torch

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--no-write', action='store_true', help='only print')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print(machine())
    rows = {}
    for name, camera, sizes in (('small', 64, SMALL), ('default', 224, DEFAULT)):
        inputs = sensors(camera, 1)
        cases: dict[str, Callable[[], object]] = {
            'stock' if kind == 'liquid' else f'{kind} twin':
                ticking(stock(**sizes, kind=kind).eval().step, inputs) for kind in KINDS}
        models = {'ours, simple, hybrid': small(), 'ours, efficient, hybrid': small('efficient')
                  } if name == 'small' else {
                      'ours, efficient, early': ours(224, 'efficient', 'early'),
                      'ours, efficient, hybrid': ours(224, 'efficient', 'hybrid')}
        cases |= {case: ticking(model.eval().step, inputs) for case, model in models.items()}
        rows[name] = interleaved(cases, arguments.rounds)
        print(f'\n{name}')
        print_rows(rows[name], 'stock')
    if not arguments.no_write:
        write('robot_step', rows)


if __name__ == '__main__':
    main()
