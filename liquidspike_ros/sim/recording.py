"""Record episodes as real rosbag2 (mcap) recordings: what the robot senses and what to do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
import os
from pathlib import Path
import tempfile
import time

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from ..robot import COMMAND_INTERFACES, RobotSpec
from ..settings import check, setting
from ..untrusted.text import Refusal
from .drivers import Command, Driver, DriverDecision, ExpertDriver, load_policy, MixtureDriver
from .episode import EpisodeResult, run_episode
from .evaluation import HELD_OUT
from .messages import SimMessage, twist_message, TYPESTORE
from .simulation import TIME_LIMIT, TIME_LIMITS
from .starts import sample_start
from .workers import run_jobs

TWIST = COMMAND_INTERFACES['twist']
APPLIED_TOPIC = 'cmd_vel_applied'


class RecordingError(Refusal):
    """A recording cannot be made as asked; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What to record.

    Attributes:
        output: Folder that gets one bag per episode, ``episode_<seed>``; what is there stays.
        policy: Folder of a checkpoint that drives in turns with the expert (DAgger); the expert
            labels all the same. Without it the expert drives alone.
        robot: The robot: topic names, control rate and limits.
        progress: Whether to draw a progress bar.
    """

    output: Path
    episodes: int = setting(
        200, 'How many; episode i has the seed of the first and i more', limits=(1, 10_000_000))
    seed: int = setting(
        100_000, 'Of the first episode; those that evaluation is done with are refused',
        limits=(0, 2**31 - 1))
    noise: float = setting(
        1.0, "How shaky the expert's hand is; 0 is clean, 1 usual", limits=(0.0, 10.0))
    odd_starts: float = setting(
        0.4, 'Share of episodes that start at an odd place: close to something and facing it, or '
        'anywhere, or facing away from the pillar', limits=(0.0, 1.0))
    policy: Path | None = None
    beta: float = setting(
        0.3, "Probability that a turn is the expert's, with a policy", limits=(0.0, 1.0))
    limit_s: float = setting(
        TIME_LIMIT, 'Time limit of an episode, simulated', limits=TIME_LIMITS, unit='s')
    workers: int = setting(1, 'Processes that simulate', limits=(1, 256))
    robot: RobotSpec = field(default_factory=RobotSpec)
    progress: bool = True

    def __post_init__(self) -> None:
        check(self, RecordingError)
        if self.seed < HELD_OUT.stop and self.seed + self.episodes > HELD_OUT.start:
            raise RecordingError(
                f'seed: got {self.seed} to {self.seed + self.episodes - 1}, but '
                f'{HELD_OUT.start} to {HELD_OUT.stop - 1} are kept for evaluation; '
                f'choose a seed of at least {HELD_OUT.stop}')

    @property
    def seeds(self) -> list[int]:
        """One per episode."""
        return list(range(self.seed, self.seed + self.episodes))

    def bag(self, seed: int) -> Path:
        """Where the bag of a seed goes."""
        return self.output / f'episode_{seed:06d}'


@dataclass(frozen=True, kw_only=True)
class RecordReport:
    """What was recorded.

    Attributes:
        written: Bags written.
        present: Bags that were there already and stayed as they are.
        discarded: Episodes of the expert alone that did not arrive: no example to follow.
        outcomes: How often each outcome came, of the episodes driven now.
        simulated, wall: Seconds, simulated and of the clock.
        size: Of the written bags, bytes.
    """

    written: int
    present: int
    discarded: int
    outcomes: dict[str, int]
    simulated: float
    wall: float
    size: int

    def lines(self) -> list[str]:
        """The report for a terminal."""
        outcomes = ', '.join(f'{name} {n}' for name, n in sorted(self.outcomes.items()))
        speed = self.simulated / max(self.wall, 1e-9)
        return [
            f'recorded {self.written} episodes, {self.simulated:.0f} s in {self.wall:.0f} s '
            f'({speed:.1f} times real time), {self.size / 1e6:.1f} MB',
            f'  outcomes  {outcomes or "none"}',
            f'  discarded {self.discarded} (the expert did not arrive), '
            f'{self.present} were there already',
        ]


class BagWitness:
    """Writes an episode into a bag as it happens.

    Args:
        writer: An open bag.
        robot: Names the command topic.
    """

    def __init__(self, writer: Writer, robot: RobotSpec) -> None:
        self._writer = writer
        self._command = robot.command.topic
        self._connections = {
            topic: self._connect(topic, TWIST) for topic in (self._command, APPLIED_TOPIC)
        }

    def _connect(self, topic: str, type_name: str) -> Connection:
        return self._writer.add_connection('/' + topic.lstrip('/'), type_name, typestore=TYPESTORE)

    def sensed(self, message: SimMessage) -> None:
        """Write a message as it left the simulator."""
        if message.topic not in self._connections:
            self._connections[message.topic] = self._connect(message.topic, message.type_name)
        self._writer.write(self._connections[message.topic], message.now_ns, message.serialize())

    def decided(self, stamp: int, decision: DriverDecision, applied: Command) -> None:
        """Write the label as the command, and what was driven beside it."""
        commands = {APPLIED_TOPIC: applied}
        if decision.label is not None:
            commands[self._command] = decision.label
        for topic, command in commands.items():
            data = TYPESTORE.serialize_cdr(twist_message(*command), TWIST)
            self._writer.write(self._connections[topic], stamp, bytes(data))


@dataclass(frozen=True)
class _Recorded:
    outcome: str
    simulated: float
    size: int  # bytes; 0 where it was discarded


def record(options: RecordOptions) -> RecordReport:
    """Drive the episodes and write their bags.

    A bag appears under its name only when it is whole: Ctrl-C, a full disk or a crash leaves no
    half-written one. Running the same command again goes on where it stopped.

    Raises:
        RecordingError: An option is out of range.
        CheckpointError: The policy cannot be loaded.
        KeyboardInterrupt: After Ctrl-C, once the episodes in hand are done.
    """
    began = time.perf_counter()
    options.output.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in options.seeds if not options.bag(seed).exists()]
    recorded = list(run_jobs(
        _record_one, [(options, seed) for seed in missing], workers=options.workers,
        description='record', progress=options.progress))
    return RecordReport(
        written=sum(r.size > 0 for r in recorded),
        present=options.episodes - len(missing),
        discarded=sum(r.size == 0 for r in recorded),
        outcomes=dict(Counter(r.outcome for r in recorded)),
        simulated=sum(r.simulated for r in recorded),
        wall=time.perf_counter() - began,
        size=sum(r.size for r in recorded),
    )


def _make_driver(options: RecordOptions) -> Driver:
    if options.policy is None:
        return ExpertDriver(options.noise)
    return MixtureDriver(load_policy(options.policy, options.robot), options.beta, options.noise)


def _record_one(job: tuple[RecordOptions, int]) -> _Recorded:
    options, seed = job
    with tempfile.TemporaryDirectory(prefix='.recording-', dir=options.output) as folder:
        bag = Path(folder) / options.bag(seed).name
        writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
        # Chunks of zstd: 44 % smaller for 1 % of the time an episode takes.
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        with writer:
            result = run_episode(
                seed, _make_driver(options), options.robot, options.limit_s,
                start=sample_start(seed, options.odd_starts),
                witness=BagWitness(writer, options.robot))
            for key, value in _custom_data(options, result).items():
                writer.set_custom_data(key, value)
        if result.outcome != 'arrived' and options.policy is None:
            return _Recorded(result.outcome, result.time, 0)
        size = sum(file.stat().st_size for file in bag.iterdir())
        os.rename(bag, options.bag(seed))
    return _Recorded(result.outcome, result.time, size)


def _custom_data(options: RecordOptions, result: EpisodeResult) -> dict[str, str]:
    driver = 'expert' if options.policy is None else f'{options.policy} beta {options.beta:g}'
    return {
        'robot': options.robot.name,
        'seed': str(result.seed),
        'outcome': result.outcome,
        'driver': driver,
        'noise': f'{options.noise:g}',
        'start': ' '.join(f'{value:.4f}' for value in result.start),
        'collisions': str(result.collisions),
    }
