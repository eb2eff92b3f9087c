"""What ``NODE --help`` prints: what the node is, its parameters, topics, services, examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import textwrap
from typing import Any

from .declarations import Declaration

WIDTH = 100
_COLUMN = 34


@dataclass(frozen=True, kw_only=True)
class NodeHelp:
    """One node for the person who calls it.

    Attributes:
        program: Name of the executable.
        summary: What it is, one paragraph.
        declarations: Makes its parameters.
        topics: (name, type, direction and what it carries).
        services: (name, type, effect).
        examples: Command lines that work.
    """

    program: str
    summary: str
    declarations: Callable[[], Sequence[Declaration]]
    topics: Sequence[tuple[str, str, str]]
    services: Sequence[tuple[str, str, str]]
    examples: Sequence[str]


def help_text(node: NodeHelp) -> str:
    """The page as text, at most 100 columns."""
    parts = [
        f'usage: {node.program} [--ros-args [-p NAME:=VALUE] [--params-file FILE] [-r FROM:=TO] '
        '[--log-level LEVEL]]', '', *textwrap.wrap(node.summary, WIDTH)]
    for title, rows in (('topics', node.topics), ('services', node.services)):
        if rows:
            parts += ['', f'{title}:']
            for name, kind, text in rows:
                parts += _row(name, f'{kind}: {text}')
    parts += ['', 'parameters (-p NAME:=VALUE after --ros-args, a parameter file, ros2 param set):']
    for item in node.declarations():
        parts += _row(item.name, f'{_describe(item)}')
    parts += ['', 'examples:', *(f'  {line}' for line in node.examples), '',
              'Exit status: 0 ended as asked, 1 failed (one line says why), 2 wrong arguments,',
              '130 or 143 broken off by a signal while starting.']
    return '\n'.join(parts)


def _row(name: str, text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - _COLUMN)
    first = f'  {name:{_COLUMN - 3}} '
    if len(first) > _COLUMN:
        lines.insert(0, '')
    indent = ' ' * _COLUMN
    return [(first + lines[0]).rstrip(), *(indent + line for line in lines[1:])]


def _describe(item: Declaration) -> str:
    facts = [*filter(None, [item.setting.allowed]), f'default: {default_text(item)}']
    return f'{item.setting.text} ({"; ".join(facts)})'


def default_text(item: Declaration) -> str:
    """The default of a parameter as it is written in a parameter file."""
    return _value(item.default)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f'[{", ".join(map(_value, value))}]'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(float(f'{value:.7g}'))  # with its point: ROS tells 2.0 from 2
    return str(value) or "''"
