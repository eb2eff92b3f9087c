"""Record expert drives in simulation as rosbag2 (mcap) recordings to learn from.

One recording an episode: the sensor topics, the expert's command on /cmd_vel as the label, and
what was really driven on /cmd_vel_applied (noise is injected, so that recoveries are in the data).
What is there already stays; running the same command again goes on where it stopped.

Examples:
  liquidspike record --episodes 200 -o bags
  liquidspike record --episodes 100 --seed 300000 --policy models/beacon -o bags/dagger
  liquidspike info bags
"""

from __future__ import annotations

import argparse
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
)

SUMMARY = 'record expert drives as bags'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('-o', '--output', metavar='DIR', type=Path, required=True,
                        help='folder for the bags')
    parser.add_argument('--episodes', metavar='N', type=whole(1, 10_000_000), default=200,
                        help='how many (default: %(default)s)')
    parser.add_argument('--seed', metavar='N', type=whole(0, 2**31 - 1), default=100_000,
                        help='episode i has the seed N + i; 1000 to 1999 are kept for evaluation '
                        '(default: %(default)s)')
    parser.add_argument('--noise', metavar='X', type=real(0.0, 10.0), default=1.0,
                        help="how shaky the expert's hand is; 0 is clean (default: %(default)g)")
    parser.add_argument('--odd-starts', metavar='X', type=real(0.0, 1.0), default=0.4,
                        help='share of episodes that start at an odd place (default: %(default)g)')
    parser.add_argument('--policy', metavar='DIR', type=Path,
                        help='checkpoint that drives in turns with the expert, who labels (DAgger)')
    parser.add_argument('--beta', metavar='X', type=real(0.0, 1.0), default=0.3,
                        help="with --policy: share of the expert's turns (default: %(default)g)")
    parser.add_argument('--limit', metavar='S', type=real(0.1, 3600.0), default=60.0,
                        help='time limit of an episode, simulated s (default: %(default)g)')
    add_workers(parser)
    add_robot(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record and print the report."""
    from ..sim.recording import record, RecordOptions

    policy = None if arguments.policy is None else shared_file(arguments.policy)
    if policy is not None:
        say_unknown_robot(policy)
    report = record(RecordOptions(
        output=arguments.output, episodes=arguments.episodes, seed=arguments.seed,
        noise=arguments.noise, odd_starts=arguments.odd_starts, policy=policy,
        beta=arguments.beta, limit_s=arguments.limit, workers=read_workers(arguments),
        robot=read_robot(arguments), progress=sys.stderr.isatty()))
    print('\n'.join(report.lines()))
    return 0
