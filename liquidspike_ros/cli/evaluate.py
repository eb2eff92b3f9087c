"""Drive a policy through rooms it never saw, in simulation, and report how often it arrives.

Runs in this process, without ROS, much faster than real time. Seeds 1000 to 1999 are never
recorded, so nothing was trained on them; the same seeds give the same episodes, bit for bit.

Examples:
  liquidspike evaluate models/beacon
  liquidspike evaluate models/beacon --episodes 200 --json out/evaluation.json
  liquidspike evaluate models/beacon --mask audio          (what is hearing worth?)
  liquidspike evaluate expert                              (the yardstick)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from ..share import shared_file
from .options import (
    add_robot,
    add_workers,
    read_robot,
    read_workers,
    real,
    say_unknown_robot,
    whole,
    write_whole,
)

SUMMARY = 'measure a policy in simulation'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('model', metavar='MODEL',
                        help='checkpoint folder, or: expert (the privileged planner)')
    parser.add_argument('--episodes', metavar='N', type=whole(1, 10_000_000), default=50,
                        help='how many (default: %(default)s)')
    parser.add_argument('--seed', metavar='N', type=whole(0, 2**31 - 1), default=1000,
                        help='episode i has the seed N + i (default: %(default)s)')
    parser.add_argument('--mask', metavar='SENSOR', nargs='+', default=[],
                        help='sensors that stay silent: camera, imu, lidar, audio')
    parser.add_argument('--limit', metavar='S', type=real(0.1, 3600.0), default=60.0,
                        help='time limit of an episode, simulated s (default: %(default)g)')
    add_workers(parser)
    parser.add_argument('--device', metavar='NAME', default='cpu',
                        help='cpu, cuda or cuda:N (default: %(default)s)')
    parser.add_argument('--json', metavar='FILE', type=Path, help='also write the report there')
    add_robot(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print the report."""
    from ..sim.evaluation import evaluate, EvaluateOptions, EXPERT

    model = arguments.model
    if model != EXPERT:
        model = shared_file(model)
        say_unknown_robot(model)
    report = evaluate(EvaluateOptions(
        model=model, episodes=arguments.episodes,
        seed=arguments.seed, mask=tuple(arguments.mask), limit_s=arguments.limit,
        workers=read_workers(arguments), device=arguments.device, robot=read_robot(arguments),
        progress=sys.stderr.isatty()))
    print('\n'.join(report.lines()))
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(report.to_dict(), indent=2) + '\n')
        print(f'written: {arguments.json}')
    return 0
