"""Options that several commands share, and the checks argparse does not make."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from ..share import shared_file
from ..untrusted.text import brief, one_line

if TYPE_CHECKING:
    from ..robot import RobotSpec
    from ..training.configuration import TrainConfig

ROBOT_FILE = 'config/robots/beacon.yaml'
TRAIN_FILE = 'config/train.yaml'


def add_robot(parser: argparse.ArgumentParser) -> None:
    """``--robot FILE``."""
    parser.add_argument(
        '--robot', metavar='FILE', type=Path, default=Path(ROBOT_FILE),
        help=f'robot file: topics, sensors, limits (default: {ROBOT_FILE})',
    )


def read_robot(arguments: argparse.Namespace) -> RobotSpec:
    """The robot of ``--robot``.

    Raises:
        RobotError: The file is missing or describes no valid robot.
    """
    from ..robot import load_robot

    return load_robot(shared_file(arguments.robot))


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--config FILE``, ``--namespace NAME``, ``--allow-missing SENSOR``."""
    parser.add_argument('--config', metavar='FILE', type=Path, default=Path(TRAIN_FILE),
                        help=f'model, data, loss and optimiser settings (default: {TRAIN_FILE})')
    parser.add_argument('--namespace', metavar='NAME',
                        help="put in front of the robot file's relative topics, e.g. tb1")
    parser.add_argument('--allow-missing', metavar='SENSOR', action='append', default=[],
                        help='use recordings that lack this sensor at most ticks; may be repeated')


def data_settings(config: TrainConfig, arguments: argparse.Namespace) -> TrainConfig:
    """The settings of a training file with those of ``add_data`` on top.

    Raises:
        TrainingError: A value is wrong.
    """
    given: dict[str, object] = {}
    if arguments.namespace is not None:
        given['data.namespace'] = arguments.namespace
    if arguments.allow_missing:
        given['data.allow_missing'] = [*config.data.allow_missing, *arguments.allow_missing]
    return config.override(given)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """``--workers N``."""
    parser.add_argument('--workers', metavar='N', type=whole(1, 256),
                        help='processes of one thread each; the results are the same '
                        '(default: one for each core, on a GPU one)')


def read_workers(arguments: argparse.Namespace) -> int:
    """The number of ``--workers``."""
    from ..sim.workers import cores

    if arguments.workers is None and getattr(arguments, 'device', 'cpu') != 'cpu':
        return 1  # each would have a context of its own there
    return arguments.workers or min(cores(), 256)


def say_unknown_robot(model: Path) -> None:
    """Say so on standard error if a checkpoint does not know its robot.

    Raises:
        CheckpointError: There is no readable checkpoint.
    """
    from ..core.checkpoint import read_config

    if not read_config(model)['metadata'].get('robot'):
        print(f'liquidspike: {one_line(model)}: does not say which robot it was trained for; '
              'taken for that of --robot', file=sys.stderr)


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argparse type: a whole number in a closed range."""

    def parse(text: str) -> int:
        span = f'a whole number of at least {least}'
        if most is not None:
            span = f'a whole number in [{least}, {most}]'
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f'got {brief(text)}, expected {span}') from None
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f'got {brief(value)}, expected {span}')
        return value

    return parse


def real(least: float, most: float) -> Callable[[str], float]:
    """An argparse type: a number in a closed range."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float('nan')
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f'got {one_line(text, 60)}, expected a number in [{least:g}, {most:g}]')
        return value

    return parse


def write_whole(path: Path, content: str) -> None:
    """Write a file so that it is never seen half-written; folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'.{path.name}.part')
    unfinished.write_text(content)
    unfinished.replace(path)
