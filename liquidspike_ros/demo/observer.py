"""Watches a demo from outside: a ROS node that subscribes, keeps all, and decides nothing."""

from __future__ import annotations

from collections.abc import Callable
import math
import threading
from typing import Any

import numpy as np

from ..robot import RobotSpec
from ..sensing.converters import convert
from ..sensing.observation import InvalidSample
from .processes import DemoError
from .recording import MOST_ITEMS, Recording, Scan
from .reports import read_status, read_tick

POLICY, SIMULATOR = 'policy', 'sim_node'
MOST_BEAMS, LONGEST_SOUND = 1 << 16, 10.0
"""Of one scan, and of one chunk of sound (s): a demo keeps them all."""
NAMESPACE = 'beacon_demo'
"""Of all nodes, topics and the clock: a demo neither drives a real robot nor listens to one."""
SOUND_SLACK = 60_000_000
"""How far arrival may stray from the end of the sound so far, ns."""


class Observer:
    """Subscribes to everything worth keeping, and turns in a thread of its own.

    Args:
        robot: Names the topics.
        recording: Filled as messages come.

    Attributes:
        lock: To be held while reading the recording of a running demo.
    """

    def __init__(self, robot: RobotSpec, recording: Recording) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        self._robot, self.recording = robot, recording
        self._context = Context()
        # Ctrl-C belongs to the program, which ends everything in order.
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('observer', namespace=NAMESPACE, context=self._context)
        self._now = self._sound_end = 0
        self.lock = threading.RLock()
        self._subscribe()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._spin, name='observer', daemon=True)
        self._thread.start()

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spin(self) -> None:
        try:
            while not self._ending.is_set():
                self._executor.spin_once(timeout_sec=0.1)
        except Exception as error:  # shown by `check`: a blind observer must not look calm
            self._failure = error

    def _subscribe(self) -> None:
        from geometry_msgs.msg import Twist
        from nav_msgs.msg import Odometry
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import Image, LaserScan
        from std_msgs.msg import Int16MultiArray, String

        robot, plenty = self._robot, QoSProfile(depth=200)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for kind, topic, callback, qos in (
            (Clock, 'clock', self._on_clock, plenty),
            (Image, robot.camera.topic, self._on_image, plenty),
            (LaserScan, robot.lidar.topic, self._on_scan, plenty),
            (Int16MultiArray, robot.audio.topic, self._on_sound, plenty),
            (Twist, robot.command.topic, self._on_command, plenty),
            (Odometry, 'ground_truth', self._on_pose, plenty),
            (String, f'{POLICY}/introspection', self._on_tick, plenty),
            (String, f'{SIMULATOR}/status', self._on_status, latched),
        ):
            self._node.create_subscription(kind, topic, self._locked(callback), qos)

    def _locked(self, callback: Callable[[Any, int], None]) -> Callable[[Any, Any], None]:
        """A subscription callback that also gets when the message left its publisher, ns."""

        def receive(message: Any, message_info: Any) -> None:
            try:
                with self.lock:
                    callback(message, int(message_info['source_timestamp']))
            except InvalidSample:
                return  # the policy node reports it; for a picture it is merely missing

        return receive

    def _on_clock(self, message: Any, sent: int) -> None:
        self._now = _nanoseconds(message.clock)
        self.recording.clock_wall.add(self._now, sent)

    def _on_image(self, message: Any, sent: int) -> None:
        sample = convert(message, 'sensor_msgs/msg/Image', self._robot.camera)
        self.recording.images.add(sample.stamp, sample.data)

    def _on_scan(self, message: Any, sent: int) -> None:
        stamp = _nanoseconds(message.header.stamp)
        if len(message.ranges) > MOST_BEAMS:
            raise InvalidSample(f'ranges: got {len(message.ranges)}, expected at most {MOST_BEAMS}')
        ranges = np.array(message.ranges, dtype=np.float32)
        angles = message.angle_min + message.angle_increment * np.arange(len(ranges))
        good = (ranges >= message.range_min) & (ranges <= message.range_max)
        self.recording.scans.add(
            stamp, Scan(np.where(good, ranges, np.nan).astype(np.float32),
                        angles.astype(np.float32)))

    def _on_sound(self, message: Any, sent: int) -> None:
        sample = convert(message, 'std_msgs/msg/Int16MultiArray', self._robot.audio)
        # The message carries no stamp and /clock ticks coarsely: chunks that follow each other
        # are put end to end.
        seconds = sample.data.shape[1] / self._robot.audio.sample_rate
        if seconds > LONGEST_SOUND:
            raise InvalidSample(f'data: got {seconds:g} s, expected at most {LONGEST_SOUND:g} s')
        following = self._sound_end + round(seconds * 1e9)
        late = abs(self._now - following) > SOUND_SLACK
        self._sound_end = self._now if late else following
        self.recording.sounds.add(self._sound_end, sample.data)

    def _on_command(self, message: Any, sent: int) -> None:
        self.recording.commands.add(self._now, (message.linear.x, message.angular.z))
        if len(self.recording.command_wall) < MOST_ITEMS:
            self.recording.command_wall.append(sent)

    def _on_pose(self, message: Any, sent: int) -> None:
        place, turn = message.pose.pose.position, message.pose.pose.orientation
        yaw = 2.0 * math.atan2(turn.z, turn.w)
        self.recording.poses.add(_nanoseconds(message.header.stamp), (place.x, place.y, yaw))

    def _on_tick(self, message: Any, sent: int) -> None:
        self.recording.ticks.add(*read_tick(message.data, sent))

    def _on_status(self, message: Any, sent: int) -> None:
        status = read_status(message.data)
        self.recording.status = status
        if status['outcome'] and not self.recording.decided:
            self.recording.decided = round(status['sim_time'] * 1e9)

    def check(self) -> None:
        """Make sure that it still watches.

        Raises:
            DemoError: A callback failed.
        """
        if self._failure is not None:
            raise DemoError(f'the observer failed: {self._failure!r}') from self._failure

    def arm(self, timeout: float) -> tuple[bool, str]:
        """Arm the policy; returns success and what it said.

        Raises:
            DemoError: It did not answer in time.
        """
        from std_srvs.srv import SetBool

        service = f'{POLICY}/arm'
        client: Any = self._node.create_client(SetBool, service)
        try:
            if not client.wait_for_service(timeout_sec=timeout):
                raise DemoError(f'no service {service} within {timeout:g} s')
            answered = threading.Event()
            future = client.call_async(SetBool.Request(data=True))
            future.add_done_callback(lambda _: answered.set())
            if not answered.wait(timeout):
                raise DemoError(f'{service} did not answer within {timeout:g} s')
            answer: Any = future.result()
            return bool(answer.success), str(answer.message)
        finally:
            self._node.destroy_client(client)

    def close(self) -> None:
        """Stop watching; what was kept stays."""
        self._ending.set()
        self._thread.join(timeout=3.0)
        self._node.destroy_node()
        self._context.try_shutdown()


def _nanoseconds(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
