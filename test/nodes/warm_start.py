"""Nodes of ours in processes that need not load torch first.

Most of a node's start is the loading of libraries. Here one process loads them once and forks for
every node. What it loads touches neither ROS nor DDS and starts no thread, so a fork of it is a
process like any other: it runs the node's program from its first line to the interpreter's end.
"""

from __future__ import annotations

from contextlib import suppress
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

LIBRARIES = ('torch', 'liquidspike_ros.nodes.loading', 'liquidspike_ros.sim.simulation',
             'liquidspike_ros.training.trainer')
LONGEST = 2**17
"""Bytes of a request."""


class Nursery:
    """The process that has the libraries loaded, seen from the tests.

    Attributes:
        usable: Whether it starts nodes; not where loading the libraries starts threads.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], env=environment,
                pass_fds=[theirs.fileno()])
        self.usable = bool(self._answer())

    def _answer(self) -> Any:
        answer = self._socket.recv(LONGEST)
        assert answer, 'the process that starts nodes has ended'
        return json.loads(answer)

    def start(self, module: str, arguments: list[str], environment: dict[str, str]) -> Forked:
        """Start a node; its standard output and error come together."""
        ours, theirs = os.pipe()
        request = json.dumps({'start': module, 'arguments': arguments, 'environment': environment})
        try:
            socket.send_fds(self._socket, [request.encode()], [theirs])
        finally:
            os.close(theirs)
        return Forked(self, self._answer(), ours)

    def poll(self, pid: int) -> int | None:
        """Exit code of a node, None while it runs; to be asked until it is known."""
        self._socket.send(json.dumps({'poll': pid}).encode())
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._popen.wait(10)


class Forked:
    """A node that a nursery started; what is used here of ``subprocess.Popen``."""

    def __init__(self, nursery: Nursery, pid: int, output: int) -> None:
        self._nursery, self.pid = nursery, pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(output)

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.poll(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve(connection: socket.socket) -> None:
    """Start nodes and tell of their ends; returns only in the processes of nodes, to run them."""
    running: set[int] = set()
    while True:
        data, received, _, _ = socket.recv_fds(connection, LONGEST, 1)
        if not data:  # the tests are over
            for pid in running:
                os.kill(pid, signal.SIGKILL)
            os._exit(0)
        request = json.loads(data)
        answer: Any = None
        if 'start' in request:
            answer = os.fork()
            if not answer:
                connection.close()
                become(request, received[0])
                return
            running.add(answer)
            os.close(received[0])
        else:
            pid, status = os.waitpid(request['poll'], os.WNOHANG)
            if pid:
                running.discard(pid)
                answer = os.waitstatus_to_exitcode(status)
        connection.send(json.dumps(answer).encode())


def become(request: dict[str, Any], output: int) -> None:
    """Make this process look as if the node's program had been called."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(request['environment'])
    sys.argv = [request['start'], *request['arguments']]


def main() -> int:
    connection = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = os.getcwd()  # as `python -m` has it
    with suppress(ModuleNotFoundError):  # a node says better what it needs
        for name in LIBRARIES:
            importlib.import_module(name)
    # Threads do not live on in a fork, and ROS starts some while it is loaded.
    alone = len(os.listdir('/proc/self/task')) == 1
    connection.send(json.dumps(alone and 'rclpy' not in sys.modules).encode())
    serve(connection)
    from liquidspike_ros.nodes import start

    return getattr(start, f'main_{sys.argv[0]}')()


if __name__ == '__main__':
    sys.exit(main())
