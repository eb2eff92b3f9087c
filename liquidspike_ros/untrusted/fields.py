"""A value from outside for one typed field of a description: checked, never bent into shape."""

from __future__ import annotations

import math
from typing import Any

from .text import brief, printable, Refusal

LONGEST_TEXT, LONGEST_LIST = 256, 64
"""Of any field; Fast DDS takes topic names of at most 256 characters."""


def require(condition: bool, name: str, got: object, expected: str, error: type[Refusal]) -> None:
    """Raise ``error``, naming the field, unless the condition holds."""
    if not condition:
        raise error(f'{name}: got {brief(got)}, expected {expected}')


def coerce(
    name: str, value: Any, hint: Any, error: type[Refusal], longest: int = LONGEST_TEXT
) -> Any:
    """The value as the field wants it: whole numbers also for float, lists for tuples.

    Args:
        name: Dotted name of the field.
        value: What was given for it.
        hint: ``str``, ``bool``, ``int``, ``float``, or a tuple of any length of one of them.
        error: Raised with one line.
        longest: Most characters of a text.

    Raises:
        Refusal: ``error``: of another type, a number that is not finite, or longer than text and
            lists may be.
    """
    if getattr(hint, '__origin__', None) is tuple:
        require(isinstance(value, (list, tuple)), name, value, 'a list', error)
        if len(value) > LONGEST_LIST:
            raise error(f'{name}: got {len(value)} entries, expected at most {LONGEST_LIST}')
        return tuple(coerce(f'{name}[{i}]', item, hint.__args__[0], error, longest)
                     for i, item in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        require(value.bit_length() < 1024, name, value, 'a number below 1e308', error)
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        quotes = (': ROS reads yes, no, y, n, on, off as true and false; put it in quotes'
                  if hint is str and isinstance(value, bool) else '')
        raise error(f'{name}: got {brief(value)}, expected {hint.__name__}{quotes}')
    require(hint is not float or math.isfinite(value), name, value, 'a finite number', error)
    if hint is str and (len(value) > longest or value != printable(value)):
        raise error(f'{name}: got {brief(value)} ({len(value)} characters), expected at most '
                    f'{longest} printable ones')
    return value
