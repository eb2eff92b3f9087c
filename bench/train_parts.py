"""Where the time of a training step goes: batch, forward, backward, optimiser; ticks a second.

Random sequences of the robot's shapes, so no recording is needed.
"""

from __future__ import annotations

import argparse
from itertools import islice
import json
import os
from pathlib import Path
import time

import numpy as np
import torch

from liquidspike_ros.malloc import keep_freed_memory
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.training.configuration import load_train_config
from liquidspike_ros.training.episode import Episode
from liquidspike_ros.training.lanes import Lanes
from liquidspike_ros.training.model_building import build_model
from liquidspike_ros.training.objectives import ActionLoss

ROOT = Path(__file__).resolve().parent.parent


def episode(robot: RobotSpec, ticks: int, seed: int) -> Episode:
    """A recording's worth of noise in the layout that recordings are kept in."""
    random = np.random.default_rng(seed)
    values = {}
    for name, spec in robot.sensors.items():
        shape = (ticks, *spec.shape)
        if name == 'camera':
            values[name] = random.integers(0, 256, shape, np.uint8)
        elif name == 'audio':
            values[name] = random.integers(-9000, 9000, shape, np.int16)
        else:
            values[name] = random.uniform(0, 1, shape).astype(np.float32)
    labels = random.uniform(-1, 1, (ticks, robot.command.width)).astype(np.float32)
    return Episode(name=str(seed), values=values, labels=labels,
                   present=np.ones((ticks, len(values)), bool),
                   dt=np.full(ticks, robot.period, np.float32),
                   weight=np.ones(ticks, np.float32), starts=np.zeros(1, np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--robot', type=Path, default=ROOT / 'config/robots/beacon.yaml')
    parser.add_argument('--train-config', type=Path, default=ROOT / 'config/train.yaml')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--steps', type=int, default=10)
    parser.add_argument('--shapes', default='8x16,16x16,16x32,32x32', help='lanes x ticks, …')
    parser.add_argument('--output', type=Path, default=ROOT / 'bench/results/train_parts.json')
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    robot, config = load_robot(arguments.robot), load_train_config(arguments.train_config)
    model = build_model(robot, config)
    loss = ActionLoss(config.loss, robot.command.names)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)
    episodes = [episode(robot, 160, seed) for seed in range(8)]
    print(f'{arguments.threads} thread(s), load {os.getloadavg()[0]:.1f}; ms a step')
    print(f'{"lanes x ticks":15s}{"batch":>8s}{"forward":>9s}{"backward":>9s}{"update":>8s}'
          f'{"ticks/s":>9s}')
    rows = {}
    for shape in arguments.shapes.split(','):
        lanes, ticks = map(int, shape.split('x'))
        batches = iter(Lanes(episodes, robot, lanes=lanes, ticks=ticks, augment=config.augment))
        state, spent = model.init_state(lanes), []
        marks = [time.perf_counter()]
        for batch in islice(batches, arguments.steps + 2):
            marks.append(time.perf_counter())
            state = model.reset_state(model.detach_state(state), batch.start)
            actions, state = model.unroll(batch.inputs, state, dt=batch.dt, present=batch.present)
            value = loss(actions, batch.labels, batch.weight)
            marks.append(time.perf_counter())
            optimiser.zero_grad()
            value.backward()
            marks.append(time.perf_counter())
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            marks.append(time.perf_counter())
            spent.append(np.diff(marks))
            marks = [time.perf_counter()]
        parts = 1e3 * np.median(spent[2:], axis=0)  # the first steps allocate
        rate = lanes * ticks / parts.sum() * 1e3
        print(f'{shape:15s}{parts[0]:8.0f}{parts[1]:9.0f}{parts[2]:9.0f}{parts[3]:8.0f}{rate:9.0f}')
        rows[shape] = {'batch_ms': parts[0], 'forward_ms': parts[1], 'backward_ms': parts[2],
                       'update_ms': parts[3], 'ticks_per_second': rate}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({
        'threads': arguments.threads, 'load_average': os.getloadavg()[0], 'cores': os.cpu_count(),
        'torch': torch.__version__, 'rows': rows}, indent=2, default=float) + '\n')


if __name__ == '__main__':
    main()
