"""Training from recordings as a ROS node: parameters in, progress on a topic, checkpoint out."""

from __future__ import annotations

import sys

if __name__ == '__main__':  # before torch and others are loaded
    from liquidspike_ros.nodes.start import main_train_node

    sys.exit(main_train_node())

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
import threading
from typing import Any

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from ..robot import RobotSpec
from ..settings import check, Effect, setting
from ..share import shared_file
from ..training.configuration import load_train_config, MOST_EPOCHS
from ..training.console import Console, StepReport
from ..training.trainer import train
from .declarations import build_options, option_declarations
from .help import NodeHelp
from .options import OptionError
from .parameters import declare, read, read_robot, unknown_overrides
from .process import run_contained, StartError, StopRequest


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Parameters of the training node beside the robot's."""

    bags: tuple[str, ...] = setting(
        (), 'Recordings: rosbag2 folders, .mcap or .db3 files, or folders of them',
        effect=Effect.START)
    output: str = setting('', 'Folder of the checkpoint to write', effect=Effect.START)
    config_file: str = setting(
        'config/train.yaml', 'Model, data, loss and optimiser settings', effect=Effect.START)
    epochs: int = setting(
        0, 'Passes over the recordings; 0: as in config_file', limits=(0, MOST_EPOCHS),
        effect=Effect.START)
    init_from: str = setting(
        '', 'Checkpoint to fine-tune; empty: random weights', effect=Effect.START)
    resume: bool = setting(
        False, 'Go on with the last checkpoint below output', effect=Effect.START)
    overwrite: bool = setting(
        False, 'Replace a trained model that output holds', effect=Effect.START)
    device: str = setting(
        '', 'cpu, cuda or cuda:N; empty: as in config_file', effect=Effect.START)

    def __post_init__(self) -> None:
        check(self, OptionError)


HELP = NodeHelp(
    program='train_node',
    summary='Trains a policy from recordings, as `liquidspike train` does: parameters in, progress '
            'on a topic, a checkpoint out. It starts at once and ends with the training; Ctrl-C '
            'leaves a usable checkpoint. A robot file (config/robots) is a parameter file for it; '
            'its fields are parameters as well, which policy_node --help lists.',
    declarations=lambda: option_declarations(TrainOptions()),
    topics=[('~/progress', 'std_msgs/msg/String', 'out, JSON of every step, and of the end')],
    services=[],
    examples=[
        'ros2 run liquidspike_ros train_node --ros-args --params-file my_robot.yaml '
        '-p "bags:=[bags/one, bags/two.mcap]" -p output:=models/mine',
        'ros2 launch liquidspike_ros train.launch.py bags:="[bags]" output:=models/mine'])


class TopicConsole(Console):
    """Progress to the log and, for each step, as JSON on a topic.

    Args:
        node: Whose log.
        publish: Sends one message.
    """

    def __init__(self, node: Node, publish: Any) -> None:
        super().__init__()
        self._node, self._publish = node, publish

    def say(self, text: str) -> None:
        """One line to the log."""
        self._node.get_logger().info(text)

    def step(self, report: StepReport) -> None:
        """Publish progress; now and then also to the log."""
        self._publish(String(data=json.dumps({'state': 'training', **asdict(report)})))
        if self._due('step'):
            self.say(f'step {report.step}/{report.steps} loss {report.loss:.4f}')


class TrainNode(Node):
    """Holds the parameters and the progress topic; ``train`` does the work.

    Args:
        context: rclpy context.

    Raises:
        ParameterError: A parameter is wrong.
        StartError: Bags or output are not given.
    """

    def __init__(self, context: Context) -> None:
        super().__init__('train_node', context=context)
        declarations = option_declarations(TrainOptions())
        declare(self, declarations)
        self._options: TrainOptions = build_options(TrainOptions(), read(self, declarations))
        self._robot: RobotSpec = read_robot(self)
        for line in unknown_overrides(self):
            self.get_logger().warning(line)
        self._progress = self.create_publisher(String, '~/progress', QoSProfile(
            depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        if self._options.resume and self._options.init_from:
            raise StartError(f'init_from: got {self._options.init_from!r} beside resume, expected '
                             'one of them')
        for name, given in (('bags', any(self._options.bags)), ('output', self._options.output)):
            if not given:
                raise StartError(f'{name}: got nothing, expected '
                                 f'{"at least one recording" if name == "bags" else "a folder"}')

    def train(self) -> None:
        """Train to the end, or to SIGINT or SIGTERM; either leaves a usable checkpoint.

        Raises:
            BagError, TrainingError, CheckpointError: As ``training.trainer.train``.
        """
        options = self._options
        given = {'optimiser.epochs': options.epochs, 'device': options.device}
        config = load_train_config(shared_file(options.config_file)).override(
            {name: value for name, value in given.items() if value})
        result = train(options.bags, options.output, self._robot, config,
                       init_from=options.init_from or None, resume=options.resume,
                       overwrite=options.overwrite,
                       console=TopicConsole(self, self._progress.publish))
        state = 'interrupted' if result.interrupted else 'done'
        self._progress.publish(String(data=json.dumps({
            'state': state, 'directory': str(result.directory), 'epochs': result.epochs,
            'step': result.steps, 'best': result.best})))
        self.get_logger().info(f'{state}: {result.directory}, best loss {result.best:.4f}')


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``train_node``; returns the exit code."""
    # Reading recordings can take an hour; from training on a signal asks for a tidy end instead.
    return run_contained('train_node', _train, args, raising=True)


def _train(context: Context, stop: StopRequest) -> None:
    node = TrainNode(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ending = threading.Event()

    def turn() -> None:
        while not ending.is_set():
            executor.spin_once(timeout_sec=0.1)

    # Training keeps the main thread, where Python delivers Ctrl-C to it.
    turning = threading.Thread(target=turn, name='executor', daemon=True)
    turning.start()
    try:
        node.train()
    finally:
        ending.set()
        turning.join(timeout=1.0)
        node.destroy_node()
