"""One episode in lockstep: the simulator waits for the driver, so it runs as fast as it can.

Sensing is the live node's: the same schedule, converters and synchroniser turn the simulated
messages into observations, and the same gate limits the commands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..control.action import to_action
from ..control.policy_runtime import TickResult
from ..control.safety import SafetyConfig, SafetyGate
from ..robot import RobotSpec
from ..sensing.observation import Observation
from ..sensing.stream import observe
from ..untrusted.text import Refusal
from .arena import Layout, sample_layout
from .directions import heard_direction, seen_directions
from .drivers import Command, Driver, DriverDecision, Situation
from .expert import Expert, Pose
from .messages import SimMessage
from .simulation import Simulation, TIME_LIMIT

SENSOR_TOPICS = {'camera': 'camera/image_raw', 'imu': 'imu', 'lidar': 'scan', 'audio': 'audio'}
COMMAND_NAMES = ('linear.x', 'angular.z')

_STEP_NS = 5_000_000  # one step of the physics: what a command waits for at most
_WATCH_NS = 20_000_000  # how often the watchdog looks


class EpisodeError(Refusal):
    """The simulator cannot play this robot; the message names the field."""


class Witness(Protocol):
    """Is told all that happens, in the order of time."""

    def sensed(self, message: SimMessage) -> None:
        """A message left the simulator."""

    def decided(self, stamp: int, decision: DriverDecision, applied: Command) -> None:
        """The driver decided at a tick (ns); ``applied`` is what the gate let through."""


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """What happened; arrays have one entry per control tick, ``n`` in all.

    Attributes:
        seed: Of the layout, the song and all noise.
        outcome: ``arrived``, ``wrong_beacon`` or ``timeout``.
        time: Simulated time until then, s.
        path_length: Way driven, m.
        shortest: Length of the expert's plan from the start, m.
        collisions: How often the robot came against something.
        start: Where it started: x, y (m), yaw (rad).
        stamps: ``[n]`` ns.
        trajectory: ``[n + 1, 3]`` true x, y (m), yaw (rad); the last one is at the end.
        commands: ``[n, 2]`` m/s and rad/s, as applied.
        heard: ``[n]`` direction of the song off the heading (rad); NaN in silence.
        seen: ``[n, 3]`` directions of the red, green and blue pillar (rad); NaN out of view.
    """

    seed: int
    outcome: str
    time: float
    path_length: float
    shortest: float
    collisions: int
    start: Pose
    stamps: NDArray[np.int64]
    trajectory: NDArray[np.float64]
    commands: NDArray[np.float64]
    heard: NDArray[np.float64]
    seen: NDArray[np.float64]


def episode_layout(seed: int, start: Pose | None = None) -> Layout:
    """The arena of an episode, at will with another start pose."""
    layout = sample_layout(seed)
    return layout if start is None else replace(layout, start=start)


def check_robot(robot: RobotSpec) -> None:
    """Compare a robot file with the simulated robot.

    Raises:
        EpisodeError: Names the first field that differs.
    """
    for name, spec in robot.sensors.items():
        if spec.topic.lstrip('/') != SENSOR_TOPICS[name]:
            raise EpisodeError(f'sensors.{name}.topic: got {spec.topic!r}, expected '
                               f'{SENSOR_TOPICS[name]!r}, where the simulated robot publishes')
    if robot.command.names != COMMAND_NAMES:
        raise EpisodeError(f'command.names: got {", ".join(robot.command.names)}, expected '
                           f'{", ".join(COMMAND_NAMES)}, which the simulated robot obeys')


def run_episode(
    seed: int,
    driver: Driver,
    robot: RobotSpec,
    limit_s: float = TIME_LIMIT,
    *,
    start: Pose | None = None,
    mask: Collection[str] = (),
    directions: bool = False,
    witness: Witness | None = None,
) -> EpisodeResult:
    """Drive one episode to its end.

    The same arguments give the same episode, bit for bit.

    Args:
        seed: Of the layout, the song and all noise.
        driver: Who drives.
        robot: Sensors, control rate and limits.
        limit_s: Time limit, simulated s.
        start: Another start pose than the layout's.
        mask: Sensors whose messages never arrive; the gate does without them, required or not.
        directions: Whether to fill in ``heard`` and ``seen`` (about 1 ms a tick).
        witness: Is told of every message and command.

    Raises:
        EpisodeError: The robot has topics or commands that the simulated one has not.
    """
    check_robot(robot)
    layout = episode_layout(seed, start)
    sim = Simulation(layout, seed, time_limit=limit_s)
    driver.begin(layout, seed)
    base = _GuardedBase(sim, robot, mask)
    log = _Log(directions)
    for observation in observe(_events(sim, base, robot, mask, witness), robot):
        pose = sim.pose
        decision = driver.decide(Situation(observation, pose, sim.velocity[1]))
        applied = base.drive(decision, observation)
        log.add(observation, pose, applied)
        if witness is not None:
            witness.decided(observation.stamp, decision, applied)
        if sim.done:
            break
    return EpisodeResult(
        seed=seed,
        outcome=sim.outcome or 'timeout',
        time=(sim.outcome_ns or sim.now_ns) * 1e-9,
        path_length=sim.path_length,
        shortest=Expert(layout).path_length(*layout.start[:2]),
        collisions=sim.collisions,
        start=layout.start,
        trajectory=np.array([*log.poses, sim.pose]),
        **log.arrays(),
    )


class _GuardedBase:
    """The base behind the live node's safety gate, whose steady clock is the simulated one.

    What is masked is waived by name.
    """

    def __init__(self, sim: Simulation, robot: RobotSpec, mask: Collection[str]) -> None:
        self._sim = sim
        self._spec = robot.command
        self._gate = SafetyGate(robot, SafetyConfig(arm_without=tuple(mask)))

    def sensed(self, now_ns: int, sensor: str) -> None:
        self._gate.on_sample(now_ns * 1e-9, sensor)

    def drive(self, decision: DriverDecision, observation: Observation) -> Command:
        """Pass a decision on as far as the gate lets it; returns what the base gets."""
        now = observation.stamp * 1e-9
        if decision.command is None:
            result = TickResult(np.full(self._spec.width, math.nan), finite=False)
        else:
            result = TickResult(to_action(decision.command, self._spec), finite=True)
        verdict = self._gate.on_result(now, observation, result)
        if not self._gate.armed:
            self._gate.arm(now)  # as the live node does: after the first healthy result
        return self._send(verdict.command)

    def watch(self, now_ns: int) -> None:
        """Let the gate stop the base where results or samples stay away."""
        verdict = self._gate.watchdog(now_ns * 1e-9)
        if verdict.publish:
            self._send(verdict.command)

    def _send(self, command: NDArray[np.float64]) -> Command:
        v, w = float(command[0]), float(command[1])
        self._sim.command(v, w)
        return v, w


def _events(
    sim: Simulation, base: _GuardedBase, robot: RobotSpec, mask: Collection[str],
    witness: Witness | None,
) -> Iterator[tuple[int, str, str, Any]]:
    """What arrives at the robot; pulls the simulation along until the episode is decided."""
    sensors = {SENSOR_TOPICS[name]: name for name in robot.sensors if name not in mask}
    while not sim.done:
        for message in sim.advance(sim.now_ns + _STEP_NS):
            if witness is not None:
                witness.sensed(message)
            if message.topic in sensors:
                sensor = sensors[message.topic]
                base.sensed(message.now_ns, sensor)
                yield message.now_ns, sensor, message.type_name, message.msg
        if sim.now_ns % _WATCH_NS == 0:
            base.watch(sim.now_ns)


@dataclass
class _Log:
    """Collects what a result holds per tick."""

    directions: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[Pose] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    seen: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, observation: Observation, pose: Pose, applied: Command) -> None:
        self.stamps.append(observation.stamp)
        self.poses.append(pose)
        self.commands.append(applied)
        present = observation.present if self.directions else {}
        heard, seen = math.nan, np.full(3, math.nan)
        if present.get('audio'):
            heard = heard_direction(observation.values['audio'])
        if present.get('camera'):
            seen = seen_directions(observation.values['camera'])
        self.heard.append(heard)
        self.seen.append(seen)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            'stamps': np.array(self.stamps, dtype=np.int64),
            'commands': np.array(self.commands).reshape(-1, 2),
            'heard': np.array(self.heard),
            'seen': np.array(self.seen).reshape(-1, 3),
        }
