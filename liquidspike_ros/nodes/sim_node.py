"""The simulated robot on real topics: sensors out, commands in, in real time."""

from __future__ import annotations

import sys

if __name__ == '__main__':  # before torch and others are loaded
    from liquidspike_ros.nodes.start import main_sim_node

    sys.exit(main_sim_node())

from collections.abc import Sequence
from dataclasses import dataclass, replace
import json
import math
import threading
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger

from ..settings import check, Effect, setting
from ..sim.messages import SimMessage, time_message
from ..sim.simulation import Simulation, TIME_LIMIT
from ..sim.world import COMMAND_TIMEOUT_NS
from .declarations import build_options, option_declarations
from .help import NodeHelp
from .messages import message_class
from .options import OptionError
from .pacing import Follower, Pacer
from .parameters import declare, read, unknown_overrides
from .process import run_node, StopRequest

STEP = 5_000_000
"""Simulated between two looks at the commands, ns: one IMU period."""
AFTERMATH = 1.0
"""Simulated seconds from the outcome to the end of the process (``once``), for all to hear it."""
STATUS_PERIOD = 100_000_000
"""Simulated time between two status messages, ns."""


@dataclass(frozen=True, kw_only=True)
class SimOptions:
    """Parameters of the simulated robot."""

    seed: int = setting(
        0, 'Seed of the first layout and of all noise', limits=(0, 2**31 - 1),
        effect=Effect.START)
    next_seed: bool = setting(
        True, 'Whether ~/reset goes on to the next seed', effect=Effect.AT_ONCE)
    real_time_factor: float = setting(
        1.0, 'Simulated seconds per second', limits=(0.01, 100.0), effect=Effect.START)
    time_limit: float = setting(
        TIME_LIMIT, 'Time from the first command to the outcome timeout', limits=(0.1, 86_400.0),
        unit='s', effect=Effect.START)
    once: bool = setting(
        False, 'End the process a second after the first outcome', effect=Effect.START)
    publish_clock: bool = setting(
        True, 'Publish /clock; false where another simulator does: this one then runs and stamps '
        'by it (by the system clock, if use_sim_time is set to false)', effect=Effect.START)
    command_type: str = setting(
        'twist', 'Message of the commands it takes', choices=('twist', 'twist_stamped'),
        effect=Effect.START)

    def __post_init__(self) -> None:
        check(self, OptionError)


HELP = NodeHelp(
    program='sim_node',
    summary='The simulated robot of the beacon arena (MuJoCo) on real topics, in real time. It '
            'waits for commands; the time limit of an episode counts from the first one.',
    declarations=lambda: option_declarations(SimOptions()),
    topics=[
        ('camera/image_raw', 'sensor_msgs/msg/Image', 'out, rgb8 96×72, 15 Hz'),
        ('imu', 'sensor_msgs/msg/Imu', 'out, 200 Hz'),
        ('scan', 'sensor_msgs/msg/LaserScan', 'out, 180 beams, 10 Hz'),
        ('audio', 'std_msgs/msg/Int16MultiArray', 'out, stereo, 16 kHz'),
        ('odom, ground_truth', 'nav_msgs/msg/Odometry', 'out, 50 and 15 Hz'),
        ('/clock', 'rosgraph_msgs/msg/Clock', 'out, 100 Hz; in, where publish_clock is false'),
        ('~/status', 'std_msgs/msg/String', 'out, JSON: seed, outcome, time, distance'),
        ('cmd_vel', 'geometry_msgs/msg/Twist', 'in (TwistStamped, if command_type says so); '
         f'each counts for {COMMAND_TIMEOUT_NS / 1e9:g} s, then the base stops by itself')],
    services=[('~/reset', 'std_srvs/srv/Trigger', 'starts the next episode')],
    examples=[
        'ros2 run liquidspike_ros sim_node --ros-args -p seed:=1030',
        'ros2 run liquidspike_ros sim_node --ros-args -r __ns:=/robot2 -p publish_clock:=false',
        'ros2 topic pub -r 10 /cmd_vel geometry_msgs/msg/Twist "{angular: {z: 0.5}}"'])


class LiveEpisode:
    """One simulated episode, from its first command to its outcome.

    Args:
        simulation: A fresh simulation.
        time_limit: Seconds from the first command that moves to the outcome ``timeout``.
    """

    def __init__(self, simulation: Simulation, time_limit: float) -> None:
        self._sim, self._limit = simulation, round(time_limit * 1e9)
        self._begin: int | None = None
        self._end: int | None = None
        self.outcome = ''

    @property
    def now(self) -> int:
        """Simulated time, ns."""
        return self._sim.now_ns

    @property
    def time(self) -> float:
        """Seconds from the first command to now, or to the outcome."""
        end = self.now if self._end is None else self._end
        return 0.0 if self._begin is None else (end - self._begin) / 1e9

    @property
    def since_outcome(self) -> float:
        """Seconds since the outcome; 0 before."""
        return 0.0 if self._end is None else (self.now - self._end) / 1e9

    def step(self, command: tuple[float, float] | None) -> list[SimMessage]:
        """Advance by one step.

        Args:
            command: New speed (m/s) and yaw rate (rad/s), if one came; after the outcome the
                robot stands, whatever comes.
        """
        if command is not None and not self.outcome:
            if self._begin is None and any(command):
                self._begin = self.now
            self._sim.command(*command)
        messages = self._sim.advance(self.now + STEP)
        if not self.outcome:
            late = self._begin is not None and self.now - self._begin > self._limit
            self.outcome = self._sim.outcome or ('timeout' if late else '')
            if self.outcome:
                self._end = self.now
                self._sim.command(0.0, 0.0)
        return messages

    def status(self) -> dict[str, Any]:
        """What ``~/status`` says."""
        return {
            'seed': self._sim.seed,
            'outcome': self.outcome,
            'sim_time': self.now / 1e9,
            'time': self.time,
            'collisions': self._sim.collisions,
            'path_length': self._sim.path_length,
            'pose': [float(value) for value in self._sim.pose],
        }


