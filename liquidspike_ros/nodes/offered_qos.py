"""Which QoS to ask for, from what the publishers of a topic offer."""

from __future__ import annotations

from collections.abc import Sequence
import math

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from ..robot import SensorSpec

QUEUE_SECONDS = 0.2
"""How much of a sensor's stream waits in its subscription, s: a hiccup of the executor, no more."""


def offers_of(node: Node, topic: str, interface: str) -> list[QoSProfile]:
    """What the publishers of ``interface`` on ``topic`` offer; others are none of ours."""
    return [info.qos_profile
            for info in node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
            if info.topic_type == interface]


def requested_qos(spec: SensorSpec, offers: Sequence[QoSProfile]) -> QoSProfile:
    """The most that every publisher offers, as rosbag2 records.

    A request for less than is offered matches, a request for more does not: it is reliable, or
    keeps what was sent before, only where all do so. With nobody there yet, everybody matches.

    Args:
        spec: Its ``rate`` gives the depth of the queue; ``reliability`` goes before the offers.
        offers: Of every publisher of the topic.
    """
    reliable = bool(offers) and all(
        offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    if spec.reliability != 'auto':
        reliable = spec.reliability == 'reliable'
    kept = bool(offers) and all(
        offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=max(2, math.ceil(spec.rate * QUEUE_SECONDS)),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE)


def qos_text(qos: QoSProfile) -> str:
    """Reliability, and durability where it is not the usual one, in the words of ``ros2 topic``."""
    words = [qos.reliability.name.lower()]
    if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL:
        words.append('transient_local')
    return ', '.join(words)
