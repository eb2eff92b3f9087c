"""Behaviour cloning by truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from dataclasses import dataclass
import math
from pathlib import Path
import time
from typing import Any

import torch
from torch import nn, Tensor

from ..core.checkpoint import from_pretrained, save_pretrained
from ..core.multimodal_applications import RobotMultiSensorModel
from ..core.stages import parameter_groups
from ..malloc import keep_freed_memory
from ..robot import RobotSpec
from .augmentation import where_allowed
from .configuration import TrainConfig, TrainingError
from .console import clock, Console, StepReport
from .dataset import Dataset, summary
from .episode import Episode
from .interruption import Interruption
from .lanes import Batch, Lanes
from .model_building import build_model
from .objectives import ActionLoss
from .output_folder import claimed, LAST
from .resumption import load_progress, Progress, save_progress
from .schedule import AveragedWeights, Schedule

GIVE_UP = 20  # non-finite gradients in a row
LONGEST_HISTORY = 10_000
"""Epochs whose figures a checkpoint keeps: it has to stay small enough to be read again."""


@dataclass(frozen=True)
class TrainResult:
    """How a training run ended.

    Attributes:
        directory: The best checkpoint; ``last`` below it resumes.
        steps: Optimiser steps done, resumed ones included.
        epochs: Whole epochs done.
        minutes: Time spent training, resumed time included.
        interrupted: Whether it was stopped from outside.
        best: Lowest validation (or, without validation, training) loss.
        history: One row of metrics for each epoch.
    """

    directory: Path
    steps: int
    epochs: int
    minutes: float
    interrupted: bool
    best: float
    history: tuple[Mapping[str, float], ...]


class Trainer:
    """One training run over converted recordings.

    Args:
        model: Trained in place.
        dataset: Recordings.
        robot: Whose recordings they are.
        config: How to train.
        output: Folder of the best checkpoint; the last one lies in ``last`` below it.
        console: Where progress goes.
        interruption: Ends training when requested; made here if None.
    """

    def __init__(self, model: RobotMultiSensorModel, dataset: Dataset, robot: RobotSpec,
                 config: TrainConfig, output: str | Path, console: Console | None = None,
                 interruption: Interruption | None = None) -> None:
        self.robot, self.config, self.output = robot, config, Path(output)
        self.console = console or Console()
        self.device = torch.device(config.device)
        self.model = model.to(self.device)
        self.dataset = dataset
        training, self.held = dataset.split(config.data.validation, config.seed)
        data = config.data
        self.lanes = Lanes(training, robot, lanes=data.lanes, ticks=data.ticks,
                           augment=config.augment, seed=config.seed)
        self.per_epoch = self.lanes.batches_per_epoch
        self.loss = ActionLoss(config.loss, robot.command.names).to(self.device)
        self.schedule = Schedule(config.optimiser, config.optimiser.epochs * self.per_epoch)
        self.optimiser = _adamw(model, config)
        self.average = AveragedWeights(model, config.optimiser.average)
        self.interruption = interruption or Interruption()
        self.interruption.notice = self._notice
        self.history: list[dict[str, float]] = []
        self.best = math.inf
        self.step = 0
        self.skipped = 0
        self._before = 0.0  # minutes of earlier, resumed runs
        self._began = time.monotonic()
        self._running: float | None = None

    @property
    def minutes(self) -> float:
        """Time spent training, min."""
        return self._before + (time.monotonic() - self._began) / 60

    def resume(self) -> None:
        """Go on from ``output/last``: weights, optimiser, schedule and history.

        The lanes start afresh, so a resumed run is as good as, not identical to, an unbroken one.

        Raises:
            TrainingError: There is nothing that fits.
        """
        facts = load_progress(self.output / LAST, self.model, self.optimiser)
        self.step, self._before = facts.step, facts.minutes
        self.history, self.best = facts.history, facts.best
        saved, _ = from_pretrained(self.output / LAST)
        for name, value in saved.state_dict().items():
            if name in self.average.values:
                self.average.values[name].copy_(value)
        self.average.count = self.step
        self.lanes = Lanes(self.lanes.episodes, self.robot, lanes=self.lanes.lanes,
                           ticks=self.lanes.ticks, augment=self.config.augment,
                           seed=self.config.seed + self.step)

    def run(self) -> TrainResult:
        """Train to the end of the epochs, of the time budget, or until Ctrl-C.

        Raises:
            TrainingError: The gradients stay non-finite.
        """
        self._began = time.monotonic()
        with self.interruption:
            try:
                self._epochs()
            finally:
                self.console.close()
        interrupted = self.interruption.requested
        if interrupted and self.step == 0:
            self.console.say('stopped before the first step; nothing was written')
        elif interrupted:
            self._save_last()
            if not self.history:  # stopped before the first epoch was judged
                with self.average.applied():
                    self._save(self.output)
            self.console.say(f'stopped after step {self.step}; usable checkpoint in {self.output}, '
                             'to go on: --resume')
        return TrainResult(self.output, self.step, len(self.history), self.minutes, interrupted,
                           self.best, tuple(self.history))

    def _epochs(self) -> None:
        batches = iter(self.lanes)
        state: Any = None
        while not self._finished():
            losses = []
            for _ in range(self.per_epoch - self.step % self.per_epoch):
                state, loss = self._train_step(next(batches), state)
                losses.append(loss)
                if self._finished():
                    break
            if self.interruption.requested:
                return
            self._close_epoch(losses)

    def _finished(self) -> bool:
        return self.interruption.requested or self._share() >= 1.0

    def _share(self) -> float:
        return self.schedule.share(self.step, self.minutes)

    def _train_step(self, batch: Batch, state: Any) -> tuple[Any, float]:
        """One step on ``T`` ticks of ``B`` lanes; returns the state to carry on and the loss."""
        self.model.train()
        for group in self.optimiser.param_groups:
            group['lr'] = self.schedule.rate(self._share())
        loss, state = self._forward(batch.to(self.device), state)
        self.optimiser.zero_grad(set_to_none=True)
        if loss.requires_grad:
            loss.backward()
        limit = self.config.optimiser.clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.step += 1
        if not (torch.isfinite(norm) and torch.isfinite(loss)):
            self._skip()
            return None, math.nan
        self.skipped = 0
        self.optimiser.step()
        self.average.update()
        value = float(loss.detach())
        self._running = value if self._running is None else 0.98 * self._running + 0.02 * value
        self._tell()
        return state, value

    def _forward(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        if state is None:
            state = self.model.init_state(len(batch.start), device=self.device)
        state = self.model.reset_state(self.model.detach_state(state), batch.start)
        actions, state = self.model.unroll(batch.inputs, state, dt=batch.dt,
                                           present=batch.present)
        return self.loss(actions, batch.labels, batch.weight), state

    def _skip(self) -> None:
        """Leave a non-finite step out; all lanes start from rest afterwards."""
        self.skipped += 1
        self.optimiser.zero_grad(set_to_none=True)
        self.console.say(f'step {self.step}: gradient not finite, left out')
        if self.skipped >= GIVE_UP:
            raise TrainingError(f'{GIVE_UP} steps in a row without a finite gradient, expected '
                                'finite ones; lower optimiser.learning_rate or optimiser.clip')

    def _tell(self) -> None:
        share = self._share()
        spent = self.minutes - self._before
        done = share - self.schedule.share(0, self._before) if self._before else share
        remaining = spent * 60 * (1 - share) / done if done > 0 else math.inf
        self.console.step(StepReport(
            (self.step - 1) // self.per_epoch + 1, self.config.optimiser.epochs, self.step,
            self.schedule.steps, self._running or 0.0, self.optimiser.param_groups[0]['lr'],
            min(remaining, 1e6)))

    def _close_epoch(self, losses: Sequence[float]) -> None:
        finite = [loss for loss in losses if math.isfinite(loss)]
        row = {'epoch': float(len(self.history) + 1), 'step': float(self.step),
               'minutes': round(self.minutes, 3)}
        if finite:
            row['train_loss'] = sum(finite) / len(finite)
        with self.average.applied():
            figures = self.validate(self.held)
            row |= {name: value for name, value in figures.items() if math.isfinite(value)}
            if self.interruption.requested and self.held:
                return  # validation was cut short: its figures mean nothing
            self.history.append(row)
            score = row.get('validation_loss' if self.held else 'train_loss', math.inf)
            better = score < self.best or not math.isfinite(self.best)
            self.best = min(score, self.best)
            if better:
                self._save(self.output)
        self._save_last()
        facts = ' '.join(f'{name} {value:.4f}' for name, value in row.items()
                         if name not in ('epoch', 'step', 'minutes'))
        self.console.say(f'epoch {len(self.history)}/{self.config.optimiser.epochs} '
                         f'[{clock(self.minutes * 60)}] {facts}{" *" if better else ""}')

    @torch.no_grad()
    def validate(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """Open-loop figures over whole episodes: loss, and mean error in physical units."""
        if not episodes:
            return {}
        self.model.eval()
        data, command = self.config.data, self.robot.command
        total, count = 0.0, 0.0
        error = torch.zeros(command.width, device=self.device)
        state: Any = None
        for batch in Lanes(episodes, self.robot, lanes=data.lanes, ticks=data.ticks):
            batch = batch.to(self.device)
            if state is None:
                state = self.model.init_state(len(batch.start), device=self.device)
            state = self.model.reset_state(state, batch.start)
            actions, state = self.model.unroll(batch.inputs, state, dt=batch.dt,
                                               present=batch.present)
            weight = float(batch.weight.sum())
            total += float(self.loss(actions, batch.labels, batch.weight)) * weight
            error += ((actions - batch.labels).abs() * batch.weight[..., None]).sum((0, 1))
            count += weight
            if self.interruption.requested:
                break
        figures = {'validation_loss': total / max(count, 1.0)}
        for i, name in enumerate(command.names):
            figures[f'error_{name}'] = float(error[i]) / max(count, 1.0) * command.scale[i]
        return figures

    def _notice(self) -> None:
        self.console.say('interrupted: finishing this step and saving (again to abort at once)')

    def _save(self, folder: Path) -> None:
        """Write a checkpoint of the weights as they are."""
        # A checkpoint travels; where this machine keeps its cache does not.
        config = self.config.override({'data.cache': ''})
        save_pretrained(self.model, folder, metadata={
            'robot': self.robot.to_dict(), 'training': config.to_dict(),
            'data': summary(self.dataset), 'step': self.step,
            'history': self.history[-LONGEST_HISTORY:]})

    def _save_last(self) -> None:
        """Write averaged weights as a usable checkpoint, the live ones beside it."""
        with self.average.applied():
            self._save(self.output / LAST)
        save_progress(self.output / LAST, self.model, self.optimiser, Progress(
            step=self.step, minutes=self.minutes, history=self.history[-LONGEST_HISTORY:],
            best=self.best if math.isfinite(self.best) else 1e300))


def _adamw(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    groups = parameter_groups(model, config.optimiser.learning_rate, config.optimiser.weight_decay)
    return torch.optim.AdamW(groups, fused=True)


def device_works(device: str) -> None:
    """Try a torch device out.

    Raises:
        TrainingError: There is no such device here.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise TrainingError(f'device: got {device!r}, which does not work here ({reason}); '
                            'expected cpu, cuda or cuda:N') from None


