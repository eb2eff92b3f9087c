"""The arguments after ``--ros-args``: rcl judges them, one line of ours says what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
import difflib
import re

import rclpy
from rclpy.context import Context
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.signals import SignalHandlerOptions

from ..untrusted.text import Refusal

FLAGS = ('--params-file', '--param', '--remap', '--log-level', '--log-config-file', '--enclave',
         '--enable-rosout-logs', '--disable-rosout-logs', '--enable-stdout-logs',
         '--disable-stdout-logs', '--enable-external-lib-logs', '--disable-external-lib-logs')
"""What may stand after ``--ros-args``."""
SHORT = ('-p', '-r', '-e')
"""The same, short: --param, --remap, --enclave."""
_EXPECTED = {
    'remap rule': 'FROM:=TO with letters, digits, _ and single / only, such as '
                  '-r cmd_vel:=/robot1/cmd_vel, -r __ns:=/robot1 or -r __node:=policy',
    'parameter override rule': 'NAME:=VALUE with a YAML value, such as -p rate:=15.0',
    'params file': 'a parameter file: node name (or /**), ros__parameters, values',
    'log level': 'debug, info, warn, error or fatal, for one logger NAME:=LEVEL',
}
_AFTER = {'-p': 'parameter override rule', '--param': 'parameter override rule',
          '-r': 'remap rule', '--remap': 'remap rule', '--params-file': 'params file',
          '--log-level': 'log level'}
# What the machine code of rcl's parser says, in words a user can act on.
_CAUSES = (
    (r'Error opening YAML file', 'no such file, or it cannot be opened'),
    (r'Error parsing a event near line (\d+)', r'not YAML near line \1'),
    (r'Cannot have a value before ros__parameters at line (\d+)',
     r'a value before ros__parameters at line \1'),
    (r'Sequence should be of same type.*line_num (\d+)',
     'the items of a list are of different types; write whole numbers among decimals as 1.0'),
    (r'Expected lexeme.*|error not set|Expecting token.*|Unknown YAML event|Argument does not.*',
     ''),
)
_RULE = re.compile(r"Couldn't parse (?P<kind>[a-z ]+?): '(?P<text>.*?)'(?:\. Error: (?P<why>.*))?$",
                   re.DOTALL)
_TRAILING = re.compile(r"Couldn't parse trailing (?:log level flag: ')?(?P<flag>-[\w-]+)")
_SOURCE = re.compile(r',? at \S+:\d+')


class StartError(Refusal):
    """The node cannot do its work; the text is one line for the person who started it."""


class UsageError(StartError):
    """The node was called wrongly."""


def outside(args: Sequence[str]) -> list[str]:
    """The arguments that are not for ROS: all but what stands from ``--ros-args`` to ``--``.

    A bare ``NAME:=VALUE`` is among them: rcl still takes it for a remapping, as ROS 1 did, and
    whoever meant a parameter would not hear that nothing was set.
    """
    result, inside = [], False
    for argument in args:
        if argument == '--ros-args':
            inside = True
        elif inside and argument == '--':
            inside = False
        elif not inside:
            result.append(argument)
    return result


def initialise(context: Context, args: Sequence[str]) -> None:
    """Initialise rclpy without its own signal handlers.

    Args:
        context: Context to initialise.
        args: Whole command line, the program's name first.

    Raises:
        UsageError: rcl does not take the arguments.
    """
    # rcl's own line says less than the exception, and ours says what to do.
    set_logger_level('rcl', LoggingSeverity.FATAL)
    try:
        rclpy.init(args=list(args), context=context, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # unknown arguments, bad rules, a broken middleware: many classes
        if type(error).__name__ == 'UnknownROSArgsError':
            raise UsageError(unknown(str(error))) from None
        raise UsageError(explain(str(error))) from None
    finally:
        set_logger_level('rcl', LoggingSeverity.UNSET)


def check(args: Sequence[str]) -> None:
    """Try the arguments out without a node.

    Raises:
        UsageError: As ``initialise``.
    """
    context = Context()
    initialise(context, args)
    context.try_shutdown()


def explain(text: str) -> str:
    """One line for what rcl says of arguments that it does not take."""
    text = _SOURCE.sub('', ' '.join(text.split())).removeprefix('failed to initialize rcl: ')
    trailing = _TRAILING.search(text)
    if trailing:
        flag = trailing['flag']
        expected = _EXPECTED.get(_AFTER.get(flag, ''), 'a value')
        return f'{flag}: got nothing after it, expected {expected}'
    rule = _RULE.search(text)
    if rule is None:
        return f'ROS arguments: {text}'
    why = rule['why'] or ''
    for pattern, words in _CAUSES:
        why = re.sub(pattern, words, why).strip(' .')
    cause = f' ({why})' if why else ''
    expected = _EXPECTED.get(rule['kind'], 'another')
    return f'{rule["text"]}: wrong {rule["kind"]}{cause}, expected {expected}'


def unknown(text: str) -> str:
    """One line for arguments that rcl does not know; ``text`` is a list of them."""
    first = next(iter(re.findall(r"'([^']*)'", text)), text)
    if ':=' in first and not first.startswith('-'):
        return (f'{first}: unknown ROS argument, expected -p {first} for a parameter or '
                f'-r {first} for another name')
    near = difflib.get_close_matches(first, FLAGS, 1)
    hint = f'; did you mean {near[0]}?' if near else ''
    return f'{first}: unknown ROS argument, expected -p, -r, {", ".join(FLAGS[:4])} …{hint}'
