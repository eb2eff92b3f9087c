"""Text of unknown origin, made fit for one line of a terminal or a log."""

from __future__ import annotations

LONGEST = 300  # characters of a foreign text: a line of ours stays below 500


def printable(text: object, longest: int = LONGEST) -> str:
    """A foreign text without anything a terminal would obey: escape codes, line ends, bidi marks.

    Args:
        text: A topic name, a path, the text of an error.
        longest: Characters kept; a longer text ends in ``…``.
    """
    raw = str(text)
    clean = ''.join(c if c.isprintable() else c.encode('unicode_escape').decode('ascii')
                    for c in raw[:longest + 1])
    return clean if len(raw) <= longest and len(clean) <= longest else f'{clean[:longest - 1]}…'


def one_line(error: BaseException) -> str:
    """The first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return printable(text.splitlines()[0]) if text else type(error).__name__
