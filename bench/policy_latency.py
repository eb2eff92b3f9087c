"""How long one control tick of a policy takes: tensors, model step and copy back, batch of one.

Measures ``PolicyRuntime.step``, the very call of the policy node, on random observations of the
robot's shapes. The first ticks (warm-up) are reported apart.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import platform
import time

import numpy as np
import torch

from liquidspike_ros.control.policy_runtime import PolicyRuntime
from liquidspike_ros.core.checkpoint import from_pretrained
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.sensing.observation import Observation
from liquidspike_ros.training.configuration import load_train_config
from liquidspike_ros.training.model_building import build_model

ROOT = Path(__file__).resolve().parent.parent


def observations(robot: RobotSpec, count: int) -> list[Observation]:
    """Random sensor data: timings of spikes and liquid cells do not depend on the values."""
    random = np.random.default_rng(0)
    result = []
    for k in range(count):
        values = {name: random.integers(0, 256, spec.shape).astype(np.uint8) if name == 'camera'
                  else random.uniform(-1, 1, spec.shape).astype(np.float32)
                  for name, spec in robot.sensors.items()}
        result.append(Observation(
            stamp=k * round(1e9 / robot.rate), dt=robot.period, values=values,
            present=dict.fromkeys(values, True), age=dict.fromkeys(values, 0.0)))
    return result


def measure(runtime: PolicyRuntime, given: list[Observation], ticks: int, introspect: bool,
            pause: float) -> np.ndarray:
    """Duration of each tick, ms; ``pause`` s between them, as caches cool down in real life."""
    durations = []
    for k in range(ticks):
        if pause:
            time.sleep(pause)
        begin = time.perf_counter()
        runtime.step(given[k % len(given)], introspect=introspect)
        durations.append(1e3 * (time.perf_counter() - begin))
    return np.array(durations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, help='checkpoint; random weights if left out')
    parser.add_argument('--robot', type=Path, default=ROOT / 'config/robots/beacon.yaml')
    parser.add_argument('--train-config', type=Path, default=ROOT / 'config/train.yaml')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--ticks', type=int, default=500)
    parser.add_argument('--output', type=Path, default=ROOT / 'bench/results/policy_latency.json')
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    robot = load_robot(arguments.robot)
    if arguments.model:
        model, _ = from_pretrained(arguments.model)
    else:
        model = build_model(robot, load_train_config(arguments.train_config))
    runtime = PolicyRuntime(model, robot, arguments.device)
    given = observations(robot, 16)
    begin = time.perf_counter()
    runtime.step(given[0])
    first = 1e3 * (time.perf_counter() - begin)
    runtime.warm_up()
    rows = {}
    for name, introspect, pause in (('back to back', False, 0.0), ('at 15 Hz', False, 1 / 15),
                                    ('with introspection', True, 0.0)):
        ticks = min(arguments.ticks, 150) if pause else arguments.ticks
        durations = measure(runtime, given, ticks, introspect, pause)
        p50, p90, p99 = np.percentile(durations, (50, 90, 99))
        rows[name] = {'p50_ms': round(p50, 3), 'p90_ms': round(p90, 3), 'p99_ms': round(p99, 3),
                      'max_ms': round(durations.max(), 3), 'ticks': ticks}
    parameters = sum(p.numel() for p in model.parameters())
    print(f'{parameters} parameters, {arguments.device}, {arguments.threads} thread(s), '
          f'first tick {first:.0f} ms, load {os.getloadavg()[0]:.1f}')
    print(f'{"":20s}{"p50":>9s}{"p90":>9s}{"p99":>9s}{"max":>9s}  ms')
    for name, row in rows.items():
        print(f'{name:20s}' + ''.join(f'{row[key]:9.2f}' for key in
                                      ('p50_ms', 'p90_ms', 'p99_ms', 'max_ms')))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps({
        'model': arguments.model.name if arguments.model else 'random weights',
        'parameters': parameters, 'device': arguments.device, 'threads': arguments.threads,
        'first_tick_ms': round(first, 1), 'load_average': os.getloadavg()[0],
        'machine': platform.machine(), 'cores': os.cpu_count(), 'torch': torch.__version__,
        'rows': rows}, indent=2) + '\n')


if __name__ == '__main__':
    main()
