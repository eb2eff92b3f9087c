"""``metadata.yaml`` of a rosbag2 folder: what the recorder said it wrote.

Nothing in it is needed to read the messages, so nothing in it can prevent that: what is broken,
edited or of another version is told, and the storage files count. Layout:
https://github.com/ros2/rosbag2/blob/rolling/rosbag2_storage/src/rosbag2_storage/yaml.cpp
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..untrusted.files import read_text
from ..untrusted.text import one_line, reason
from ..untrusted.yaml_text import parse_yaml, YamlRefusal

NAME = 'metadata.yaml'
_LARGEST, _MOST_NODES = 8 << 20, 400_000  # bytes and values; a thousand topics take one megabyte
_RELIABILITY = {1: 'reliable', 2: 'best_effort'}
_DURABILITY = {1: 'transient_local', 2: 'volatile'}


@dataclass(frozen=True)
class RecordedQos:
    """How one publisher offered a topic when it was recorded; empty words where unknown.

    Attributes:
        reliability: ``reliable``, ``best_effort`` or nothing.
        durability: ``transient_local``, ``volatile`` or nothing.
        depth: History depth, at least 1.
    """

    reliability: str = ''
    durability: str = ''
    depth: int = 10

    def __str__(self) -> str:
        words = (word for word in (self.reliability, self.durability) if word)
        return ', '.join(words) or 'unknown'


@dataclass(frozen=True, kw_only=True)
class BagMetadata:
    """What ``metadata.yaml`` says.

    Attributes:
        files: Names of the storage files, inside the folder.
        topics: Interface type by topic.
        qos: Offered profiles by topic, one for each publisher.
        messages: How many messages there should be; None if it does not say.
        problems: What is wrong with the file, one line each.
    """

    files: tuple[str, ...] = ()
    topics: Mapping[str, str] = field(default_factory=dict)
    qos: Mapping[str, tuple[RecordedQos, ...]] = field(default_factory=dict)
    messages: int | None = None
    problems: tuple[str, ...] = ()


def read_metadata(folder: Path) -> BagMetadata:
    """Read ``metadata.yaml`` as far as it can be understood; never raises for its content."""
    path = folder / NAME
    if not path.exists():
        return BagMetadata(problems=(f'{NAME} is missing',))
    try:
        body = _load(path)['rosbag2_bagfile_information']
        if not isinstance(body, dict):
            raise ValueError(f'rosbag2_bagfile_information is {type(body).__name__}')
    except Exception as error:  # any YAML may stand there
        why = f'no {error}' if isinstance(error, KeyError) else reason(error, 200)
        return BagMetadata(problems=(f'{NAME} cannot be read ({why})',))
    files, problems = _files(body.get('relative_file_paths'))
    topics, qos = {}, {}
    for entry in _list(body.get('topics_with_message_count')):
        topic = entry.get('topic_metadata') if isinstance(entry, dict) else None
        if isinstance(topic, dict) and isinstance(topic.get('name'), str):
            topics[topic['name']] = str(topic.get('type', ''))
            qos[topic['name']] = parse_qos(topic.get('offered_qos_profiles'))
    count = body.get('message_count')
    return BagMetadata(files=tuple(files), topics=topics, qos=qos, problems=tuple(problems),
                       messages=count if isinstance(count, int) else None)


def _load(path: Path) -> Any:
    return parse_yaml(read_text(path, _LARGEST), nodes=_MOST_NODES)


def _files(value: Any) -> tuple[list[str], list[str]]:
    files: list[str] = []
    problems: list[str] = []
    for name in _list(value):
        path = PurePosixPath(str(name))
        # Old recorders wrote the folder's own name in front.
        if path.is_absolute() or '..' in path.parts or '\0' in str(name) or not path.name:
            problems.append(f'{NAME} names {one_line(name, 80)}, which lies outside of the '
                            'recording: left out')
        else:
            files.append(path.name)
    return files, problems


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def parse_qos(value: Any) -> tuple[RecordedQos, ...]:
    """Offered profiles as recorders write them: a list or one mapping, as such or as YAML text.

    Words and numbers are both understood; what is not is left unknown.
    """
    if isinstance(value, str):
        if len(value) > 2**16:
            return ()
        try:
            value = parse_yaml(value)
        except YamlRefusal:
            return ()
    entries = [value] if isinstance(value, dict) else _list(value)
    return tuple(RecordedQos(_word(entry.get('reliability'), _RELIABILITY),
                             _word(entry.get('durability'), _DURABILITY), _depth(entry))
                 for entry in entries if isinstance(entry, dict))


def _word(value: Any, words: Mapping[int, str]) -> str:
    if isinstance(value, str):
        name = value.lower().removeprefix('rmw_qos_policy_reliability_').removeprefix(
            'rmw_qos_policy_durability_')
        return name if name in words.values() else ''
    return words.get(value, '') if isinstance(value, int) else ''


def _depth(entry: Mapping[Any, Any]) -> int:
    depth = entry.get('depth')
    return min(depth, 1000) if isinstance(depth, int) and depth > 0 else 10
