"""Drive the simulated robot to the singing pillar over real ROS 2 topics, and show it.

Starts the simulator and the policy as two nodes on a private ROS domain of this machine, below the
namespace beacon_demo, arms the policy, watches, and ends by itself. Then DIR holds summary.json,
episode.png, episode.mp4 and the nodes' logs. Exit status 0 only if the robot arrived.

Examples:
  liquidspike demo
  liquidspike demo --seed 1013 --no-video
  liquidspike demo --model models/mine --domain 7     (look in with ROS_DOMAIN_ID=7 ros2 topic list)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..share import shared_file
from .options import add_robot, real, ROBOT_FILE, whole

SUMMARY = 'drive the simulated robot over real ROS 2'
SEED = 1030
"""A room that was never trained on: the singing pillar is behind, a silent one on the way."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--model', metavar='DIR', type=Path, default=Path('models/beacon'),
                        help='checkpoint that drives (default: %(default)s)')
    parser.add_argument('--seed', metavar='N', type=whole(0, 2**31 - 1), default=SEED,
                        help='of the room and all noise (default: %(default)s)')
    parser.add_argument('-o', '--output', metavar='DIR', type=Path, default=Path('out/demo'),
                        help='where the results go (default: %(default)s)')
    parser.add_argument('--limit', metavar='S', type=real(1.0, 3600.0), default=60.0,
                        help='time limit, simulated s (default: %(default)g)')
    parser.add_argument('--domain', metavar='N', type=whole(0, 232),
                        help='ROS_DOMAIN_ID (default: one that is free)')
    parser.add_argument('--no-video', action='store_true', help='write no episode.mp4')
    add_robot(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 if the robot arrived, else 1."""
    from ..demo.run import DemoOptions, run_demo

    robot = shared_file(arguments.robot or Path(ROBOT_FILE))
    return run_demo(DemoOptions(
        model=shared_file(arguments.model), robot_file=robot, seed=arguments.seed,
        output=arguments.output, limit=arguments.limit, domain=arguments.domain,
        video=not arguments.no_video))
