"""Batches for truncated back-propagation through time: lanes that stream whole episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from ..control.tensors import values_to_tensors
from ..robot import RobotSpec
from .augmentation import draw_variation, Mirror, Variation
from .configuration import AugmentConfig
from .episode import Array, Episode, unpack


class Stretch(NamedTuple):
    """Ticks ``[start, stop)`` of an episode, without a clock jump between them."""

    episode: Episode
    start: int
    stop: int


@dataclass(frozen=True)
class Batch:
    """``B`` lanes, ``T`` ticks.

    Attributes:
        inputs: Model inputs ``[B, T, …]``.
        present: bool ``[B, T, M]``.
        dt: s, ``[B, T]``.
        labels: Model units ``[B, T, A]``.
        weight: 0 for padding and ticks without label ``[B, T]``.
        start: Lanes whose episode begins here: their state starts from rest, bool ``[B]``.
    """

    inputs: dict[str, Tensor]
    present: Tensor
    dt: Tensor
    labels: Tensor
    weight: Tensor
    start: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        return Batch({name: value.to(device) for name, value in self.inputs.items()},
                     *(getattr(self, name).to(device)
                       for name in ('present', 'dt', 'labels', 'weight', 'start')))


class _Lane:
    """A stretch of one episode on its way through a lane."""

    def __init__(self, stretch: Stretch, variation: Variation) -> None:
        self.episode, self.at, self.stop = stretch
        self.variation = variation
        self.values = dict(self.episode.values)  # opens maps once, for as long as they are played


class _Chunk(NamedTuple):
    """``T`` ticks of one lane, as numpy arrays."""

    values: dict[str, Array]
    present: Array
    dt: Array
    labels: Array
    weight: Array


class Lanes:
    """An endless stream of batches; each lane plays its episodes from beginning to end.

    The order is reshuffled every epoch; an idle lane takes the next episode, so no lane waits for
    the longest episode. The last chunk of an episode is padded with its last tick at weight 0.

    Args:
        episodes: Sequences to train on.
        robot: Sensor order and limits.
        lanes: ``B``.
        ticks: ``T``.
        augment: Variations; None for the plain recordings in their given order, once.
        seed: Of order and variations.
    """

    def __init__(self, episodes: Sequence[Episode], robot: RobotSpec, *, lanes: int, ticks: int,
                 augment: AugmentConfig | None = None, seed: int = 0) -> None:
        self.episodes = episodes
        self.stretches = [
            Stretch(episode, start, stop) for episode in episodes
            for start, stop in pairwise([*episode.starts.tolist(), len(episode)])]
        self.robot = robot
        self.ticks = ticks
        self.augment = augment
        self.lanes = lanes if augment else max(1, min(lanes, len(self.stretches)))
        self._random = np.random.default_rng(seed)
        self._mirror = Mirror(robot) if augment and augment.mirror > 0 else None
        self._chunks = sum(math.ceil((stop - start) / ticks) for _, start, stop in self.stretches)

    @property
    def batches_per_epoch(self) -> int:
        """Batches that hold as many chunks as there are in all episodes."""
        return max(1, round(self._chunks / self.lanes))

    def __iter__(self) -> Iterator[Batch]:
        queue = self._queue()
        lanes: list[_Lane | None] = [None] * self.lanes
        while True:
            start = np.zeros(self.lanes, bool)
            for i, lane in enumerate(lanes):
                if lane is None or lane.at >= lane.stop:
                    lanes[i] = next(queue, None)
                    start[i] = True
            if not any(lanes):
                return
            yield self._batch(lanes, start)

    def _queue(self) -> Iterator[_Lane]:
        if self.augment is None:
            for stretch in self.stretches:
                plain = Variation(False, 1.0, 0.0, np.ones_like(stretch.episode.present))
                yield _Lane(stretch, plain)
            return
        while True:
            for index in self._random.permutation(len(self.stretches)):
                stretch = self.stretches[index]
                yield _Lane(stretch, draw_variation(self.augment, self.robot,
                                                    stretch.episode.present, self._random))

    def _batch(self, lanes: Sequence[_Lane | None], start: NDArray[np.bool_]) -> Batch:
        filler = next(lane for lane in lanes if lane is not None)
        rows = [self._chunk(lane or filler, idle=lane is None) for lane in lanes]
        for lane in lanes:
            if lane is not None:
                lane.at += self.ticks
        values = {name: unpack(name, np.stack([row.values[name] for row in rows]))
                  for name in self.robot.sensors}
        inputs = values_to_tensors(values, self.robot)
        rest = (np.stack([getattr(row, name) for row in rows])
                for name in ('present', 'dt', 'labels', 'weight'))
        batch = Batch(inputs, *map(torch.from_numpy, (*rest, start)))
        if self.augment is not None and self.augment.brightness and 'camera' in inputs:
            self._brighten(batch, lanes)
        return batch

    def _brighten(self, batch: Batch, lanes: Sequence[_Lane | None]) -> None:
        column = list(self.robot.sensors).index('camera')
        for i, lane in enumerate(lanes):
            if lane is not None:
                camera = batch.inputs['camera'][i]
                camera.mul_(lane.variation.gain).add_(lane.variation.offset).clamp_(0, 1)
                camera[~batch.present[i, :, column]] = 0

    def _chunk(self, lane: _Lane, idle: bool) -> _Chunk:
        episode, variation = lane.episode, lane.variation
        where = np.arange(lane.at, lane.at + self.ticks)
        weight = np.where((where < lane.stop) & (not idle), 1, 0).astype(np.float32)
        where = np.minimum(where, lane.stop - 1)
        weight *= episode.weight[where]
        keep = variation.keep[where]
        values = {name: np.asarray(array[where]) for name, array in lane.values.items()}
        labels = episode.labels[where]
        if variation.mirrored and self._mirror:
            values, labels = self._mirror.values(values), self._mirror.labels(labels)
        for column, name in enumerate(self.robot.sensors):
            lost = ~keep[:, column]
            if lost.any():  # a lost sensor reads zeros, live and here
                values[name] = np.where(
                    lost.reshape(-1, *[1] * (values[name].ndim - 1)), 0, values[name]
                ).astype(values[name].dtype)
        return _Chunk(values, episode.present[where] & keep, episode.dt[where], labels, weight)
