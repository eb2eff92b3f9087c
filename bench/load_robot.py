"""A robot's sensors in a process of their own: messages serialised beforehand, at their full rates.

A part of ``node_load.py``, driven by lines on its standard input: ``go``, ``report``, ``stop``; to
each it answers one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, Imu, LaserScan
from std_msgs.msg import Int16MultiArray

from liquidspike_ros.nodes.executors import spin_until

IMU_RATE, SCAN_RATE, AUDIO_RATE = 1000, 20, 50
BEAMS, CHUNK = 720, 640  # stereo, 16 kHz
PATIENCE = 60.0
"""Longest wait for the node to subscribe, s; why it did not is in its log."""
_STAMP = slice(4, 12)  # behind the four bytes of the encapsulation
_VARIANTS = 4  # payloads that take turns, so that no sensor looks frozen


def payloads(width: int, height: int) -> dict[str, list[bytes]]:
    """Serialised messages of every topic."""
    random = np.random.default_rng(0)
    result: dict[str, list[bytes]] = {'camera/image_raw': [], 'imu': [], 'scan': [], 'audio': []}
    for _ in range(_VARIANTS):
        pixels = random.integers(0, 256, 3 * width * height, np.uint8)
        imu = Imu()
        imu.angular_velocity.z = float(random.normal(0, 0.1))
        imu.linear_acceleration.z = 9.81 + float(random.normal(0, 0.1))
        step = 2 * np.pi / BEAMS
        messages: dict[str, Any] = {
            'camera/image_raw': Image(height=height, width=width, step=3 * width, encoding='rgb8',
                                      data=pixels.tobytes()),
            'imu': imu,
            'scan': LaserScan(angle_min=-np.pi + step / 2, angle_max=np.pi - step / 2,
                              angle_increment=step, range_min=0.05, range_max=8.0,
                              scan_time=1 / SCAN_RATE,
                              ranges=random.uniform(1, 5, BEAMS).astype(np.float32).tolist()),
            'audio': Int16MultiArray(data=random.integers(-3000, 3000, CHUNK).tolist())}
        for topic, message in messages.items():
            result[topic].append(serialize_message(message))
    return result


class LoadRobot:
    """Publishes everything from ``go`` on, and listens to what the policy says of itself."""

    def __init__(self, node: Node, width: int, height: int, rate: float, reliable: bool) -> None:
        qos = QoSProfile(depth=10, reliability=(
            ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT))
        kinds = {'camera/image_raw': Image, 'imu': Imu, 'scan': LaserScan, 'audio': Int16MultiArray}
        self.rates = {'camera/image_raw': rate, 'imu': IMU_RATE, 'scan': SCAN_RATE,
                      'audio': AUDIO_RATE}
        self.publishers = {topic: node.create_publisher(kind, topic, qos)
                           for topic, kind in kinds.items()}
        self.payloads = payloads(width, height)
        self.sent = dict.fromkeys(kinds, 0)
        self.commands = 0
        self.status: dict[str, dict[str, str]] = {}
        node.create_subscription(Twist, 'cmd_vel', self._hear, 100)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._read, 10)
        self.running = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _hear(self, message: Twist) -> None:
        self.commands += 1

    def _read(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name] = {'message': status.message,
                                        **{v.key: v.value for v in status.values}}

    def _run(self) -> None:
        self.running.wait()
        begin = time.monotonic()
        while self.running.is_set():
            topic = min(self.rates, key=self._due)
            time.sleep(max(0.0, begin + self._due(topic) - time.monotonic()))
            data = bytearray(self.payloads[topic][self.sent[topic] % _VARIANTS])
            if topic != 'audio':
                seconds, rest = divmod(time.time_ns(), 10**9)
                data[_STAMP] = seconds.to_bytes(4, 'little') + rest.to_bytes(4, 'little')
            self.publishers[topic].publish(bytes(data))
            self.sent[topic] += 1

    def _due(self, topic: str) -> float:
        return self.sent[topic] / self.rates[topic]

    def answer(self, line: str) -> dict[str, Any]:
        """Do what ``line`` asks for."""
        if line == 'go':
            end = time.monotonic() + PATIENCE
            while (time.monotonic() < end and not all(
                    each.get_subscription_count() for each in self.publishers.values())):
                time.sleep(0.05)
            time.sleep(2.0)  # for the subscriber to adapt to what is offered here
            self.running.set()
        if line == 'stop':
            self.running.clear()
            time.sleep(2.5)  # until the next report has counted what was on its way
        return {'sent': self.sent, 'commands': self.commands, 'status': self.status}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480))
    parser.add_argument('--rate', type=float, default=30.0)
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable')
    arguments = parser.parse_args()
    context = Context()
    rclpy.init(args=[], context=context)
    node = Node('load_robot', context=context)
    robot = LoadRobot(node, *arguments.size, arguments.rate, arguments.reliability == 'reliable')
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ending = threading.Event()
    turning = threading.Thread(target=spin_until, args=(executor, ending.is_set))
    turning.start()
    for line in sys.stdin:
        print(json.dumps(robot.answer(line.strip())), flush=True)
    robot.running.clear()
    ending.set()
    turning.join()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


if __name__ == '__main__':
    main()
