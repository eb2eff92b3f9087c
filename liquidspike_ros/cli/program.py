"""The program around the commands: parsing, one-line errors, exit codes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import signal
import sys
from typing import NoReturn

from .. import __version__
from ..untrusted.text import one_line
from . import demo, evaluate, export, info, record, train, version
from .spelling import unknown_command, unknown_options

COMMANDS = (demo, record, train, evaluate, export, info, version)

DESCRIPTION = """\
Liquid-spiking multimodal policies for ROS 2 robots.

A policy is made in three steps, and shown in one:

  liquidspike record --episodes 200 -o bags      the expert drives, bags are written
  liquidspike train bags -o models/mine          a policy learns from the bags
  liquidspike evaluate models/mine               and is measured on rooms it never saw
  liquidspike demo                               the policy drives over real ROS 2 topics
"""

EPILOG = """\
`liquidspike COMMAND --help` shows the options of one command, with examples.
Exit status: 0 done, 1 failed (one line says why), 2 wrong usage, 130 interrupted.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line that says where help is."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with status 2."""
        self.exit(2, f'liquidspike: {one_line(message)} (try: {self.prog} --help)\n')


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; builds without importing torch, MuJoCo or ROS."""
    parser = Parser(
        prog='liquidspike', description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'liquidspike {__version__}')
    commands = parser.add_subparsers(
        title='commands', metavar='COMMAND', required=True, parser_class=Parser
    )
    for module in COMMANDS:
        description, _, examples = (module.__doc__ or '').partition('\nExamples:\n')
        command = commands.add_parser(
            module.__name__.rpartition('.')[2],
            help=module.SUMMARY,
            description=description,
            epilog=f'examples:\n{examples}' if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read a command line; leaves with status 2 and one line if it is wrong."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    wrong = unknown_command(given[:1], [module.__name__.rpartition('.')[2] for module in COMMANDS])
    if wrong:
        parser.error(wrong)
    arguments, left = parser.parse_known_args(given)
    if left:
        arguments.parser.error(unknown_options(left, arguments.parser))
    return arguments


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process by default.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    try:
        arguments = parse(argv)
    except SystemExit as stop:  # argparse leaves this way; callers want a status
        return int(stop.code or 0)
    try:
        return int(arguments.run(arguments) or 0)
    except KeyboardInterrupt:
        print('liquidspike: interrupted', file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `liquidspike info … | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        lines = explain(error)
        if not lines:
            raise
        for line in lines:
            print(f'liquidspike: {line}', file=sys.stderr)
        return 1


def explain(error: Exception) -> list[str]:
    """The lines a user needs of an expected error; none for a fault of the program.

    This package's own error classes are written for the user, who gets their text alone. A fault
    of the program keeps its traceback.
    """
    if isinstance(error, ModuleNotFoundError):
        return [missing_module(error.name or '')]
    if isinstance(error, OSError) and error.strerror:
        name = f'{error.filename}: ' if error.filename else ''
        return [one_line(f'{name}{error.strerror}')]
    own = type(error).__module__.split('.')[0] == __name__.split('.')[0]
    if own or isinstance(error, OSError):
        # \n alone: a form feed in a file's name is to be shown, not to begin a line.
        lines = [one_line(line) for line in str(error).split('\n') if line.strip()]
        # A heading above a single reason is one sentence; several reasons keep a line each.
        return [one_line(' '.join(lines))] if len(lines) == 2 else lines or [type(error).__name__]
    return []


def missing_module(name: str) -> str:
    """Which extra brings a module that is not installed."""
    top = name.split('.')[0]
    extras = {
        'mujoco': 'sim', 'matplotlib': 'sim', 'av': 'sim', 'cv2': 'sim', 'rosbags': 'train',
        'lz4': 'train', 'backports': 'train',
        'tqdm': 'train', 'onnx': 'export', 'onnxscript': 'export', 'onnxruntime': 'export',
        'rclpy': 'ros', 'rosgraph_msgs': 'ros', 'sensor_msgs': 'ros',
    }
    if top in extras:
        return f"{top} is not installed; run: pip install 'liquidspike_ros[{extras[top]}]'"
    return f'{top} is not installed; install liquidspike_ros again'
