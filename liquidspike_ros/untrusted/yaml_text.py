"""YAML from anybody, read the way ROS 2 reads its parameter files; plain values only.

Every file of ours is a ROS 2 parameter file too, which ``rcl_yaml_param_parser`` reads in C. What
that parser takes for a number, a flag or a word is what it is here: ``1e-3`` is a number, and
``1:30`` (sexagesimal to YAML 1.1), ``1_000`` and ``2024-05-01`` are words. Tags and merge keys,
which make something else of what stands there, are refused. An alias counts as all that it stands
for: ten lines of them can make a thousand million values.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
import math
import re
from typing import Any

from .text import brief, one_line, Refusal

NODES = 20_000
"""Most values and keys in a document, those that aliases stand for included."""
DEPTH = 24
"""Most mappings and lists inside each other."""
DIGITS = 64
"""Longest number, characters."""

_WORDS: dict[str, Any] = {
    **dict.fromkeys(('', '~', 'null', 'Null', 'NULL')),
    **dict.fromkeys(('true', 'True', 'TRUE', 'on', 'On', 'ON'), True),
    **dict.fromkeys(('yes', 'Yes', 'YES', 'y', 'Y'), True),
    **dict.fromkeys(('false', 'False', 'FALSE', 'off', 'Off', 'OFF'), False),
    **dict.fromkeys(('no', 'No', 'NO', 'n', 'N'), False),
    **dict.fromkeys(('.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'), math.inf),
    **dict.fromkeys(('-.inf', '-.Inf', '-.INF'), -math.inf),
    **dict.fromkeys(('.nan', '.NaN', '.NAN'), math.nan),
}
_WHOLE = re.compile(r'[-+]?[0-9]+')
_HEXADECIMAL = re.compile(r'[-+]?0x[0-9a-fA-F]+')
_REAL = re.compile(r'[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?')
_TAG = 'tag:yaml.org,2002:'


class YamlRefusal(Refusal):
    """A text is no acceptable YAML; the message says what and in which line."""


def parse_yaml(text: str, nodes: int = NODES) -> Any:
    """The plain values of a YAML document: dict, list, str, bool, int, float, None.

    Args:
        text: The document.
        nodes: Most values and keys it may hold.

    Raises:
        YamlRefusal: It is no YAML, or holds what the limits and rules above do not allow.
    """
    import yaml

    try:
        return _Document(yaml.parse(text, Loader=yaml.SafeLoader), nodes).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f'line {mark.line + 1}: ' if mark else ''
        raise YamlRefusal(f'not YAML ({where}{one_line(error.problem or error, 200)})') from None
    except yaml.YAMLError as error:
        raise YamlRefusal(f'not YAML ({one_line(error, 200)})') from None
    except (ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, YamlRefusal):
            raise
        # PyYAML itself: a directive `%YAML 1e9.1`, a character `"\\UFFFFFFFF"`.
        raise YamlRefusal(f'not YAML ({one_line(error, 200)})') from None


class _Document:
    """Makes plain values of parse events.

    Args:
        events: From ``yaml.parse``.
        most: Most values and keys.
    """

    def __init__(self, events: Iterator[Any], most: int) -> None:
        self._events, self._most = events, most
        self._nodes = 0
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}

    def read(self) -> Any:
        next(self._events)  # the stream begins
        if type(next(self._events)).__name__ == 'StreamEndEvent':
            return None
        value, _ = self._value(next(self._events), 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if type(after).__name__ != 'StreamEndEvent':
            raise YamlRefusal(f'{_line(after)}: a second document begins, expected one')
        return value

    def _value(self, event: Any, depth: int) -> tuple[Any, int]:
        """One value, and how many levels it has."""
        self._count(event, 1)
        kind = type(event).__name__
        if kind == 'AliasEvent':
            return self._alias(event, depth)
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None  # not complete: it cannot hold itself
        before = self._nodes
        if kind == 'ScalarEvent':
            value, levels = _scalar(event), 0
        else:
            self._check_depth(event, depth + 1)
            _check_tag(event, 'map' if kind == 'MappingStartEvent' else 'seq')
            make = self._mapping if kind == 'MappingStartEvent' else self._sequence
            value, levels = make(depth + 1)
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - before, levels)
        return value, levels

    def _alias(self, event: Any, depth: int) -> tuple[Any, int]:
        found = self._anchors.get(event.anchor)
        if found is None:
            what = 'holds itself' if event.anchor in self._anchors else 'stands for nothing'
            raise YamlRefusal(f'{_line(event)}: the alias *{one_line(event.anchor, 60)} {what}, '
                              'expected an anchor before it')
        value, nodes, levels = found
        self._count(event, nodes)
        self._check_depth(event, depth + levels)
        return value, levels

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._most:
            raise YamlRefusal(f'{_line(event)}: more than {self._most:,} values, aliases counted '
                              'as what they stand for, expected at most as many')

    def _check_depth(self, event: Any, depth: int) -> None:
        if depth > DEPTH:
            raise YamlRefusal(f'{_line(event)}: nested too deep, expected at most {DEPTH} levels')

    def _sequence(self, depth: int) -> tuple[list[Any], int]:
        result, levels = [], 0
        while type(event := next(self._events)).__name__ != 'SequenceEndEvent':
            value, below = self._value(event, depth)
            result.append(value)
            levels = max(levels, below)
        return result, levels + 1

    def _mapping(self, depth: int) -> tuple[dict[Any, Any], int]:
        result: dict[Any, Any] = {}
        lines: dict[Any, str] = {}
        levels = 0
        while type(event := next(self._events)).__name__ != 'MappingEndEvent':
            key, _ = self._value(event, depth)
            _check_key(event, key, lines)
            lines[key] = _line(event)
            result[key], below = self._value(next(self._events), depth)
            levels = max(levels, below)
        return result, levels + 1


def _check_key(event: Any, key: Any, lines: dict[Any, str]) -> None:
    if key == '<<' and getattr(event, 'style', None) is None:
        raise YamlRefusal(f'{_line(event)}: got the merge key <<, expected the keys themselves: '
                          'ROS parameter files have no merge keys')
    if not isinstance(key, str):
        shown = brief(key) if isinstance(key, Hashable) else f'a {type(key).__name__}'
        raise YamlRefusal(f'{_line(event)}: got the key {shown}, expected a name'
                          f'{_hint(event, key)}')
    if key in lines:
        raise YamlRefusal(f'{_line(event)}: the key {brief(key)} is there twice (first in '
                          f'{lines[key]}), expected once')


def _hint(event: Any, key: Any) -> str:
    """Why a key that looks like a word is none."""
    if isinstance(key, bool):
        return f': YAML reads {event.value} as {key}; put it in quotes'
    return ''


def _scalar(event: Any) -> Any:
    plain = event.style is None
    if event.tag is not None and event.tag != '!':
        _check_tag(event, 'str', 'int', 'float', 'bool', 'null')
        if event.tag == f'{_TAG}str':
            return event.value
        plain = True
    elif event.tag == '!':
        return event.value
    return _plain(event) if plain else event.value


def _plain(event: Any) -> Any:
    """What an unquoted word means."""
    text = event.value
    if text in _WORDS:
        return _WORDS[text]
    hexadecimal = _HEXADECIMAL.fullmatch(text)
    if not (hexadecimal or _REAL.fullmatch(text)):
        return text
    if len(text) > DIGITS:
        raise YamlRefusal(f'{_line(event)}: got a number of {len(text)} characters, expected at '
                          f'most {DIGITS}')
    if hexadecimal:
        return int(text, 16)
    if _WHOLE.fullmatch(text):
        if len(text.lstrip('+-')) > 1 and text.lstrip('+-')[0] == '0':
            raise YamlRefusal(f'{_line(event)}: got {text}, expected a number without zeros in '
                              'front: YAML reads those as octal')
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise YamlRefusal(f'{_line(event)}: got {text}, expected a number below 1e308')
    return value


def _check_tag(event: Any, *allowed: str) -> None:
    tag = event.tag
    if tag is not None and tag != '!' and tag not in [_TAG + name for name in allowed]:
        shown = tag.replace(_TAG, '!!')
        raise YamlRefusal(f'{_line(event)}: got the tag {one_line(shown, 80)}, expected plain '
                          'values without tags')


def _line(event: Any) -> str:
    return f'line {event.start_mark.line + 1}'
