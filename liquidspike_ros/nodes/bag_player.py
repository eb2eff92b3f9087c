"""Replays a recording on its topics, byte for byte, with /clock."""

from __future__ import annotations

import sys

if __name__ == '__main__':  # before torch and others are loaded
    from liquidspike_ros.nodes.start import main_bag_player

    sys.exit(main_bag_player())

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import threading
import time

from rclpy.context import Context
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock

from ..robot import load_robot
from ..training.bags import BagReport, scan_bag, TopicReport
from ..training.storage import Storage
from ..training.topic_choice import absolute
from ..untrusted.text import one_line, printable, reason
from .bag_playback import CLOCK, is_command, Pacing, recorded_profile, selected
from .clock_source import clock_message
from .messages import message_class, MessageTypeError
from .process import run_node, StartError, StopRequest


class BagPlayer(Node):
    """Publishes the raw messages of one recording at their recorded pace.

    Commands are held back unless asked for: a robot that listens would drive off.

    Args:
        options: See ``--help``.
        context: rclpy context.
        stop: Called when the recording has been played.
        ask: Asked on a terminal whether commands are to be sent; None where nobody can answer.

    Raises:
        StartError: The recording is not usable, or nothing of it can be replayed.
    """

    def __init__(self, options: argparse.Namespace, context: Context, stop: StopRequest,
                 ask: Callable[[str], str] | None = None) -> None:
        super().__init__('bag_player', context=context)
        self._options, self._stop = options, stop
        self._ending = threading.Event()
        self._storage = Storage(Path(options.bag))
        self._report = _scan(options.bag, self._storage)
        for problem in self._report.problems:
            self.get_logger().warning(f'{printable(options.bag)}: {problem}')
        self._time = self.create_publisher(Clock, CLOCK, 10)
        self._topics: dict[tuple[str, str], Publisher] = {}
        for topic, found in self._chosen(ask).items():
            for kind in found.types:
                self._offer(topic, kind)
        if not self._topics:
            raise StartError(f'{printable(options.bag)}: no topic to replay, expected at least '
                             'one of an installed type (see --topics, --exclude, --commands)')
        self._thread = threading.Thread(target=self._play, name='bag', daemon=True)
        self._thread.start()

    def _chosen(self, ask: Callable[[str], str] | None) -> dict[str, TopicReport]:
        options = self._options
        named = [absolute(load_robot(options.robot).command.topic)] if options.robot else []
        chosen = selected(self._report.topics, options.topics, options.exclude)
        commands = [topic for topic, found in chosen.items() if is_command(topic, found, named)]
        if not commands or options.commands:
            return chosen
        names = ', '.join(one_line(topic, 100) for topic in commands)
        if ask and ask(f'{names} may move a robot that listens; replay too? [y/N] ').strip(
                ).lower() in ('y', 'yes'):
            return chosen
        self.get_logger().warning(f'{names}: commands are not replayed (--commands sends them)')
        return {topic: found for topic, found in chosen.items() if topic not in commands}

    def _offer(self, topic: str, kind: str) -> None:
        try:
            profile = recorded_profile(self._report.qos.get(topic, ()))
            self._topics[topic, kind] = self.create_publisher(message_class(kind), topic, profile)
        except (MessageTypeError, InvalidTopicNameException, ValueError) as error:
            self.get_logger().warning(f'{one_line(topic, 100)}: not replayed, {reason(error)}')

    def _play(self) -> None:
        self._ending.wait(self._options.delay)
        turn = 0
        while not self._ending.is_set() and (turn == 0 or self._options.loop):
            turn += 1
            count = self._play_once()
            self.get_logger().info(
                f'{printable(self._options.bag)}: played {count} messages (turn {turn})')
        self._stop()

    def _play_once(self) -> int:
        tick = round(1e9 / self._options.clock_rate)
        pacing = Pacing(self._options.rate, self._options.longest_gap)
        shift = self._report.shift
        follow = shift.follower() if shift else None
        begin, next_clock, count = time.monotonic(), None, 0
        for message in self._storage.messages():
            now = follow(message.time) if follow and message.time > 0 else message.time
            if gap := pacing.gap(now):
                self.get_logger().info(f'skipping {gap:.1f} s without any message')
            if next_clock is None or gap or now < next_clock - tick:
                next_clock = now
            while next_clock <= now:
                if self._sleep_until(begin + pacing.due(next_clock)):
                    return count
                self._time.publish(clock_message(max(next_clock, 0)))
                next_clock += tick
            if self._sleep_until(begin + pacing.due(now)):
                return count
            publisher = self._topics.get((message.topic, message.type))
            if publisher is not None:
                publisher.publish(bytes(message.data))
                count += 1
        return count

    def _sleep_until(self, deadline: float) -> bool:
        """Sleep to a steady-clock time; True if the node is closing."""
        wait = deadline - time.monotonic()
        return self._ending.wait(wait) if wait > 0 else self._ending.is_set()

    def close(self) -> None:
        """Stop playing."""
        self._ending.set()
        self._thread.join(timeout=2.0)
        self._storage.close()


def _scan(path: str, storage: Storage) -> BagReport:
    report = scan_bag(path, storage=storage)
    if not report.usable:
        raise StartError(report.line)
    return report


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e4:
        raise argparse.ArgumentTypeError(f'got {text}, expected a number above 0')
    return value


def _parse(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='bag_player', description='Replay a recording (rosbag2 folder, .mcap, .db3, or ROS 1 '
        '.bag) with /clock, each topic with the QoS it was recorded with. Commands are held back '
        'unless asked for. Remap topics with --ros-args -r /scan:=/robot/scan.')
    parser.add_argument('bag', help='rosbag2 folder, .mcap, .db3 or .bag file')
    parser.add_argument('--topics', metavar='NAME', nargs='+', default=[],
                        help='replay these only; * stands for anything')
    parser.add_argument('--exclude', metavar='NAME', nargs='+', default=[],
                        help='do not replay these; * stands for anything')
    parser.add_argument('--commands', action='store_true',
                        help='replay commands too: whatever listens will move')
    parser.add_argument('--robot', metavar='FILE', type=Path,
                        help='robot file, whose command topic is held back whatever its type')
    parser.add_argument('--longest-gap', type=_positive, default=5.0, metavar='S',
                        help='longer gaps without any message are skipped (default: 5 s)')
    parser.add_argument('--rate', type=_positive, default=1.0, help='speed (1.0: as recorded)')
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--delay', type=float, default=1.0,
                        help='wait before the first message, s, so that subscribers are found')
    parser.add_argument('--clock-rate', type=_positive, default=100.0, help='/clock messages, Hz')
    return parser.parse_args(args)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``bag_player``; returns the exit code."""
    args = list(sys.argv if args is None else args)
    options = _parse(remove_ros_args(args)[1:])
    ask = input if sys.stdin is not None and sys.stdin.isatty() else None
    return run_node('bag_player', lambda context, stop: BagPlayer(options, context, stop, ask),
                    args)
