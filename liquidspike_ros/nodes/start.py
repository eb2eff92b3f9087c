"""Where the installed programs of the nodes begin: nothing heavy is loaded before it is needed.

Wrong arguments are refused before torch or MuJoCo are imported, ``--help`` starts nothing, and
Ctrl-C during the imports is quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib
import sys

from ..interrupts import INTERRUPTED, leave_quietly, quiet_start

_HELP = {'-h', '--help'}


def main_policy_node(args: Sequence[str] | None = None) -> int:
    """The program ``policy_node``; returns the exit code."""
    return _start('policy_node', args)


def main_sim_node(args: Sequence[str] | None = None) -> int:
    """The program ``sim_node``; returns the exit code."""
    return _start('sim_node', args)


def main_train_node(args: Sequence[str] | None = None) -> int:
    """The program ``train_node``; returns the exit code."""
    return _start('train_node', args)


def main_bag_player(args: Sequence[str] | None = None) -> int:
    """The program ``bag_player``; returns the exit code."""
    return _start('bag_player', args, own_arguments=True)


def _start(name: str, args: Sequence[str] | None, *, own_arguments: bool = False) -> int:
    """Check the arguments of a node, load it, run it.

    Args:
        name: Module and program.
        args: Command line, the program's name first; ``sys.argv`` if none.
        own_arguments: The node itself reads what is not for ROS, ``--help`` too.

    Returns:
        The exit code: that of the node, 2 for wrong arguments, 130 and 143 after a signal.
    """
    given = list(sys.argv if args is None else args)
    try:
        with quiet_start(name):
            if not own_arguments and _HELP & set(given[1:]):
                from .help import help_text

                text = help_text(importlib.import_module(f'.{name}', __package__).HELP)
                print(text, flush=True)  # noqa: T201
                return 0
            refusal = _refusal(given, own_arguments)
            if refusal:
                print(f'{name}: error: {refusal} (try: {name} --help)', file=sys.stderr)  # noqa: T201
                return 2
            module = importlib.import_module(f'.{name}', __package__)
        return leave_quietly(int(module.main(given)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `policy_node --help | head`
        sys.stdout = None  # type: ignore[assignment]  # else it is flushed again at exit
        return 1


def _refusal(given: Sequence[str], own_arguments: bool) -> str:
    """What is wrong with a command line, in one line; or ''."""
    from .ros_arguments import check, FLAGS, outside, SHORT, UsageError

    left = [] if own_arguments else outside(given[1:])
    if left and (':=' in left[0] or left[0] in (*SHORT, *FLAGS)):
        example = f', a parameter as -p {left[0]}' if ':=' in left[0] else ''
        return f'{left[0]}: ROS arguments stand after --ros-args{example}'
    if left:
        return f'{left[0]}: unknown argument, expected --ros-args and what follows it'
    try:
        check(given)
    except UsageError as error:
        return str(error)
    return ''
