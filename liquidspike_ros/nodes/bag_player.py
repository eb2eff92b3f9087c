"""Replays a recording on its topics, byte for byte, with /clock."""

from __future__ import annotations

import sys

if __name__ == '__main__':  # before torch and others are loaded
    from liquidspike_ros.nodes.start import main_bag_player

    sys.exit(main_bag_player())

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
import threading
import time

from rclpy.context import Context
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock

from ..training.bags import BagReport, scan_bag
from ..training.mcap_salvage import RawMessage
from ..training.recording_checks import check_recording
from ..training.storage import Storage
from ..untrusted.text import printable
from .clock_source import clock_message
from .messages import message_class, MessageTypeError
from .process import run_node, StartError, StopRequest


class BagPlayer(Node):
    """Publishes the raw messages of one recording at their recorded pace.

    Args:
        options: ``bag``, ``rate``, ``loop``, ``delay`` and ``clock_rate``.
        context: rclpy context.
        stop: Called when the recording has been played.
    """

    def __init__(self, options: argparse.Namespace, context: Context, stop: StopRequest) -> None:
        super().__init__('bag_player', context=context)
        self._options, self._stop = options, stop
        self._ending = threading.Event()
        self._report = _scan(options.bag)
        self._time = self.create_publisher(Clock, '/clock', 10)
        self._topics: dict[str, Publisher] = {}
        for topic, found in self._report.topics.items():
            if topic == '/clock':  # ours follows the rate and loops
                continue
            try:
                self._topics[topic] = self.create_publisher(
                    message_class(found.type), topic, QoSProfile(depth=10))
            except MessageTypeError as error:
                self.get_logger().warning(f'{printable(topic)}: not replayed, {error}')
        if not self._topics:
            raise StartError(f'{options.bag}: no topic of an installed type, expected at least one')
        self._thread = threading.Thread(target=self._play, name='bag', daemon=True)
        self._thread.start()

    def _play(self) -> None:
        self._ending.wait(self._options.delay)
        turn = 0
        while not self._ending.is_set() and (turn == 0 or self._options.loop):
            turn += 1
            count = self._play_once()
            self.get_logger().info(f'{self._options.bag}: played {count} messages (turn {turn})')
        self._stop()

    def _messages(self) -> Iterator[RawMessage]:
        storage = Storage(Path(self._options.bag))
        return storage.remains() if self._report.damaged else storage.intact()

    def _play_once(self) -> int:
        rate, tick = self._options.rate, round(1e9 / self._options.clock_rate)
        begin_wall, begin_bag, next_clock, count = time.monotonic(), None, 0, 0
        for message in self._messages():
            if begin_bag is None:
                begin_bag = next_clock = message.time
            while next_clock <= message.time:
                if self._sleep_until(begin_wall + (next_clock - begin_bag) / 1e9 / rate):
                    return count
                self._time.publish(clock_message(next_clock))
                next_clock += tick
            if self._sleep_until(begin_wall + (message.time - begin_bag) / 1e9 / rate):
                return count
            publisher = self._topics.get(message.topic)
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


def _scan(path: str) -> BagReport:
    check_recording(path)
    report = scan_bag(path)
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
        prog='bag_player', description='Replay a rosbag2 recording (folder, .mcap or .db3). '
        'Remap topics with --ros-args -r /scan:=/robot/scan.')
    parser.add_argument('bag', help='rosbag2 folder, .mcap or .db3 file')
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
    return run_node('bag_player', lambda context, stop: BagPlayer(options, context, stop), args)
