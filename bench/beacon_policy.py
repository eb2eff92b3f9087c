"""How well a policy drives, and what each sensor is worth: held-out rooms, in-process.

Drives the same rooms with all sensors, then with each sensor silent in turn, then with one sensor
alone, then with the privileged expert. The safety gate halves the speed while a sensor is silent.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from liquidspike_ros.robot import load_robot
from liquidspike_ros.sim.evaluation import evaluate, EvaluateOptions, EvaluationReport, EXPERT

ROOT = Path(__file__).resolve().parent.parent


def row(report: EvaluationReport) -> dict[str, Any]:
    """What is published of one evaluation."""
    result = report.to_dict()
    return {key: result[key] for key in (
        'episodes', 'seed', 'successes', 'success_rate', 'interval', 'outcomes',
        'collisions_per_episode', 'collision_free_successes', 'time', 'path_length', 'spl')}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model', type=Path, default=ROOT / 'models/beacon')
    parser.add_argument('--robot', type=Path, default=ROOT / 'config/robots/beacon.yaml')
    parser.add_argument('--episodes', type=int, default=50)
    parser.add_argument('--seed', type=int, default=1000)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--output', type=Path, default=ROOT / 'bench/results/beacon_policy.json')
    arguments = parser.parse_args()
    robot = load_robot(arguments.robot)
    full = EvaluateOptions(model=arguments.model, episodes=arguments.episodes, seed=arguments.seed,
                           workers=arguments.workers, robot=robot, progress=False)
    cases = {'all sensors': full}
    cases |= {f'without {name}': replace(full, mask=(name,)) for name in robot.sensors}
    cases |= {f'only {name}': replace(full, mask=tuple(s for s in robot.sensors if s != name))
              for name in robot.sensors}
    cases['expert (knows the map)'] = replace(full, model=EXPERT)
    rows = {}
    print(f'{"":24s}{"success":>10s}{"95 % interval":>18s}{"collisions":>12s}'
          f'{"time":>8s}{"SPL":>6s}')
    for name, options in cases.items():
        report = evaluate(options)
        rows[name] = row(report)
        low, high = (100 * bound for bound in report.interval)
        print(f'{name:24s}{100 * report.success_rate:8.0f} %{low:9.1f} – {high:.1f} %'
              f'{report.collisions_per_episode:12.2f}{report.time:6.1f} s{report.spl:6.2f}',
              flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(
        json.dumps({'model': arguments.model.name, 'rows': rows}, indent=2) + '\n')


if __name__ == '__main__':
    main()
