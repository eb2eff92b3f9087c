"""Which topic of a recording serves which sensor, and what to say where none does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..robot import COMMAND_INTERFACES, RobotSpec
from ..sensing.converters import CONVERTERS
from ..untrusted.text import one_line
from .configuration import DataConfig

ODOMETRY = 'nav_msgs/msg/Odometry'
_TRANSPORTS = ('compressed',)  # suffixes of image_transport whose messages a converter takes


@dataclass(frozen=True, kw_only=True)
class TopicChoice:
    """What is read from a recording.

    Attributes:
        sensors: Sensor name by ``(topic, interface type)``.
        commands: Topics and types whose messages are labels.
        missing: Why a sensor, or ``command``, is not there, by name.
        notes: What was taken in place of what was asked for, one line each.
        namespace: Below which the missing ones are; empty if they are not, or not all.
    """

    sensors: Mapping[tuple[str, str], str]
    commands: frozenset[tuple[str, str]]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()
    namespace: str = ''


def absolute(topic: str, namespace: str = '') -> str:
    """A topic name as recordings hold it; ``namespace`` goes in front of a relative one."""
    if topic.startswith('/') or not namespace.strip('/'):
        return '/' + topic.lstrip('/')
    return f'/{namespace.strip("/")}/{topic}'


def serving_types(spec: Any) -> tuple[str, ...]:
    """The interface types that serve a sensor, its own first."""
    kinds = [name for name, (kind, *_) in CONVERTERS.items() if isinstance(spec, kind)]
    return tuple(dict.fromkeys([spec.type, *kinds]))


def label_types(kind: str) -> tuple[str, ...]:
    """The interface types that hold commands of a kind, its own first; a stamp may come or go."""
    twists = ('twist', 'twist_stamped')
    kinds = [kind, *twists] if kind in twists else [kind]
    return tuple(dict.fromkeys(COMMAND_INTERFACES[name] for name in kinds))


def choose_topics(counts: Mapping[str, Mapping[str, int]], robot: RobotSpec,
                  data: DataConfig) -> TopicChoice:
    """Find the robot's sensors and commands in a recording.

    Args:
        counts: Readable messages by topic and interface type.
        robot: Whose topics are wanted.
        data: Namespace and source of the labels.
    """
    sensors: dict[tuple[str, str], str] = {}
    missing: dict[str, str] = {}
    notes: list[str] = []
    for name, spec in robot.sensors.items():
        wanted, kinds = absolute(spec.topic, data.namespace), serving_types(spec)
        topic = next((t for t in _transports(wanted) if _found(counts, t, kinds)), None)
        if topic is None:
            missing[name] = _why_missing(counts, wanted, kinds)
            continue
        found = _found(counts, topic, kinds)
        sensors.update(dict.fromkeys(((topic, kind) for kind in found), name))
        if topic != wanted or spec.type not in found:
            notes.append(f'{name}: {one_line(topic, 100)} ({", ".join(found)}) is read in place '
                         f'of {one_line(wanted, 100)} ({spec.type})')
    commands, finding, more = _choose_labels(counts, robot, data)
    if finding:
        missing['command'] = finding
    hints = {finding.partition('--namespace ')[2].partition(' ')[0]
             for finding in missing.values()}
    return TopicChoice(sensors=sensors, commands=frozenset(commands), missing=missing,
                       notes=(*notes, *more), namespace=hints.pop() if len(hints) == 1 else '')


def _choose_labels(counts: Mapping[str, Mapping[str, int]], robot: RobotSpec, data: DataConfig
                   ) -> tuple[list[tuple[str, str]], str, list[str]]:
    if data.label_from == 'odometry':
        topic = absolute(data.odometry_topic, data.namespace)
        kinds: tuple[str, ...] = (ODOMETRY,)
        if robot.command.kind == 'float64_multi_array':
            return [], 'data.label_from: odometry holds a twist, expected a twist command', []
    else:
        topic = absolute(robot.command.topic, data.namespace)
        kinds = label_types(robot.command.kind)
    found = _found(counts, topic, kinds)
    if not found:
        finding = _why_missing(counts, topic, kinds)
        driven = [t for t, types in counts.items() if types.get(ODOMETRY)]
        if driven and data.label_from == 'command' and len(kinds) > 1:
            finding += ('; to learn how it drove: --set data.label_from=odometry '
                        f'--set data.odometry_topic={one_line(driven[0], 100)}')
        return [], finding, []
    notes = []
    if len(found) > 1:
        parts = ' and '.join(f'{counts[topic][kind]} {kind}' for kind in found)
        notes.append(f'{one_line(topic, 100)} carries {parts}: both are learnt')
    if data.label_from == 'odometry':
        notes.append(f'labels are what {one_line(topic, 100)} says it drove, not commands')
    return [(topic, kind) for kind in found], '', notes


def _found(counts: Mapping[str, Mapping[str, int]], topic: str, kinds: Sequence[str]) -> list[str]:
    return [kind for kind in kinds if counts.get(topic, {}).get(kind)]


def _transports(topic: str) -> list[str]:
    """The topic, then those that image transport would give beside it."""
    parent, _, last = topic.rpartition('/')
    return [topic, *([parent] if last in _TRANSPORTS else []),
            *(f'{topic}/{transport}' for transport in _TRANSPORTS)]


def _why_missing(counts: Mapping[str, Mapping[str, int]], topic: str,
                 kinds: Sequence[str]) -> str:
    if topic in counts:
        types = [kind for kind, count in counts[topic].items() if count]
        if not types:
            return f'{one_line(topic, 100)} has no messages, expected {kinds[0]}'
        got = ', '.join(one_line(kind or 'of unknown type', 60) for kind in types)
        if set(types) & set(kinds):
            return f'{one_line(topic, 100)} ({got}) cannot be read'
        return f'{one_line(topic, 100)} is {got}, expected {kinds[0]}'
    text = f'no topic {one_line(topic, 100)}, expected {kinds[0]}'
    serving = [other for other, types in counts.items() if any(types.get(k) for k in kinds)]
    for other in serving:
        for ending in _transports(topic):
            if other.endswith(ending):
                namespace = one_line(other.removesuffix(ending).strip('/'), 60)
                return (f'{text}; there is {one_line(other, 100)}: --namespace {namespace} '
                        '(data.namespace)')
    if serving:
        text += f'; of that type there is {", ".join(one_line(o, 60) for o in serving[:3])}'
    return text
