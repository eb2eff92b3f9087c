"""What the launch files share: a launch whose node fails is a launch that fails."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

from launch.actions import RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart
import yaml

_ESCAPES = re.compile(r'\x1b\[[0-9;]*m')


class NodeFailed(RuntimeError):
    """A node ended with an error; the text is its name, exit code and last line of output."""


class Watch:
    """Ends the launch with its nodes: exit status 1 and the node's one line last, if one failed.

    ``launch`` itself goes on without a node that died, and ends with 0. The first node of ``own``
    that fails, or any that ends where ``together``, shuts down the rest; once nothing runs any
    more the failure is raised, which is what makes ``ros2 launch`` end with 1.

    Args:
        own: Executables whose failure counts.
        together: Whether each is useless without the others.
    """

    def __init__(self, *own: str, together: bool = False) -> None:
        self._own, self._together = own, together
        self._running: set[int] = set()
        self._said: dict[str, str] = {}
        self._failure = ''

    def handlers(self) -> list[Any]:
        """The actions that make a launch description watch."""
        return [RegisterEventHandler(handler) for handler in (
            OnProcessStart(on_start=self._on_start),
            OnProcessIO(on_stdout=self._on_output, on_stderr=self._on_output),
            OnProcessExit(on_exit=self._on_exit))]

    def _on_start(self, event: Any, context: Any) -> None:
        self._running.add(event.pid)

    def _on_output(self, event: Any) -> None:
        for line in event.text.decode(errors='replace').splitlines():
            line = _ESCAPES.sub('', line).strip()
            if line and ('error: ' in line or ' error: ' not in self._said.get(
                    event.process_name, '')):
                self._said[event.process_name] = line

    def _on_exit(self, event: Any, context: Any) -> Any:
        self._running.discard(event.pid)
        name = event.process_name.rpartition('-')[0] or event.process_name
        if name in self._own and not context.is_shutdown:
            if event.returncode and not self._failure:
                self._failure = (f'{name} ended with exit code {event.returncode}: '
                                 f'{self._said.get(event.process_name, "it said nothing")}')
            if self._running and (self._failure or self._together):
                return Shutdown(reason=f'{name} has ended')
        if self._failure and not self._running:
            raise NodeFailed(self._failure)
        return None


def full_name(context: Any, namespace: str, name: str) -> str:
    """The node's name with all namespaces, as a group around it and ``namespace`` make it."""
    outer = '' if namespace.startswith('/') else context.launch_configurations.get(
        'ros_namespace', '')
    return '/' + '/'.join(part for part in f'{outer}/{namespace}/{name}'.split('/') if part)


def sets(path: str | Path, node: str, parameter: str) -> bool:
    """Whether a parameter file gives ``node`` (a full name) a top-level ``parameter``.

    A file that cannot be read sets nothing: the node itself says what is wrong with it.
    """
    try:
        document = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return any(
        isinstance(body, dict) and parameter in (body.get('ros__parameters') or {})
        for pattern, body in _sections(document) if _matches(pattern, node))


def _sections(document: Any, above: str = '') -> list[tuple[str, Any]]:
    """(pattern, body) of every node; namespaces may be nested mappings."""
    if not isinstance(document, dict):
        return []
    found = []
    for key, body in document.items():
        pattern = f'{above}/{str(key).strip("/")}'
        found.append((pattern, body))
        if isinstance(body, dict) and 'ros__parameters' not in body:
            found += _sections(body, pattern)
    return found


def _matches(pattern: str, node: str) -> bool:
    """As rcl does: ``**`` stands for any names, ``*`` for one."""
    parts = ['.*' if part == '**' else re.escape(part).replace(r'\*', '[^/]*')
             for part in pattern.strip('/').split('/')]
    text = '/'.join(parts).replace('.*/', '(?:.*/)?')
    return re.fullmatch(text, node.strip('/')) is not None
