"""What somebody who mistyped a word probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import difflib


def meant(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?`` with the nearest known word, or ''."""
    # Case is no difference: somebody who writes TRAIN means train.
    near = difflib.get_close_matches(word.lower(), list(known), 1, cutoff=0.6)
    return f'; did you mean {near[0]}?' if near else ''


def unknown_command(arguments: Sequence[str], known: Sequence[str]) -> str:
    """One line if the first word of a command line is no command, else ''."""
    word = next((argument for argument in arguments if not argument.startswith('-')), '')
    if not word or word in known:
        return ''
    return f'invalid choice: {word!r}, expected one of {", ".join(known)}{meant(word, known)}'


def unknown_options(left: Sequence[str], parser: argparse.ArgumentParser) -> str:
    """One line for arguments that nobody takes.

    Args:
        left: What was left over; not empty.
        parser: Of the command, whose options are known.
    """
    first = left[0]
    known = [option for action in parser._actions for option in action.option_strings]
    hint = meant(first.partition('=')[0], known) if first.startswith('-') else ''
    return f'unrecognized arguments: {" ".join(left)}{hint}'
