"""What is known of one recording before it is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..untrusted.text import one_line
from .bag_metadata import RecordedQos
from .time_offset import TimeShift
from .topic_choice import TopicChoice


class BagError(ValueError):
    """No usable recording; one line per recording says which, what and what was expected."""


@dataclass(frozen=True)
class TopicReport:
    """One topic of a recording.

    Attributes:
        types: Readable messages by interface type: a topic may hold several.
        rate: Messages per second while they came; 0 for fewer than two.
        gap: Longest time between two of them, s.
    """

    types: Mapping[str, int]
    rate: float = 0.0
    gap: float = 0.0

    @property
    def type(self) -> str:
        """The interface type of most of its messages."""
        return max(self.types, key=lambda kind: self.types[kind])

    @property
    def count(self) -> int:
        """Readable messages of any type."""
        return sum(self.types.values())


@dataclass(frozen=True, kw_only=True)
class BagReport:
    """What one recording holds.

    Attributes:
        path: The recording.
        topics: Readable topics by absolute name.
        duration: Recorded time, gaps left out, s.
        damaged: Whether data had to be given up.
        problems: What is wrong or was done about it, one line each.
        fatal: Why nothing can be learnt from it; empty if something can.
        choice: Which topics serve the robot's sensors; None without a robot.
        shift: Moves log times onto the stamps; None where they agree.
        lags: How far the stamps of each sensor lie behind, once moved, ns.
        qos: How the publishers offered each topic.
        samples: The first message of each topic in words, where its type is known.
    """

    path: Path
    topics: dict[str, TopicReport] = field(default_factory=dict)
    duration: float = 0.0
    damaged: bool = False
    problems: tuple[str, ...] = ()
    fatal: tuple[str, ...] = ()
    choice: TopicChoice | None = None
    shift: TimeShift | None = None
    lags: Mapping[str, int] = field(default_factory=dict)
    qos: Mapping[str, tuple[RecordedQos, ...]] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether something can be learnt from it."""
        return not self.fatal

    @property
    def line(self) -> str:
        """The whole finding in one line."""
        count = sum(topic.count for topic in self.topics.values())
        facts = f'{count} messages on {len(self.topics)} topics, {self.duration:.1f} s'
        verdict = f'used, {facts}' if self.usable else f'not used ({"; ".join(self.fatal)})'
        return '; '.join([f'{one_line(self.path, 300)}: {verdict}', *self.problems])
