"""Files whose name somebody gave: only regular ones, only up to a size, and without waiting.

Opening a FIFO waits for a writer, reading ``/dev/zero`` never ends, and a dangling link or a
folder shows only when it is too late. So files are opened without blocking, and it is the open
file that is looked at: nobody can exchange it in between.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import stat
from typing import BinaryIO, TypeVar

from .text import one_line, Refusal

Result = TypeVar('Result')
TEXT_LIMIT = 1 << 20
"""Largest text file read, bytes."""
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a FIFO'), (stat.S_ISSOCK, 'a socket'),
    (stat.S_ISCHR, 'a character device'), (stat.S_ISBLK, 'a block device'),
)
# A byte order mark says which encoding it is; UTF-32 begins like UTF-16 and comes first.
_MARKS = ((codecs.BOM_UTF32_LE, 'UTF-32'), (codecs.BOM_UTF32_BE, 'UTF-32'),
          (codecs.BOM_UTF16_LE, 'UTF-16'), (codecs.BOM_UTF16_BE, 'UTF-16'))


class FileRefusal(Refusal):
    """A file cannot be used; one line with its path, what was got and what was expected.

    Attributes:
        missing: Whether there is simply nothing of that name.
    """

    def __init__(self, text: str, missing: bool = False) -> None:
        super().__init__(text)
        self.missing = missing


def require_regular_file(path: str | Path) -> os.stat_result:
    """Look at a file that another library is going to open by its name.

    Raises:
        FileRefusal: It is missing, a folder, a FIFO, a device, a socket or a dangling link.
    """
    with open_regular(path) as file:
        return os.fstat(file.fileno())


@contextmanager
def open_regular(path: str | Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises:
        FileRefusal: As ``require_regular_file``, or it may not be read.
    """
    # Opening a device can do things (rewind a tape, raise a modem line): look before as well.
    _check(path, _tried(path, lambda: os.stat(path)).st_mode)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    handle = _tried(path, lambda: os.open(path, flags))
    with os.fdopen(handle, 'rb') as file:
        _check(path, os.fstat(handle).st_mode)
        yield file


def _check(path: str | Path, mode: int) -> None:
    for matches, name in _KINDS:
        if matches(mode):
            raise FileRefusal(f'{path}: got {name}, expected a file')
    if not stat.S_ISREG(mode):
        raise FileRefusal(f'{path}: got something else, expected a file')


def _tried(path: str | Path, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except OSError as error:
        raise _refusal(path, error) from None
    except ValueError as error:  # a NUL byte in the name
        raise FileRefusal(f'{path}: {error}') from None


def _refusal(path: str | Path, error: OSError) -> FileRefusal:
    dangling = isinstance(error, FileNotFoundError) and os.path.islink(path)
    if dangling:
        return FileRefusal(f'{path}: a link to {one_line(os.readlink(path), 120)}, where nothing '
                           f'is, expected a file', missing=True)
    return FileRefusal(f'{path}: {error.strerror or error}',
                       missing=isinstance(error, FileNotFoundError))


def read_bytes(path: str | Path, limit: int) -> bytes:
    """All of a regular file.

    Args:
        path: Of the file.
        limit: Most bytes it may have.

    Raises:
        FileRefusal: As ``open_regular``, or it is larger.
    """
    with open_regular(path) as file:
        try:
            # Files below /proc say that they are empty: the size is not believed, but counted.
            data = file.read(limit + 1) if os.fstat(file.fileno()).st_size <= limit else None
        except OSError as error:
            raise _refusal(path, error) from None
    if data is None or len(data) > limit:
        raise FileRefusal(f'{path}: too large, expected at most {limit:,} bytes')
    return data


def read_text(path: str | Path, limit: int = TEXT_LIMIT) -> str:
    """All of a text file in UTF-8; a byte order mark in front is left out.

    Args:
        path: Of the file.
        limit: Most bytes it may have.

    Raises:
        FileRefusal: As ``read_bytes``, or it is no UTF-8 text.
    """
    data = read_bytes(path, limit)
    for mark, name in _MARKS:
        if data.startswith(mark):
            raise FileRefusal(f'{path}: got {name} text, expected UTF-8: save it as UTF-8')
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise FileRefusal(f'{path}: byte {error.start} ({data[error.start]:#04x}) is not UTF-8, '
                          f'expected UTF-8 text: save it as UTF-8') from None
    if '\0' in text:
        raise FileRefusal(f'{path}: byte {text.index(chr(0))} is NUL, expected UTF-8 text')
    return text
