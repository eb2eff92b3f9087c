"""The folder a training writes into: one training at a time, and no trained model lost unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import fcntl
import os
from pathlib import Path

from ..core.checkpoint import CONFIG, WEIGHTS
from .configuration import TrainingError

LOCK = '.training.lock'
LAST = 'last'
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def claimed(output: Path, *, resume: bool = False, overwrite: bool = False) -> Iterator[None]:
    """Hold the folder for one training; what was made for it alone is gone again if empty.

    The lock is of the operating system and ends with the process, however that ends. On a file
    system without locks there is none.

    Args:
        output: The folder, made if need be.
        resume: A model in it is to be gone on with.
        overwrite: A model in it may be replaced.

    Raises:
        TrainingError: Another training holds the folder, it cannot be written, or it holds a
            trained model and neither ``resume`` nor ``overwrite`` is given.
    """
    if resume and overwrite:
        raise TrainingError('overwrite: got true together with resume, expected one of them')
    made = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        output.mkdir(parents=True, exist_ok=True)
        handle = _locked(output)
    except OSError as error:
        raise TrainingError(f'{output}: {error.strerror or error}, expected a folder to write '
                            'into') from None
    try:
        if not (resume or overwrite):
            _check_free(output)
        yield
    finally:
        (output / LOCK).unlink(missing_ok=True)
        os.close(handle)
        with suppress(OSError):  # not empty: something was learnt
            for folder in made:
                folder.rmdir()


def _locked(output: Path) -> int:
    """The descriptor that holds the lock."""
    path = output / LOCK
    while True:
        # Neither through a link nor waiting for somebody at the other end of a FIFO.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(path, flags, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode(errors='replace').strip() or 'unknown'
            os.close(handle)
            raise TrainingError(f'{output}: another training writes there (process {holder}), '
                                'expected one at a time: wait for it, stop it, or give another '
                                'folder') from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(handle)
                raise
        # The one before may have removed its file between our opening and locking of it.
        with suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(handle).st_ino:
                os.truncate(handle, 0)
                os.write(handle, f'{os.getpid()}\n'.encode())
                return handle
        os.close(handle)


def _check_free(output: Path) -> None:
    for path in (output / CONFIG, output / WEIGHTS, output / LAST / CONFIG):
        if os.path.lexists(path):
            raise TrainingError(
                f'{output}: holds a trained model ({path.relative_to(output)}), expected a new '
                'folder; to go on with it: --resume (resume:=true), to replace it: --overwrite '
                '(overwrite:=true)')
