"""One episode of the beacon task: the world, its sensors, and who is to judge.

Sensors fire at exact integer nanoseconds of simulation time, slightly staggered as on a real
robot; what falls on the same instant leaves in a fixed order. The same layout, seed and commands
give the same messages, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

import numpy as np

from .arena import ARRIVAL_DISTANCE, BEACON_RADIUS, Layout, sample_layout
from .camera import Camera
from .imu import MemsImu
from .lidar import Lidar
from .messages import audio_message, clock_message, odometry_message, SimMessage
from .microphones import Microphones
from .odometry import WheelOdometry
from .world import Touch, World

TIME_LIMIT, TIME_LIMITS = 60.0, (0.1, 3600.0)
"""Of an episode, simulated s: the usual one, and the range of those that can be asked for."""

_AUDIO_CHUNK_NS = 20_000_000
_TRUTH_COVARIANCE = np.zeros(36)


@dataclass
class _Stream:
    """A periodic output: sample ``k`` leaves at ``phase_ns + k / rate``."""

    topic: str
    type_name: str
    rate: int
    phase_ns: int
    measure: Callable[[int], Any]
    count: int = 0

    @property
    def due_ns(self) -> int:
        return self.phase_ns + self.count * 1_000_000_000 // self.rate


class Simulation:
    """A running episode.

    Args:
        layout: The arena, or the seed to sample it from.
        seed: Of everything random but the arena (sensor noise, song, tyre grip); the layout's own
            seed by default.
        camera: Whether to draw pictures; without them no GL library is needed.
        time_limit: After which the episode is lost, s.

    Raises:
        GraphicsError: Pictures are wanted and no GL library works here; says what to install.

    Attributes:
        layout: The arena.
        now_ns: Simulation time reached, ns.
        outcome: ``arrived``, ``wrong_beacon``, ``timeout``, or None while it is open.
        outcome_ns: When that was decided, ns.
    """

    def __init__(self, layout: Layout | int, seed: int | None = None, *, camera: bool = True,
                 time_limit: float = TIME_LIMIT) -> None:
        self.layout = layout if isinstance(layout, Layout) else sample_layout(layout)
        self.seed = self.layout.seed if seed is None else seed
        self.world = World(self.layout, self.seed)
        self.microphones = Microphones(self.seed, self.layout)
        self.now_ns = 0
        self.outcome: str | None = None
        self.outcome_ns: int | None = None
        self._limit_ns = round(time_limit * 1e9)
        self._streams = self._make_streams(camera)

    def _make_streams(self, camera: bool) -> list[_Stream]:
        """All outputs; their order is the order of what falls on the same instant."""
        world, seed = self.world, self.seed
        imu, lidar, odometry = MemsImu(seed), Lidar(seed), WheelOdometry(world, seed)
        streams = [
            _Stream('clock', 'rosgraph_msgs/msg/Clock', 100, 10_000_000, clock_message),
            _Stream('imu', 'sensor_msgs/msg/Imu', 200, 5_000_000,
                    lambda t: imu.measure(world, t)),
            _Stream('odom', 'nav_msgs/msg/Odometry', 50, 7_300_000,
                    lambda t: odometry.measure(world, t)),
            _Stream('ground_truth', 'nav_msgs/msg/Odometry', 15, 13_100_000, self._truth),
            _Stream('scan', 'sensor_msgs/msg/LaserScan', 10, 41_700_000,
                    lambda t: lidar.measure(world, t)),
            _Stream('audio', 'std_msgs/msg/Int16MultiArray', 50, 23_100_000, self._hear),
        ]
        if camera:
            eye = Camera(seed)
            streams.append(_Stream('camera/image_raw', 'sensor_msgs/msg/Image', 15, 13_100_000,
                                   lambda t: eye.measure(world, t)))
        return streams

    def _truth(self, t_ns: int) -> Any:
        return odometry_message(t_ns, ('map', 'base_link'), self.world.pose_at(t_ns),
                                self.world.velocity, _TRUTH_COVARIANCE, _TRUTH_COVARIANCE)

    def _hear(self, t_ns: int) -> Any:
        pose = self.world.pose_at(t_ns)
        return audio_message(self.microphones.render(t_ns - _AUDIO_CHUNK_NS, pose))

    @property
    def pose(self) -> tuple[float, float, float]:
        """True x (m), y (m), yaw (rad) in ``map``."""
        return self.world.pose

    @property
    def velocity(self) -> tuple[float, float]:
        """True forward speed (m/s) and yaw rate (rad/s)."""
        return self.world.velocity

    @property
    def done(self) -> bool:
        """Whether the episode is decided; the world goes on if advanced all the same."""
        return self.outcome is not None

    @property
    def touches(self) -> list[Touch]:
        """What the robot ran into, and when."""
        return self.world.touches

    @property
    def collisions(self) -> int:
        """How often the robot came against anything but the floor."""
        return self.world.collisions

    @property
    def path_length(self) -> float:
        """Way driven, m."""
        return self.world.path_length

    def command(self, v: float, w: float) -> None:
        """Drive at a forward speed (m/s) and yaw rate (rad/s) for the next 0.5 s at most.

        Raises:
            ValueError: A speed is not finite.
        """
        self.world.command(v, w)

    def advance(self, until_ns: int) -> list[SimMessage]:
        """Run up to and including ``until_ns``.

        Returns:
            Everything sensed since the last call, in the order of time.

        Raises:
            ValueError: ``until_ns`` lies in the past.
        """
        if until_ns < self.now_ns:
            raise ValueError(f'until_ns: got {until_ns}, expected at least now ({self.now_ns})')
        messages = []
        while True:
            stream = min(self._streams, key=_due)
            now = stream.due_ns
            if now > until_ns:
                break
            self._run_to(now)
            messages.append(SimMessage(now, stream.topic, stream.type_name, stream.measure(now)))
            stream.count += 1
        self._run_to(until_ns)
        self.now_ns = until_ns
        return messages

    def _run_to(self, time_ns: int) -> None:
        # The IMU fires at every physics step, so this never advances by more than one.
        before = self.world.time_ns
        self.world.advance(time_ns)
        if self.world.time_ns != before and self.outcome is None:
            self._judge()

    def _judge(self) -> None:
        goal = self.layout.goal
        x, y, _ = self.world.pose
        if math.hypot(x - goal.x, y - goal.y) <= BEACON_RADIUS + ARRIVAL_DISTANCE:
            self.outcome = 'arrived'
        elif any(touch.geom.startswith('beacon_') for touch in self.touches):
            # The singing pillar cannot be touched before the robot has arrived at it.
            self.outcome = 'wrong_beacon'
        elif self.world.time_ns >= self._limit_ns:
            self.outcome = 'timeout'
        if self.outcome is not None:
            self.outcome_ns = self.world.time_ns


def _due(stream: _Stream) -> int:
    return stream.due_ns
