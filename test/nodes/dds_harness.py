"""A robot to talk to: real nodes of ours in processes of their own, and a fake robot here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, LaserScan
from std_msgs.msg import Int16MultiArray
from std_srvs.srv import SetBool
from warm_start import Forked, Nursery

ROOT = Path(__file__).parents[2]
ROBOT_FILE = ROOT / 'config' / 'robots' / 'beacon.yaml'
DOMAIN = 1 + os.getpid() % 100
PATIENCE = 60.0
"""Longest wait for something that must happen, s; generous, because machines are busy."""
ANSWER = 10.0
"""How long a service may take to answer before it is asked again, s."""


def make_checkpoint(folder: Path) -> Path:
    """A small untrained policy for the robot of ``ROBOT_FILE``."""
    import torch

    from liquidspike_ros.control.tensors import robot_model_config
    from liquidspike_ros.core.checkpoint import save_pretrained
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
    from liquidspike_ros.robot import load_robot

    torch.manual_seed(0)
    robot = load_robot(ROBOT_FILE)
    model = RobotMultiSensorModel(
        **robot_model_config(robot), fusion_dim=32, encoder_dim=32, liquid_units=16,
        spiking_units=16, num_spike_steps=4, camera_architecture='simple',
        fusion_strategy='hybrid')
    save_pretrained(model, folder, {'robot': robot.to_dict()})
    return folder


def wait_for(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Wait until ``condition`` holds; fails naming ``what``."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f'waited {timeout:g} s in vain for {what}')


def environment() -> dict[str, str]:
    """Where nodes of ours find each other and nobody else."""
    return {
        **os.environ, 'ROS_DOMAIN_ID': str(DOMAIN), 'OMP_NUM_THREADS': '1',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1',
        'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]),
    }


class Process:
    """A node of ours in its own process; its output is kept.

    Args:
        module: The node.
        arguments: Its command line.
        nursery: Starts it; a new interpreter if none.
    """

    def __init__(self, module: str, *arguments: str, nursery: Nursery | None = None) -> None:
        self._popen: subprocess.Popen[str] | Forked
        if nursery is not None:
            self._popen = nursery.start(module, list(arguments), environment())
        else:
            self._popen = subprocess.Popen(
                [sys.executable, '-m', f'liquidspike_ros.nodes.{module}', *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return '\n'.join(self.lines)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end; its exit code."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still running after {timeout:g} s:\n{self.output}') from None
        self._reader.join(5)
        return code

    def signal(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end; its exit code."""
        self._popen.send_signal(number)
        return self.wait()

    def close(self) -> None:
        if self.running:
            self._popen.send_signal(signal.SIGINT)
            try:
                self._popen.wait(10)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait(10)


