"""Measure a policy: how often, how fast and how cleanly it drives to the singing pillar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
import math
from pathlib import Path
import statistics
import time
from typing import Any

from ..robot import RobotSpec
from ..settings import check, setting
from ..untrusted.text import brief, Refusal
from .drivers import make_driver
from .episode import EpisodeResult, run_episode
from .simulation import TIME_LIMIT, TIME_LIMITS
from .workers import run_jobs

EXPERT = 'expert'
HELD_OUT = range(1000, 2000)
"""Seeds kept for evaluation: ``record`` refuses them, so no policy was trained on their layouts."""


class EvaluationError(Refusal):
    """An evaluation cannot be run as asked; the message says why."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What to measure.

    Attributes:
        model: Folder of a checkpoint, or ``expert`` for the privileged expert.
        mask: Sensors that stay silent for the whole episode (an ablation).
        device: Where the policy runs.
        robot: The robot; its sensors must be those the model was trained with.
        progress: Whether to draw a progress bar.
    """

    model: str | Path = EXPERT
    episodes: int = setting(
        50, 'How many; episode i has the seed of the first and i more', limits=(1, 10_000_000))
    seed: int = setting(HELD_OUT.start, 'Of the first episode', limits=(0, 2**31 - 1))
    mask: tuple[str, ...] = ()
    limit_s: float = setting(
        TIME_LIMIT, 'Time limit of an episode, simulated', limits=TIME_LIMITS, unit='s')
    workers: int = setting(1, 'Processes that simulate', limits=(1, 256))
    device: str = 'cpu'
    robot: RobotSpec = field(default_factory=RobotSpec)
    progress: bool = True

    def __post_init__(self) -> None:
        check(self, EvaluationError)
        for name in self.mask:
            if name not in self.robot.sensors:
                raise EvaluationError(f'mask: got {brief(name)}, expected any of '
                                      f'{", ".join(self.robot.sensors)}')


@dataclass(frozen=True, kw_only=True)
class EpisodeSummary:
    """One line of a report; lengths in m, time in simulated s."""

    seed: int
    outcome: str
    time: float
    path_length: float
    shortest: float
    collisions: int

    @property
    def arrived(self) -> bool:
        """Whether the robot reached the singing pillar."""
        return self.outcome == 'arrived'


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        model: As given.
        seed, episodes, mask, limit_s: As in the options.
        successes: Episodes that arrived.
        success_rate: Their share.
        interval: Wilson score interval of the share, 95 %.
        outcomes: How often each outcome came.
        collisions_per_episode: Mean, over all episodes.
        collision_free_successes: Episodes that arrived and touched nothing.
        time: Median time to arrive, s (NaN without a success).
        path_length: Median way driven to arrive, m (NaN without a success).
        spl: Success weighted by path length (Anderson et al. 2018, arXiv:1807.06757), with the
            expert's plan as the shortest way.
        simulated, wall: Seconds, simulated and of the clock.
        results: One entry per episode, by seed.
    """

    model: str
    seed: int
    episodes: int
    mask: tuple[str, ...]
    limit_s: float
    successes: int
    success_rate: float
    interval: tuple[float, float]
    outcomes: dict[str, int]
    collisions_per_episode: float
    collision_free_successes: int
    time: float
    path_length: float
    spl: float
    simulated: float
    wall: float
    results: tuple[EpisodeSummary, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``json.dump`` (NaN becomes None)."""
        return {name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """The report for a terminal."""
        low, high = (100 * v for v in self.interval)
        masked = f', without {", ".join(self.mask)}' if self.mask else ''
        outcomes = ', '.join(f'{name} {n}' for name, n in sorted(self.outcomes.items()))
        to_arrive = f'{self.time:.1f} s, {self.path_length:.2f} m (medians)'
        if not self.successes:
            to_arrive = 'never'
        return [
            f'{self.model}: {self.episodes} episodes from seed {self.seed}{masked}',
            f'  success      {self.successes}/{self.episodes} = {100 * self.success_rate:.1f} %'
            f'  (95 % interval {low:.1f} to {high:.1f} %)',
            f'  outcomes     {outcomes}',
            f'  collisions   {self.collisions_per_episode:.2f} per episode; '
            f'{self.collision_free_successes} successes without any',
            f'  to arrive    {to_arrive}; SPL {self.spl:.2f}',
            f'  speed        {self.simulated:.0f} s simulated in {self.wall:.0f} s '
            f'({self.simulated / max(self.wall, 1e-9):.1f} times real time)',
        ]


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927).

    Args:
        successes: In [0, trials].
        trials: At least 1.
        z: Normal quantile; the default covers 95 %.

    Raises:
        ValueError: The counts make no proportion.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f'wilson_interval: got {successes} of {trials}, '
                         'expected 0 <= successes <= trials and trials >= 1')
    share = successes / trials
    spread = z / (1.0 + z * z / trials)
    centre = (share + z * z / (2.0 * trials)) / (1.0 + z * z / trials)
    half = spread * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    # Rounding must not push the bounds beyond what is possible or observed.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def evaluate(options: EvaluateOptions) -> EvaluationReport:
    """Drive the episodes and report.

    Raises:
        EvaluationError: An option is out of range.
        CheckpointError: The model cannot be loaded.
    """
    began = time.perf_counter()
    jobs = [(options, options.seed + i) for i in range(options.episodes)]
    results = list(run_jobs(_one_episode, jobs, workers=options.workers,
                            description='evaluate', progress=options.progress))
    return build_report(options, results, time.perf_counter() - began)


def build_report(
    options: EvaluateOptions, results: Sequence[EpisodeSummary], wall: float
) -> EvaluationReport:
    """Sum up episodes, in whatever order they came."""
    results = sorted(results, key=lambda r: r.seed)
    arrived = [r for r in results if r.arrived]
    return EvaluationReport(
        model=str(options.model),
        seed=options.seed,
        episodes=len(results),
        mask=options.mask,
        limit_s=options.limit_s,
        successes=len(arrived),
        success_rate=len(arrived) / len(results),
        interval=wilson_interval(len(arrived), len(results)),
        outcomes=dict(Counter(r.outcome for r in results)),
        collisions_per_episode=statistics.fmean(r.collisions for r in results),
        collision_free_successes=sum(r.collisions == 0 for r in arrived),
        time=statistics.median(r.time for r in arrived) if arrived else math.nan,
        path_length=statistics.median(r.path_length for r in arrived) if arrived else math.nan,
        spl=sum(r.shortest / max(r.path_length, r.shortest) for r in arrived) / len(results),
        simulated=sum(r.time for r in results),
        wall=wall,
        results=tuple(results),
    )


def _one_episode(job: tuple[EvaluateOptions, int]) -> EpisodeSummary:
    options, seed = job
    driver = make_driver(options.model, options.robot, options.device)
    result: EpisodeResult = run_episode(
        seed, driver, options.robot, limit_s=options.limit_s, mask=options.mask)
    return EpisodeSummary(
        seed=seed, outcome=result.outcome, time=result.time, path_length=result.path_length,
        shortest=result.shortest, collisions=result.collisions)
