"""JSON from anybody: bounded in size, depth and digits, each key once, no NaN and no Infinity."""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
from typing import Any, NoReturn

from .text import brief, one_line, Refusal

VALUES = 400_000
"""Most values in a document."""
DEPTH = 32
"""Most objects and arrays inside each other."""
DIGITS = 64
"""Longest number, characters."""


class JsonRefusal(Refusal):
    """A text is no acceptable JSON; the message says what is wrong, for the caller to say where."""


def parse_json(text: str | bytes, values: int = VALUES) -> Any:
    """The plain values of a JSON document.

    Args:
        text: The document, in UTF-8 if bytes.
        values: Most values it may hold.

    Raises:
        JsonRefusal: It is no JSON, a key is there twice, a number is not finite or longer than
            ``DIGITS``, or it is nested or branched beyond the limits.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode('utf-8-sig')
        except UnicodeDecodeError as error:
            raise JsonRefusal(f'not JSON (byte {error.start} is not UTF-8)') from None
    # Counted before a value is made: two bytes of text can become seventy in memory.
    if sum(map(text.count, ',[{')) > values:
        raise JsonRefusal(f'more than {values:,} values, expected at most as many')
    try:
        document = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_constant, parse_int=_integer,
            parse_float=_real)
    except JsonRefusal:
        raise
    except RecursionError:
        raise JsonRefusal(f'nested too deep, expected at most {DEPTH} levels') from None
    except ValueError as error:
        raise JsonRefusal(f'not JSON ({one_line(error, 200)})') from None
    level: list[Any] = [document]
    for _ in range(DEPTH):
        level = [child for parent in level for child in _children(parent)]
    if level:
        raise JsonRefusal(f'nested too deep, expected at most {DEPTH} levels')
    return document


def _children(value: Any) -> Iterator[Any]:
    entries = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list)):
        yield from (entry for entry in entries if isinstance(entry, (dict, list)))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonRefusal(f'the key {brief(key)} is there twice, expected once')
            seen.add(key)
    return result


def _constant(name: str) -> NoReturn:
    raise JsonRefusal(f'got {name}, expected finite numbers: JSON has no {name}')


def _integer(text: str) -> int:
    return int(_checked(text))


def _real(text: str) -> float:
    value = float(_checked(text))
    if not math.isfinite(value):
        raise JsonRefusal(f'got {text}, expected a number below 1e308')
    return value


def _checked(text: str) -> str:
    if len(text) > DIGITS:
        raise JsonRefusal(f'got a number of {len(text)} characters, expected at most {DIGITS}')
    return text
