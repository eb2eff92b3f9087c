"""A recording looked at as training would, without storing anything: what ``info`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..robot import RobotSpec
from ..untrusted.text import one_line, reason
from .bags import BagError, BagReader, BagReport, Event, scan_bag
from .configuration import DataConfig
from .episode import pack
from .labels import align_labels
from .replay import Replay, require_fresh, with_labels
from .storage import Storage

Watch = Callable[[Iterator[Event]], Iterator[Event]]


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one recording holds for a robot.

    Attributes:
        report: Its scan.
        unused: Why training would not use it; empty if it would.
        facts: As ``Episode.facts``; empty if no tick could be made.
        stored: Bytes of the converted recording.
    """

    report: BagReport
    unused: str = ''
    facts: Mapping[str, Any] = field(default_factory=dict)
    stored: int = 0

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each."""
        return list(self.facts.get('problems', self.report.problems))


def survey_bag(path: str | Path, robot: RobotSpec, data: DataConfig,
               watch: Callable[[BagReport], Watch] = lambda report: iter) -> Survey:
    """Scan and replay one recording; never raises for what is wrong with it.

    Args:
        path: The recording.
        robot: Whose sensors are looked for.
        data: Settings of the training.
        watch: Gives, for the scan, what sees every event on its way, for progress.
    """
    path = Path(path)
    with Storage(path) as storage:
        report = scan_bag(path, robot, data, storage)
        unused = '; '.join(report.fatal)
        if report.choice is None or not report.choice.sensors:
            return Survey(report=report, unused=unused or 'nothing of this robot is in it')
        # What is there is looked at even where training would stop at what is missing.
        reader = BagReader(path, robot, replace(report, fatal=()), data, storage)
        facts: dict[str, Any] = {}
        stored = 0
        try:
            facts, stored = _replay(reader, robot, data, watch(report))
            if not unused:
                require_fresh(path, robot, data, facts)
                if not facts['labelled']:
                    unused = f'none of {facts["ticks"]} ticks has a command'
        except BagError as error:
            unused = unused or str(error).removeprefix(f'{path}: ')
        except Exception as error:  # what is broken may fail anywhere; the next one is as good
            unused = f'{type(error).__name__}: {reason(error, 300)}'
    return Survey(report=report, unused=one_line(unused, 440), facts=facts, stored=stored)


def _replay(reader: BagReader, robot: RobotSpec, data: DataConfig, watch: Watch
            ) -> tuple[dict[str, Any], int]:
    """The facts of a recording, and the bytes its arrays would take."""
    replay, stored = Replay(reader, robot, watch), 0
    for block in replay.blocks():
        stored += sum(pack(name, np.stack([tick.values[name] for tick in block])).nbytes
                      for name in robot.sensors)
    ticks = replay.ticks()
    labels, weight = align_labels(reader.commands, ticks.stamps, robot, data)
    return with_labels(ticks.facts, replay, ticks, labels, weight, data), stored


def batch_bytes(robot: RobotSpec, data: DataConfig) -> int:
    """Bytes of the observations of one training batch, as the model takes them."""
    return sum(int(np.prod(spec.shape)) * 4 for spec in robot.sensors.values()
               ) * data.lanes * data.ticks
