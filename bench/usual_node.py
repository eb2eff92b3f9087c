"""The usual construction, for comparison: everything inside the callback of a synchronised set.

Camera, LiDAR and IMU through an ApproximateTimeSynchronizer, sensor QoS, message objects,
conversion and inference in the callback, one executor. Policy and runtime are those of our node;
what differs is how the data come to it. A part of ``node_load.py``; says what it saw on
/diagnostics in the words of our node.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
import sys
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
import numpy as np
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, Imu, LaserScan
from std_msgs.msg import Int16MultiArray
import torch

from liquidspike_ros.nodes.approximate_time import ApproximateTimeSynchronizer
from liquidspike_ros.nodes.diagnostics import array, entry, OK
from liquidspike_ros.nodes.loading import load_policy
from liquidspike_ros.nodes.process import run_contained, StopRequest
from liquidspike_ros.nodes.subscribers import OwnFilter
from liquidspike_ros.nodes.tick_statistics import TickStatistics
from liquidspike_ros.robot import load_robot, RobotSpec
from liquidspike_ros.sensing.observation import Observation

QUEUE, SLOP = 100, 0.05


class UsualNode(Node):
    """Subscribes, converts, thinks and publishes in callbacks."""

    def __init__(self, context: Context, robot: RobotSpec, model: str) -> None:
        super().__init__('usual', context=context)
        self._robot = robot
        self._runtime = load_policy(model, robot, 'cpu').runtime
        self._statistics = TickStatistics()
        self._frames, self._tick = 0, 0
        self._inertial: deque[list[float]] = deque(maxlen=robot.imu.window)
        self._sound = np.zeros(robot.audio.shape, np.float32)
        self._commands = self.create_publisher(Twist, 'cmd_vel', 1)
        self._reports = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        filters = [self._filter(Image, 'camera/image_raw'), self._filter(LaserScan, 'scan'),
                   self._filter(Imu, 'imu')]
        filters[0].registerCallback(self._count)
        filters[2].registerCallback(self._on_imu)
        ApproximateTimeSynchronizer(fs=filters, queue_size=QUEUE, slop=SLOP).registerCallback(
            self._on_set)
        self.create_subscription(Int16MultiArray, 'audio', self._on_audio, qos_profile_sensor_data)
        self.create_timer(1.0, self._report)

    def _filter(self, kind: type, topic: str) -> OwnFilter:
        result = OwnFilter()
        self.create_subscription(kind, topic, result.signalMessage, qos_profile_sensor_data)
        return result

    def _count(self, message: Image) -> None:
        self._frames += 1

    def _on_imu(self, message: Imu) -> None:
        w, a = message.angular_velocity, message.linear_acceleration
        self._inertial.append([w.x, w.y, w.z, a.x, a.y, a.z])

    def _on_audio(self, message: Int16MultiArray) -> None:
        chunk = np.array(message.data, np.float32).reshape(-1, 2).T / 32768
        self._sound = np.concatenate((self._sound, chunk), axis=1)[:, -self._sound.shape[1]:]

    def _on_set(self, image: Image, scan: LaserScan, imu: Imu) -> None:
        robot = self._robot
        pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
        ranges = np.array(scan.ranges, np.float32)
        ranges = ranges[np.linspace(0, len(ranges) - 1, robot.lidar.beams).astype(int)]
        inertial = np.array(self._inertial, np.float32)
        inertial = np.pad(inertial, ((robot.imu.window - len(inertial), 0), (0, 0)), 'edge')
        values = {
            'camera': cv2.resize(pixels, (robot.camera.width, robot.camera.height),
                                 interpolation=cv2.INTER_AREA),
            'imu': np.ascontiguousarray(inertial.T),
            'lidar': np.stack((ranges, np.isfinite(ranges).astype(np.float32))),
            'audio': self._sound.copy()}
        now = time.time_ns()
        dt = (now - self._tick) / 1e9 if self._tick else robot.period
        self._tick = now
        began = time.monotonic()
        action = self._runtime.step(Observation(
            stamp=now, dt=dt, values=values, present=dict.fromkeys(values, True),
            age=dict.fromkeys(values, 0.0))).action
        busy = time.monotonic() - began
        command = Twist()
        scale = robot.command.scale
        command.linear.x, command.angular.z = (
            float(v) * s for v, s in zip(np.ravel(action), scale, strict=True))
        self._commands.publish(command)
        stamp = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        self._statistics.tick((time.time_ns() - stamp) / 1e9, busy)

    def _report(self) -> None:
        values: dict[str, Any] = {'ticks': self._statistics.ticks,
                                  **self._statistics.percentiles()}
        self._reports.publish(array(self.get_clock().now().to_msg(), [
            entry('usual: inference', '', OK, '', values),
            entry('usual: camera', '', OK, '', {'accepted': self._frames, 'dropped': 0,
                                                'reliability': 'best_effort'})]))


def main(robot_file: str, model: str) -> None:
    torch.set_num_threads(1)

    def turn(context: Context, stop: StopRequest) -> None:
        node = UsualNode(context, load_robot(Path(robot_file)), model)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        while not stop.set:
            executor.spin_once(timeout_sec=0.05)
        node.destroy_node()

    run_contained('usual_node', turn, ['usual_node'])


if __name__ == '__main__':
    main(*sys.argv[1:])