def train(paths: Sequence[str | Path], output: str | Path, robot: RobotSpec, config: TrainConfig,
          *, init_from: str | Path | None = None, resume: bool = False,
          overwrite: bool = False, console: Console | None = None) -> TrainResult:
    """Train a policy from recordings.

    Args:
        paths: Recordings, or folders of them.
        output: Checkpoint folder to write.
        robot: Whose recordings they are.
        config: How to train.
        init_from: Checkpoint to fine-tune instead of starting from random weights.
        resume: Go on with ``output/last``.
        overwrite: Replace a trained model that ``output`` holds.
        console: Where progress goes; standard error by default.

    Raises:
        BagError: No recording is usable; nothing is written.
        TrainingError: A setting is wrong, ``output`` holds a trained model or is another
            training's, or training cannot go on.
        CheckpointError: ``init_from`` or ``output/last`` cannot be read.
    """
    console = console or Console()
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    folder = Path(output)
    with claimed(folder, resume=resume, overwrite=overwrite):
        source = folder / LAST if resume else init_from
        # A wrong setting shows before an hour of reading.
        device_works(config.device)
        ActionLoss(config.loss, robot.command.names)
        augment, remark = where_allowed(config.augment, robot)
        if remark:
            console.say(remark)
            config = dataclasses.replace(config, augment=augment)  # as the checkpoint will say
        model = build_model(robot, config, source)
        began = time.monotonic()
        dataset = Dataset(paths, robot, config.data, console.recording)
        try:
            facts = summary(dataset)
            console.say(f'{facts["recordings"]} recordings, {facts["labelled"]} labelled ticks, '
                        f'{facts["unused"]} not used; read in {clock(time.monotonic() - began)}')
            # From here on: building the optimiser alone takes torch seconds.
            with Interruption() as interruption:
                trainer = Trainer(model, dataset, robot, config, folder, console, interruption)
                if resume:
                    trainer.resume()
                return trainer.run()
        finally:
            dataset.close()
