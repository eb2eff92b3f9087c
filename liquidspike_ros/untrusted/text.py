"""Anything, shown in one short line: escape codes cannot act, and long values are abbreviated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import re
import reprlib

_NUMBER = re.compile(r'[-+]?\d[\d.]*(?:e[-+]?\d+)?')
LINE = 500
"""Longest text of an error, characters."""


class Refusal(ValueError):
    """Something given from outside is not accepted.

    Whatever text it is raised with, it shows one printable line of at most ``LINE`` characters:
    the values it quotes may come from anybody.
    """

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


def printable(text: object) -> str:
    r"""Text with everything escaped that a terminal or a log would act on instead of showing.

    Control characters (``\x1b`` begins an escape code), line breaks, marks that turn the
    direction of writing, and broken surrogates become ``\x1b``, ``\n``, ``\u202e``. Letters of
    every script stay as they are.
    """
    text = str(text)
    if text.isprintable():
        return text
    return ''.join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode('unicode_escape', 'backslashreplace').decode('ascii')


def shorten(text: str, limit: int) -> str:
    """Text of at most ``limit`` characters; what is too much is taken from the middle."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f'{text[:head]}…{text[len(text) - (limit - 1 - head):]}'


def one_line(text: object, limit: int = LINE) -> str:
    """Text as one printable line of at most ``limit`` characters; white space is folded."""
    text = str(text)
    if len(text) > 8 * limit:  # escaping a megabyte to show a line of it takes a second
        text = shorten(text, 8 * limit)
    return shorten(printable(' '.join(text.split())), limit)


def without_numbers(text: str) -> str:
    """Text with every number replaced: what differs in figures only says the same."""
    return _NUMBER.sub('#', text)


def reason(error: BaseException, limit: int = LINE) -> str:
    """What an error of some library says, in one line: its first, or its class if it has none."""
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror, limit)
    lines = str(error).strip().splitlines()
    return one_line(lines[0], limit) if lines else type(error).__name__


def named(error: BaseException) -> str:
    """An error that nobody worded for a user, in one line: its class and what it says."""
    return one_line(f'{type(error).__name__}: {error}', 300)


class _Brief(reprlib.Repr):
    """Short of everything, without ever making the long form."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxother = 3, 60
        self.maxstring, self.maxlong = 60, 40
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 8

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write down whole numbers of more than some thousand digits.
        if value.bit_length() > 128:
            return f'a whole number of about {round(value.bit_length() * 0.30103)} digits'
        return repr(value)

    def repr_str(self, value: str, level: int) -> str:
        return repr(shorten(value, self.maxstring))

    def repr_bytes(self, value: bytes, level: int) -> str:
        return f'{len(value)} bytes'


_BRIEF = _Brief()


def brief(value: object) -> str:
    """``repr`` of a value, abbreviated to at most 160 characters and printable."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return shorten(printable(_BRIEF.repr(value)), 160)


def listing(names: Mapping[str, object] | Sequence[str], limit: int = 240) -> str:
    """Names side by side, in at most ``limit`` characters."""
    return shorten(printable(', '.join(list(names)[:limit])), limit)
