"""One demo from start to end: nodes up, policy armed, drive watched, results written."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import os
from pathlib import Path
import signal
import time
from types import FrameType

from ..robot import load_robot, RobotSpec
from ..sim.arena import sample_layout
from .observer import NAMESPACE, Observer
from .processes import Child, Children, DemoError, free_domain
from .progress import ProgressLine
from .recording import Recording
from .results import clear_results, write_results

START_TIMEOUT = 60.0
"""How long the nodes may take to be ready, s: torch and MuJoCo load from a cold disk."""
AFTERGLOW = 0.7
"""How long to go on watching after the outcome, s."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What to show.

    Attributes:
        model: Folder of the checkpoint that drives.
        robot_file: Robot file, given to the policy node as its parameters.
        seed: Of the room and all noise.
        output: Folder of the results.
        limit: Time limit, simulated s.
        domain: ROS_DOMAIN_ID; a free one if None.
        video: Whether to write the film.
    """

    model: Path
    robot_file: Path
    seed: int
    output: Path
    limit: float
    domain: int | None = None
    video: bool = True


def run_demo(options: DemoOptions) -> int:
    """Run the demo; returns 0 if the robot arrived, else 1.

    Raises:
        RobotError: The robot file is wrong.
        DemoError: A node did not start, or ended too early.
        KeyboardInterrupt: After Ctrl-C or SIGTERM, once the nodes have ended.
    """
    robot = load_robot(options.robot_file)
    began = time.monotonic()
    clear_results(options.output)
    with _terminated_as_interrupt():
        recording = _drive(options, robot)
        return write_results(recording, sample_layout(options.seed), robot, options.output,
                             video=options.video, began=began)


def _drive(options: DemoOptions, robot: RobotSpec) -> Recording:
    """Start the nodes, watch them drive, end them."""
    domain = free_domain() if options.domain is None else options.domain
    # Nothing leaves this machine unless somebody wants it to, and no robot is on this domain.
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'}
    recording = Recording(seed=options.seed)
    with Children(options.output, environment) as children:
        print(f'starting sim_node and policy_node on ROS_DOMAIN_ID {domain} '
              f'(logs: {options.output}) …')
        nodes = _start_nodes(children, options)
        with Observer(robot, recording) as observer:
            _arm(children, observer)
            print('armed; the robot drives by itself now')
            _watch(children, observer, nodes, options.limit)
    return recording


def _start_nodes(children: Children, options: DemoOptions) -> list[Child]:
    apart = ['-r', f'__ns:=/{NAMESPACE}', '-r', '/clock:=clock']
    simulator = children.start('sim_node', 'liquidspike_ros.nodes.sim_node', [
        '--ros-args', *apart, '-p', f'seed:={options.seed}', '-p', f'time_limit:={options.limit}'])
    policy = children.start('policy_node', 'liquidspike_ros.nodes.policy_node', [
        '--ros-args', *apart, '--params-file', str(options.robot_file),
        '-p', f'model:={options.model}', '-p', 'use_sim_time:=true', '-p', 'introspection:=true'])
    return [simulator, policy]


def _arm(children: Children, observer: Observer) -> None:
    """Wait until the sensors flow, then arm; a policy that is not ready yet is asked again."""
    deadline = time.monotonic() + START_TIMEOUT
    recording, reason = observer.recording, 'nothing was published'
    while time.monotonic() < deadline:
        children.check()
        observer.check()
        if len(recording.images) and len(recording.sounds) and recording.status:
            try:
                done, reason = observer.arm(timeout=1.0)
            except DemoError as error:  # no such service yet: see whether the nodes still run
                done, reason = False, str(error)
            if done:
                return
        time.sleep(0.2)
    raise DemoError(f'not ready after {START_TIMEOUT:g} s: {reason}')


def _watch(children: Children, observer: Observer, nodes: list[Child], limit: float) -> None:
    """Follow the drive to its outcome, with a line of progress."""
    recording = observer.recording
    used, began = {node.name: node.processor_time() for node in nodes}, time.monotonic()
    own = time.process_time()
    # Simulated and real time run alike; a machine that cannot keep up gets a quarter more.
    deadline = began + 1.25 * limit + 5.0
    with ProgressLine() as line:
        while not recording.outcome and time.monotonic() < deadline:
            children.check()
            observer.check()
            with observer.lock:
                line.show(recording)
            time.sleep(0.1)
        wall = time.monotonic() - began
        for node in nodes:
            recording.cpu[node.name] = (node.processor_time() - used[node.name]) / wall
        recording.cpu['observer'] = (time.process_time() - own) / wall
        with observer.lock:
            line.show(recording, last=True)
    time.sleep(AFTERGLOW)


@contextlib.contextmanager
def _terminated_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does, so that no node is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