@contextmanager
def ros_node(name: str) -> Iterator[Node]:
    """A node of the test itself, turned by a thread."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    context = Context()
    rclpy.init(args=[], context=context, domain_id=DOMAIN)
    node = Node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ending = threading.Event()

    def turn() -> None:
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        ending.set()
        thread.join(5)
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def call(node: Node, kind: Any, name: str, request: Any, timeout: float = PATIENCE) -> Any:
    """Call a service of another process and return its response."""
    client = node.create_client(kind, name)
    try:
        wait_for(client.service_is_ready, f'service {name}', timeout)
        # The server may know the client's request but not yet where to answer: DDS then drops the
        # answer without a word. Ask again rather than wait for it.
        futures = [client.call_async(request)]
        end = time.monotonic() + timeout
        asked = time.monotonic()
        while not any(future.done() for future in futures):
            assert time.monotonic() < end, f'waited {timeout:g} s in vain for answer of {name}'
            if time.monotonic() - asked > ANSWER:
                asked = time.monotonic()
                futures.append(client.call_async(request))
            time.sleep(0.01)
        return next(future.result() for future in futures if future.done())
    finally:
        node.destroy_client(client)


def set_parameter(node: Node, name: str, value: Any) -> None:
    """Set a parameter of the policy node; fails with its reason."""
    message = Parameter(name, value=value).to_parameter_msg()
    response = call(node, SetParameters, '/policy/set_parameters',
                    SetParameters.Request(parameters=[message]))
    assert response.results[0].successful, response.results[0].reason


def arm(node: Node, value: bool = True) -> Any:
    """Ask the policy node to arm or disarm; its response."""
    return call(node, SetBool, '/policy/arm', SetBool.Request(data=value))


def arm_when_ready(node: Node) -> None:
    """Arm as soon as the policy node takes it."""
    refusals: list[str] = []

    def taken() -> bool:
        answer = arm(node)
        refusals.append(answer.message)
        return answer.success

    try:
        wait_for(taken, 'the policy to take the arm')
    except AssertionError as error:
        raise AssertionError(f'{error}; it said {refusals[-1:]}') from None


@dataclass(frozen=True)
class Command:
    """A Twist as it came in: steady time of arrival (s), speed (m/s), yaw rate (rad/s)."""

    time: float
    linear: float
    angular: float

    @property
    def is_zero(self) -> bool:
        return self.linear == 0.0 and self.angular == 0.0


class FakeRobot:
    """Sensor topics at their nominal rates and an ear on the commands.

    Attributes:
        enabled: Sensors that publish; take one out to cut it.
        commands: The newest commands.
        sent: Steady time of the last sample of any sensor, s.
        last: The same of each sensor.
    """

    RATES = {'imu': 200, 'camera': 15, 'lidar': 10, 'audio': 50}

    def __init__(self, node: Node, command_type: type = Twist) -> None:
        self.node = node
        self.enabled = set(self.RATES)
        self.commands: deque[Command] = deque(maxlen=10_000)
        self.sent = 0.0
        self.last: dict[str, float] = {}
        self.offset_ns = 0
        self.on_step: Callable[[], None] = lambda: None
        self._rng = np.random.default_rng(5)
        self._publishers = {
            'camera': node.create_publisher(Image, 'camera/image_raw', 10),
            'imu': node.create_publisher(Imu, 'imu', 10),
            'lidar': node.create_publisher(LaserScan, 'scan', 10),
            'audio': node.create_publisher(Int16MultiArray, 'audio', 10),
        }
        self._ear = node.create_subscription(command_type, 'cmd_vel', self._hear,
                                             QoSProfile(depth=1000))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _hear(self, message: Any) -> None:
        twist = getattr(message, 'twist', message)
        self.commands.append(Command(time.monotonic(), twist.linear.x, twist.angular.z))

    def _run(self) -> None:
        begin, step = time.monotonic(), 0
        while not self._ending.wait(max(0.0, begin + step / 200 - time.monotonic())):
            # What fell behind is left out: no bursts after a hiccup of the machine.
            step = max(step + 1, int((time.monotonic() - begin) * 200) - 1)
            self.on_step()
            for name, rate in self.RATES.items():
                if name in self.enabled and step * rate % 200 < rate:
                    self.publish(name)

    def publish(self, name: str, stamp: int | None = None) -> None:
        """Publish one sample of a sensor, stamped now unless told otherwise (ns)."""
        clock = time.time_ns() + self.offset_ns
        message = getattr(self, f'_{name}')(clock if stamp is None else stamp)
        self._publishers[name].publish(message)
        self.sent = self.last[name] = time.monotonic()

    def _stamp(self, message: Any, stamp: int) -> Any:
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        return message

    def _camera(self, stamp: int) -> Image:
        pixels = self._rng.integers(0, 255, 72 * 96 * 3, np.uint8)
        return self._stamp(Image(height=72, width=96, step=288, encoding='rgb8',
                                 data=pixels.tobytes()), stamp)

    def _imu(self, stamp: int) -> Imu:
        message = self._stamp(Imu(), stamp)
        message.angular_velocity.z = float(self._rng.normal(0, 0.1))
        message.linear_acceleration.z = 9.81 + float(self._rng.normal(0, 0.1))
        return message

    def _lidar(self, stamp: int) -> LaserScan:
        ranges = self._rng.uniform(1, 5, 180).astype(np.float32)
        message = LaserScan(angle_min=-np.pi + np.pi / 180, angle_max=np.pi - np.pi / 180,
                            angle_increment=2 * np.pi / 180, range_min=0.05, range_max=8.0,
                            scan_time=0.1, ranges=ranges.tolist())
        return self._stamp(message, stamp)

    def _audio(self, stamp: int) -> Int16MultiArray:
        return Int16MultiArray(data=self._rng.integers(-3000, 3000, 640).tolist())

    def since(self, moment: float) -> list[Command]:
        """Commands that came after a steady time."""
        return [command for command in list(self.commands) if command.time > moment]

    def close(self) -> None:
        self._ending.set()
        self._thread.join(5)


def clock_message(nanoseconds: int) -> Clock:
    """/clock at a ROS time in ns."""
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(nanoseconds, 10**9)
    return message


class DiagnosticsEar:
    """The newest diagnostic status of every name."""

    def __init__(self, node: Node) -> None:
        self.status: dict[str, Any] = {}
        node.create_subscription(DiagnosticArray, '/diagnostics', self._hear, 10)

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status[status.name] = status

    def value(self, name: str, key: str) -> str | None:
        """A value of a status, None before it came."""
        status = self.status.get(name)
        return None if status is None else {v.key: v.value for v in status.values}.get(key)