class SimNode(Node):
    """Runs one simulation in its own thread, paced by the steady clock.

    Args:
        context: rclpy context.
        stop: Called when the simulation fails.
    """

    def __init__(self, context: Context, stop: StopRequest) -> None:
        super().__init__('sim_node', context=context)
        declarations = option_declarations(SimOptions())
        declare(self, declarations)
        self._options: SimOptions = build_options(SimOptions(), read(self, declarations))
        for line in unknown_overrides(self):
            self.get_logger().warning(line)
        self._follower = None if self._options.publish_clock else self._follow_clock()
        self._seed, self._stop = self._options.seed, stop
        self._ending, self._reset = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._command: tuple[float, float] | None = None
        self._topics: dict[str, Publisher] = {}
        self._status = self.create_publisher(
            String, '~/status', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._listen()
        self.create_service(Trigger, '~/reset', self._on_reset)
        self._thread = threading.Thread(target=self._run, name='physics', daemon=True)
        self._thread.start()

    def _follow_clock(self) -> Follower:
        if 'use_sim_time' not in self._parameter_overrides:  # else it was set on purpose
            self.set_parameters([Parameter('use_sim_time', value=True)])
        return Follower(lambda: self.get_clock().now().nanoseconds)

    def _listen(self) -> None:
        if self._options.command_type == 'twist':
            self.create_subscription(Twist, 'cmd_vel', self._on_twist, 1)
        else:
            self.create_subscription(
                TwistStamped, 'cmd_vel', lambda message: self._on_twist(message.twist), 1)

    def _on_twist(self, message: Twist) -> None:
        command = message.linear.x, message.angular.z
        if not all(map(math.isfinite, command)):
            self.get_logger().error(f'cmd_vel: got {command}, expected finite speeds',
                                    throttle_duration_sec=1.0)
            return
        with self._lock:
            self._command = command

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = f'seed {self._next_seed()}'
        response.success = True
        self._reset.set()
        return response

    def _next_seed(self) -> int:
        return self._seed + bool(self.get_parameter('next_seed').value)

    def _run(self) -> None:
        """Physics thread: one episode after the other (its pictures need one thread, too)."""
        try:
            while not (self._ending.is_set() or self._stop.set):
                self._reset.clear()
                self._episode()
                self._seed = self._next_seed()
        except Exception as error:  # a dead physics thread must not look like a calm robot
            self._stop(f'simulation stopped: {error}')

    def _episode(self) -> None:
        # The limit of the task counts from the first command, not from the start of the process.
        episode = LiveEpisode(Simulation(self._seed, time_limit=1e9), self._options.time_limit)
        pacer = self._follower or Pacer(self._options.real_time_factor)
        if self._follower:
            self._wait_for_clock(self._follower)
        self.get_logger().info(f'episode with seed {self._seed}')
        while not (self._ending.is_set() or self._reset.is_set() or self._stop.set):
            with self._lock:
                command, self._command = self._command, None
            was_open, due = not episode.outcome, episode.now % STATUS_PERIOD == 0
            for message in episode.step(command):
                self._publish(message)
            if was_open and episode.outcome:
                self.get_logger().info(f'{episode.outcome} after {episode.time:.1f} s '
                                       f'(seed {self._seed})')
                due = True
            if due:
                self._status.publish(String(data=json.dumps(episode.status())))
            if self._options.once and episode.since_outcome > AFTERMATH:
                self._stop()
                return
            behind = pacer.wait(episode.now, self._ending)
            if behind:
                self.get_logger().warning(behind)

    def _wait_for_clock(self, follower: Follower) -> None:
        """Nothing is simulated, and nothing stamped, before the time is known."""
        follower.offset = None
        while follower.offset is None and not self._ending.is_set():
            complaint = follower.wait(0, self._ending)
            if complaint:
                self.get_logger().warning(complaint)

    def _publish(self, message: SimMessage) -> None:
        if self._follower:
            if message.topic == 'clock':
                return
            message = shifted(message, self._follower.offset or 0)
        publisher = self._topics.get(message.topic)
        if publisher is None:
            # The clock is global, whatever the namespace of the robot.
            topic = '/clock' if message.topic == 'clock' else message.topic
            publisher = self.create_publisher(message_class(message.type_name), topic, 10)
            self._topics[message.topic] = publisher
        publisher.publish(message.serialize())

    def close(self) -> None:
        """End the physics thread."""
        self._ending.set()
        self._thread.join(timeout=5.0)


def shifted(message: SimMessage, offset: int) -> SimMessage:
    """The same message with its stamp ``offset`` ns later; as it is, if it carries none."""
    header = getattr(message.msg, 'header', None)
    if header is None:
        return message
    stamp = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec + offset
    later = replace(message.msg, header=replace(header, stamp=time_message(stamp)))
    return replace(message, msg=later)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``sim_node``; returns the exit code."""
    return run_node('sim_node', SimNode, args)
