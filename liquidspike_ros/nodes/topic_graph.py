"""What is wrong with the topics around the node: types, QoS, who else publishes, who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_check_compatible, QoSCompatibility, QoSProfile

from ..untrusted.text import printable


@dataclass(frozen=True)
class Finding:
    """State of one topic.

    Attributes:
        topic: Its full name.
        usable: How many endpoints at the other end fit.
        problems: What is wrong with the others, one line each.
        names: Full names of the nodes that fit, sorted.
    """

    topic: str
    usable: int
    problems: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether somebody is at the other end, but nobody that fits."""
        return bool(self.problems) and self.usable == 0


def inspect_input(node: Node, topic: str, wanted: str, qos: QoSProfile) -> Finding:
    """Look at the publishers of an input topic.

    Args:
        node: Whose view of the graph.
        topic: Topic as given to the subscription.
        wanted: Interface type subscribed to.
        qos: Profile subscribed with.
    """
    resolved = node.resolve_topic_name(topic)
    return _finding(
        resolved, node.get_publishers_info_by_topic(resolved), wanted,
        lambda offered: qos_check_compatible(offered, qos),
        lambda who, kind: f'got {kind} from {who}, expected {wanted}',
        lambda who: f'QoS of {who} does not match, expected a publisher for '
                    f'{qos.reliability.name.lower()}')


def inspect_output(node: Node, topic: str, sent: str, qos: QoSProfile) -> Finding:
    """Look at who listens to a topic that the node publishes.

    Args:
        node: Whose view of the graph.
        topic: Topic as given to the publisher.
        sent: Interface type published.
        qos: Profile published with.
    """
    resolved = node.resolve_topic_name(topic)
    offered = _offered(node, resolved, qos)
    return _finding(
        resolved, node.get_subscriptions_info_by_topic(resolved), sent,
        lambda asked: qos_check_compatible(offered, asked),
        lambda who, kind: f'{who} listens for {kind}, we send {sent}; set command.kind, or remap',
        lambda who: f'{who} asks for another QoS than ours')


def _finding(topic: str, infos: Iterable[Any], wanted: str,
             check: Callable[[QoSProfile], tuple[QoSCompatibility, str]],
             other_type: Callable[[str, str], str], other_qos: Callable[[str], str]) -> Finding:
    """Sort the endpoints of a topic into those that fit, and what is wrong with the others."""
    names, problems = [], []
    for info in infos:
        who = _full_name(info)
        if info.topic_type != wanted:
            problems.append(f'{topic}: {other_type(who, printable(info.topic_type))}')
            continue
        compatible, reason = check(info.qos_profile)
        if compatible == QoSCompatibility.ERROR:
            problems.append(f'{topic}: {other_qos(who)}: {reason.strip().rstrip(";")}')
            continue
        names.append(who)
    return Finding(topic, len(names), tuple(problems), tuple(sorted(names)))


def _offered(node: Node, topic: str, qos: QoSProfile) -> QoSProfile:
    """What our publisher offers as the middleware has filled it in (an unset deadline is none)."""
    own = _own_name(node)
    return next((info.qos_profile for info in node.get_publishers_info_by_topic(topic)
                 if _full_name(info) == own), qos)


def other_publishers(node: Node, topic: str) -> list[str]:
    """Full names of the nodes other than ``node`` that publish on ``topic``, sorted.

    Another process with the very same node name shows as a second endpoint of ours.
    """
    infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    names = [_full_name(info) for info in infos]
    return sorted(_without_first(names, _own_name(node)))


def _own_name(node: Node) -> str:
    return f'{node.get_namespace().rstrip("/")}/{node.get_name()}'


def _without_first(names: Iterable[str], name: str) -> list[str]:
    rest = list(names)
    if name in rest:
        rest.remove(name)
    return rest


def _full_name(info: Any) -> str:
    if 'UNKNOWN' in info.node_name:  # an endpoint is often found before its node is
        return 'a node not known by name yet'
    # Anybody on the network chooses these names.
    return printable(f'{info.node_namespace.rstrip("/")}/{info.node_name}')
