"""The nodes of a demo as processes of their own: started, watched, and ended by their id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import contextlib
import ctypes
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import IO

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_DISCOVERY_PORT, _PORTS_PER_DOMAIN = 7400, 250  # OMG DDSI-RTPS 2.5, 9.6.1.1
_FIRST_UNICAST = 10


class DemoError(RuntimeError):
    """The demo cannot go on; the message is one line that says why."""


@dataclass
class Child:
    """One node process and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    output: IO[bytes]

    def last_words(self) -> str:
        """The last line it wrote."""
        lines = [line for line in self.log.read_text(errors='replace').splitlines() if line.strip()]
        return lines[-1].strip() if lines else 'it said nothing'

    def processor_time(self) -> float:
        """Processor time used so far, s; 0 once it has ended."""
        try:
            fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Children:
    """Node processes that never outlive the ``with`` block, nor this process.

    They form a group of their own, so that Ctrl-C reaches this process alone, which then ends them
    in order; should this process be killed, the kernel ends them.

    Args:
        logs: Folder for one log file a process.
        environment: Their environment.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs, self._environment = logs, dict(environment)
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, module: str, arguments: Sequence[str] = ()) -> Child:
        """Run ``python -m module``."""
        log = self._logs / f'{name}.log'
        output = log.open('wb')
        process = subprocess.Popen(
            [sys.executable, '-m', module, *arguments], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, env=self._environment, start_new_session=True,
            preexec_fn=_die_with_parent())
        child = Child(name, process, log, output)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Make sure that all still run.

        Raises:
            DemoError: One has ended; says which, how and its last line of output.
        """
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                raise DemoError(f'{child.name} ended with status {code}: {child.last_words()} '
                                f'(all of it: {child.log})')

    def stop(self, patience: float = 5.0) -> None:
        """End all, newest first: SIGINT, then SIGTERM, then SIGKILL, each by process id."""
        for number, seconds in ((signal.SIGINT, patience), (signal.SIGTERM, 2.0),
                                (signal.SIGKILL, 2.0)):
            for child in reversed(self._children):
                if child.process.poll() is None:
                    child.process.send_signal(number)
            deadline = time.monotonic() + seconds
            for child in self._children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(max(0.0, deadline - time.monotonic()))
        for child in self._children:
            child.output.close()


def _die_with_parent() -> Callable[[], None]:
    # Looked up before the fork: between fork and exec as little as possible may happen.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:  # it died between fork and here
            os._exit(1)

    return arrange


def free_domain(first: int = 20, last: int = 100) -> int:
    """A ROS_DOMAIN_ID that nobody on this machine uses, by its first discovery port.

    Raises:
        DemoError: All are taken.
    """
    count = last - first + 1
    for k in range(count):
        domain = first + (os.getpid() + k) % count
        port = _DISCOVERY_PORT + _PORTS_PER_DOMAIN * domain + _FIRST_UNICAST
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', port))
            except OSError:
                continue
            return domain
    raise DemoError(f'every ROS_DOMAIN_ID from {first} to {last} is in use; name one by --domain')
