"""Train a policy from recordings (behaviour cloning, truncated back-propagation through time).

Recordings are rosbag2 folders, .mcap, .db3 or ROS 1 .bag files, or folders of them: any robot's, as
long as the robot file names the topics. What a recording lacks is reported and the rest is used.
The best checkpoint lands in the output folder, the newest in `last` below it; Ctrl-C leaves both
whole. A trained model that is there already is never replaced unasked.

Examples:
  liquidspike train bags -o models/mine
  liquidspike train bags/run_1 bags/run_2.mcap -o models/mine --robot my_robot.yaml --epochs 20
  liquidspike train bags -o models/mine --resume
  liquidspike train bags -o models/mine --init-from models/beacon --set optimiser.learning_rate=3e-4
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
from typing import Any

from ..share import shared_file
from ..untrusted.text import brief, one_line
from ..untrusted.yaml_text import parse_yaml, YamlRefusal
from .options import add_data, add_robot, data_settings, read_robot, real, whole

SUMMARY = 'train a policy from recordings'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bags', metavar='BAG', nargs='+', type=Path,
                        help='rosbag2 folder, .mcap or .db3 file, or a folder of them')
    parser.add_argument('-o', '--output', metavar='DIR', type=Path, required=True,
                        help='folder for the checkpoint (config.json, model.safetensors)')
    add_robot(parser)
    add_data(parser)
    parser.add_argument('--epochs', metavar='N', type=whole(1),
                        help='passes over the recordings at most (default: as in --config)')
    parser.add_argument('--max-minutes', metavar='M', type=real(0.0, 1e5),
                        help='end after so long, the learning rate run down, even if --epochs '
                        'are not through; 0: no limit (default: as in --config)')
    parser.add_argument('--seed', metavar='N', type=whole(0),
                        help='of weights, order and augmentation')
    parser.add_argument('--device', metavar='NAME', help='cpu, cuda or cuda:N')
    parser.add_argument('--set', metavar='KEY=VALUE', dest='settings', action='append', default=[],
                        type=setting, help='any setting of the training file; may be repeated')
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--init-from', metavar='DIR', type=Path,
                       help='fine-tune this checkpoint instead of starting from random weights')
    start.add_argument('--resume', action='store_true', help='go on with DIR/last of the output')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace a trained model that the output folder holds')


def setting(text: str) -> tuple[str, Any]:
    """``optimiser.clip=0.5`` as a dotted name and a YAML value."""
    name, equals, value = text.partition('=')
    if not equals or not name:
        raise argparse.ArgumentTypeError(
            f'got {brief(text)}, expected KEY=VALUE such as optimiser.clip=0.5')
    try:
        return name, parse_yaml(value)
    except YamlRefusal as error:
        raise argparse.ArgumentTypeError(f'{one_line(name, 80)}: {error}') from None


def run(arguments: argparse.Namespace) -> int:
    """Train; 130 after Ctrl-C, with a usable checkpoint."""
    from ..training.configuration import load_train_config
    from ..training.trainer import train

    robot = read_robot(arguments)
    given = {'optimiser.epochs': arguments.epochs, 'optimiser.max_minutes': arguments.max_minutes,
             'seed': arguments.seed, 'device': arguments.device}
    settings = {name: value for name, value in given.items() if value is not None}
    config = data_settings(load_train_config(shared_file(arguments.config)), arguments).override(
        {**settings, **dict(arguments.settings)})
    result = train(arguments.bags, arguments.output, robot, config,
                   init_from=arguments.init_from, resume=arguments.resume,
                   overwrite=arguments.overwrite)
    if result.interrupted:
        return 130
    print(f'{result.directory}: {result.epochs} epochs, {result.steps} steps in '
          f'{result.minutes:.1f} min, best loss {result.best:.4f}')
    print(f'measure it with: liquidspike evaluate {result.directory}', file=sys.stderr)
    return 0
