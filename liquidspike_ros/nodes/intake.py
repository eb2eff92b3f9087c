"""Sensor topics to control ticks: callbacks convert, store and notify; they never wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
import threading
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node

from ..robot import RobotSpec, SensorSpec
from ..sensing.converters import convert
from ..sensing.observation import InvalidSample, Observation
from ..sensing.schedule import TickSchedule
from ..sensing.synchronizer import Synchronizer
from .messages import message_class
from .options import SyncOptions
from .subscribers import clear_synchronizer, make_subscriber, make_synchronizer, sensor_qos


class SensorIntake:
    """Subscribes to the sensors of a robot and says when a control tick is due.

    The same converters, synchroniser and schedule serve recordings (``sensing.stream``); this
    class only calls them from subscriptions. Only the newest due tick is kept: if inference is
    slower than the sensors, ticks are skipped and counted, never queued.

    Args:
        node: Node that subscribes.
        robot: Sensors and rates.
        sync: How samples are brought together.
        now: ROS time, ns.

    Raises:
        MessageTypeError: The interface of a sensor is not installed.
    """

    def __init__(self, node: Node, robot: RobotSpec, sync: SyncOptions,
                 now: Callable[[], int]) -> None:
        self._node, self._robot, self._now = node, robot, now
        self._condition = threading.Condition()
        self._synchronizer, self._schedule = Synchronizer(robot), TickSchedule(robot)
        self._due: int | None = None
        self._newest = 0
        self.missed = 0
        self.rejected: Counter[str] = Counter()
        self.reasons: dict[str, str] = {}
        self.qos_events: dict[str, str] = {}
        self.last_arrival: int | None = None
        self._matcher: Any = None
        self._subscribers = {name: self._subscribe(name, spec)
                             for name, spec in robot.sensors.items()}
        self._connect(sync)

    def _subscribe(self, name: str, spec: SensorSpec) -> Any:
        def incompatible(event: Any) -> None:
            self.qos_events[name] = (f'{spec.topic}: a publisher offers another QoS '
                                     f'({event.last_policy_kind.name.lower()}), expected one for '
                                     'a best effort subscription')

        events = SubscriptionEventCallbacks(incompatible_qos=incompatible)
        return make_subscriber(self._node, message_class(spec.type), spec.topic,
                               qos=sensor_qos(spec.rate), events=events)

    def _connect(self, sync: SyncOptions) -> None:
        matched = [name for name in self._subscribers if name in sync.sensors]
        if sync.policy != 'approximate_time' or len(matched) < 2:
            matched = []
        for name, subscriber in self._subscribers.items():
            if name not in matched:
                subscriber.registerCallback(self.accept, name)
        if matched:
            rates = [self._robot.sensors[name].rate for name in matched]
            self._matcher = make_synchronizer(
                [self._subscribers[name] for name in matched], rates=rates, slop=sync.slop)
            self._matcher.registerCallback(self._accept_set, matched)

    def _accept_set(self, *arguments: Any) -> None:
        *messages, names = arguments
        # The trigger goes last, so that its tick sees the whole set.
        for name, message in sorted(zip(names, messages, strict=True),
                                    key=lambda pair: pair[0] == self._robot.trigger):
            self.accept(message, name)

    def accept(self, message: Any, name: str) -> None:
        """Take one message of sensor ``name``; never raises, never waits for inference."""
        spec, now = self._robot.sensors[name], self._now()
        try:
            sample = convert(message, spec.type, spec)
        except InvalidSample as error:
            self._reject(name, str(error))
            return
        except Exception as error:  # a callback that raises would end the node
            self._reject(name, f'converter failed: {error!r}')
            return
        with self._condition:
            try:
                self._synchronizer.add(name, sample, now)
            except InvalidSample as error:
                self._reject(name, str(error))
                return
            self._newest = max(self._newest, now)
            self._plan(self._schedule.on_sample(name, sample.stamp, now))

    def _reject(self, name: str, reason: str) -> None:
        self.rejected[name] += 1
        if self.reasons.get(name) != reason:
            self.reasons[name] = reason

    def _plan(self, tick: int | None) -> None:
        if tick is None:
            return
        if self._due is not None:
            self.missed += 1
        self._due = tick
        self._condition.notify_all()

    def wait(self, timeout: float) -> Observation | None:
        """What is sensed at the newest due tick, or nothing within ``timeout`` s.

        Called by the inference thread; also lets the clock make a tick when the trigger is late.
        """
        with self._condition:
            if self._due is None:
                self._plan(self._schedule.on_time(self._now()))
            if self._due is None:
                self._condition.wait(timeout)
            if self._due is None:
                return None
            # Samples may have come in between the tick and now; they belong to this snapshot.
            tick, self._due = max(self._due, self._newest), None
            return self._synchronizer.snapshot(tick)

    def wake(self) -> None:
        """Let ``wait`` return early."""
        with self._condition:
            self._condition.notify_all()

    def reset(self) -> None:
        """Forget all samples and due ticks (clock jump, activation)."""
        with self._condition:
            self._synchronizer.reset()
            self._schedule = TickSchedule(self._robot)
            self._due, self._newest, self.last_arrival = None, 0, None
        if self._matcher is not None:
            clear_synchronizer(self._matcher)

    def health(self) -> Any:
        """Counters and last reason per sensor, from the synchroniser."""
        with self._condition:
            return self._synchronizer.health()

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscriber in self._subscribers.values():
            self._node.destroy_subscription(subscriber.sub)
