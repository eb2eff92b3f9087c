"""Sensor topics to control ticks: callbacks convert, store and notify; they never wait."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node

from ..robot import RobotSpec, SensorSpec
from ..sensing.observation import InvalidSample, Observation
from ..sensing.stream import Intake
from ..sensing.synchronizer import SensorHealth
from .clock_guard import ClockGuard
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
        self._intake = Intake(robot)
        self._due: int | None = None
        self._guard = ClockGuard(
            lambda: bool(getattr(node.get_clock(), 'ros_time_is_active', False)))
        self.listeners: list[Callable[[str, float, bool], None]] = []
        self.missed = 0
        self.qos_events: dict[str, str] = {}
        self._matcher: Any = None
        classes = {name: message_class(spec.type) for name, spec in robot.sensors.items()}
        self._subscribers = {name: self._subscribe(name, spec, classes[name])
                             for name, spec in robot.sensors.items()}
        self._connect(sync)

    def _subscribe(self, name: str, spec: SensorSpec, kind: type) -> Any:
        def incompatible(event: Any) -> None:
            self.qos_events[name] = (f'{spec.topic}: a publisher offers another QoS '
                                     f'({event.last_policy_kind.name.lower()}), expected one for '
                                     'a best effort subscription')

        events = SubscriptionEventCallbacks(incompatible_qos=incompatible)
        return make_subscriber(self._node, kind, spec.topic,
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
        with self._condition:
            now = self._now()  # under the lock: arrival times must rise in the order of the calls
            if self._guard.jumped(now):
                self._intake.jump()
                self._due = None
            self._plan(*self._intake.time(now))
            try:
                tick = self._intake.message(now, name, self._robot.sensors[name].type, message)
            except InvalidSample:  # counted by the synchroniser, shown by the diagnostics
                return
            except Exception as error:  # a callback that raises would end the whole node
                self._intake.synchronizer.reject(name, f'converter failed: {error!r}', now)
                return
            if tick is not None:
                self._plan(tick)
            newest = self._intake.newest
        for listener in self.listeners:
            listener(name, newest.age(now), newest.frozen)

    def motion(self, moving: bool) -> None:
        """The robot is told to move, or to stand, from now on."""
        with self._condition:
            self._intake.motion(self._now(), moving)

    def _plan(self, *ticks: int) -> None:
        for tick in ticks:
            if self._due is not None:
                self.missed += 1
            self._due = tick
        if ticks:
            self._condition.notify_all()

    def wait(self, timeout: float) -> Observation | None:
        """What was sensed up to the newest due tick, or nothing within ``timeout`` s.

        Called by the inference thread; also lets the clock make a tick when the trigger is late.
        """
        with self._condition:
            self._plan(*self._intake.time(self._now()))
            if self._due is None:
                self._condition.wait(timeout)
            if self._due is None:
                return None
            tick, self._due = self._due, None
        return self._intake.synchronizer.snapshot(tick)

    def wake(self) -> None:
        """Let ``wait`` return early."""
        with self._condition:
            self._condition.notify_all()

    def reset(self) -> None:
        """Forget all samples and due ticks (clock jump, activation)."""
        with self._condition:
            self._intake.reset()
            self._due = None
        if self._matcher is not None:
            clear_synchronizer(self._matcher)

    def clock_jumped(self) -> None:
        """Forget what was made on the old time line.

        The next observation is marked, for the policy and the gate to start anew.
        """
        with self._condition:
            self._intake.jump()
            self._due = None
        if self._matcher is not None:
            clear_synchronizer(self._matcher)

    def health(self) -> dict[str, SensorHealth]:
        """Counters and last reason per sensor."""
        return self._intake.synchronizer.health()

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscriber in self._subscribers.values():
            self._node.destroy_subscription(subscriber.sub)
