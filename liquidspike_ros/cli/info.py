"""Say what a checkpoint, a recording or a robot file holds, and what is wrong with it.

Examples:
  liquidspike info models/beacon
  liquidspike info bags/episode_0003
  liquidspike info bags --robot my_robot.yaml --namespace tb1
  liquidspike info config/robots/beacon.yaml
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
import os
from pathlib import Path

from ..share import shared_file
from ..untrusted.files import require_regular_file
from ..untrusted.text import brief, listing, printable
from .options import add_data, add_robot, data_settings, read_robot
from .recordings import (
    describe_briefly,
    describe_survey,
    describe_topics,
    ReadingProgress,
    summarise,
    verdict,
)
from .train import setting

SUMMARY = 'describe a checkpoint, a recording or a robot file'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('path', metavar='PATH', type=Path,
                        help='checkpoint folder, recording, or robot file')
    add_robot(parser)
    add_data(parser)
    parser.add_argument('--set', metavar='KEY=VALUE', dest='settings', action='append', default=[],
                        type=setting, help='any setting of the training file; may be repeated')


def run(arguments: argparse.Namespace) -> int:
    """Describe; 1 if a recording is not usable."""
    path = shared_file(arguments.path)
    if path.is_dir() and os.path.lexists(path / 'config.json'):
        say(describe_checkpoint(path))
        return 0
    if path.suffix in ('.yaml', '.yml') and not path.is_dir():
        say(describe_robot(path))
        return 0
    return describe_recordings(path, arguments)


def say(lines: Iterable[str]) -> None:
    """Print lines; what they quote from files cannot act on the terminal."""
    for line in lines:
        print(printable(line))


def describe_checkpoint(path: Path) -> list[str]:
    """A checkpoint, read and verified as a node would."""
    from ..core.checkpoint import from_pretrained

    model, metadata = from_pretrained(path)
    parameters = sum(p.numel() for p in model.parameters())
    size = (path / 'model.safetensors').stat().st_size / 1e6
    lines = [f'{path}: {type(model).__name__}, {parameters:,} parameters, {size:.2f} MB, whole',
             f'  modalities  {", ".join(getattr(model, "modalities", ()))}']
    return [*lines, f'  robot       {_robot_of(path, metadata.get("robot"))}',
            *_trained(metadata.get('data'), metadata.get('history'))]


def _robot_of(path: Path, stored: object) -> str:
    from ..core.checkpoint import CheckpointError
    from ..robot import RobotError, RobotSpec

    if not stored:
        return 'unknown; the policy node asks for allow_unknown_robot'
    try:
        robot = RobotSpec.from_dict(stored)  # type: ignore[arg-type]  # checked there
    except RobotError as error:
        raise CheckpointError(f'{path / "config.json"}: metadata.robot: {error}') from None
    return f'{robot.name}, {robot.rate:g} Hz, commands {listing(robot.command.names)}'


def _trained(data: object, history: object) -> list[str]:
    """What training wrote down; anything may stand there."""
    lines = []
    if isinstance(data, dict):
        facts = [f'{name} {value if isinstance(value, str) else brief(value)}'
                 for name, value in data.items() if isinstance(value, (int, float, str))]
        lines.append(f'  trained on  {listing(facts)}')
    last = history[-1] if isinstance(history, list) and history else None
    if isinstance(last, dict):
        figures = [f'{name} {value:.4g}' if isinstance(value, float) else f'{name} {brief(value)}'
                   for name, value in last.items()]
        lines.append(f'  last epoch  {listing(figures)}')
    return lines


def describe_robot(path: Path) -> list[str]:
    """A robot file, validated."""
    from ..robot import load_robot

    robot = load_robot(path)
    lines = [f'{path}: robot {robot.name}, {robot.rate:g} Hz, ticks by {robot.trigger}']
    for name, spec in robot.sensors.items():
        need = 'required' if spec.required else 'optional'
        lines.append(f'  {name:7} {spec.topic} ({spec.type}), {spec.rate:g} Hz, {need}, '
                     f'masked after {spec.max_age:g} s')
    command = robot.command
    limits = ', '.join(f'{name} in [{low:g}, {high:g}]' for name, low, high in
                       zip(command.names, command.lower, command.upper, strict=True))
    return [*lines, f'  command {command.topic} ({command.kind}): {limits}']


def describe_recordings(path: Path, arguments: argparse.Namespace) -> int:
    """Recordings, judged as training would; one in full, several briefly and summed up."""
    from ..training.bags import find_bags
    from ..training.configuration import load_train_config
    from ..training.survey import survey_bag

    if os.path.lexists(path) and not path.is_dir():
        require_regular_file(path)
    robot = read_robot(arguments)
    data = data_settings(load_train_config(shared_file(arguments.config)), arguments).override(
        dict(arguments.settings)).data
    bags = find_bags([path])
    surveys = []
    for bag in bags:
        survey = survey_bag(bag, robot, data, ReadingProgress)
        surveys.append(survey)
        if len(bags) > 1:
            say(describe_briefly(survey))
            continue
        lines = [verdict(survey), *describe_topics(survey.report),
                 *describe_survey(survey, robot, data),
                 *(f'  ! {problem}' for problem in survey.problems)]
        say(lines)
    if len(bags) > 1:
        say(summarise(surveys, robot, data))
    return 0 if any(not survey.unused for survey in surveys) else 1
