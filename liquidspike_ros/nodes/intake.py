"""Sensor topics to control ticks: callbacks convert, store and notify; they never wait."""

from __future__ import annotations

from collections.abc import Callable
import inspect
import threading
from typing import Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ..control.sensor_watch import SHORTEST_PERIOD
from ..robot import RobotSpec
from ..sensing.buffers import BufferedSample
from ..sensing.cdr import READERS
from ..sensing.observation import InvalidSample, Observation
from ..sensing.stream import Intake
from ..sensing.synchronizer import SensorHealth
from .clock_guard import ClockGuard
from .messages import message_class, received_message
from .offered_qos import offers_of, requested_qos
from .options import SyncOptions
from .subscribers import clear_synchronizer, make_synchronizer, Subscriber

ADAPT_PERIOD = 0.2
"""Time between two looks at what the publishers offer, s."""
POLLED_RATE = 200.0
"""Sensors that are faster are read before each message of another and every ``POLL_PERIOD``, Hz."""
POLL_PERIOD = SHORTEST_PERIOD
"""Longest time a message of a polled sensor waits, s: more would count as late."""


def _plain(callback: Callable[[], None]) -> Callable[[], None]:
    """The same as a callback of which the executor need not work out each time what it takes."""
    def call() -> None:
        callback()

    call.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
    return call


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
        self._specs = robot.sensors
        self._intake = Intake(robot)
        self._due: int | None = None
        self._guard = ClockGuard(
            lambda: bool(getattr(node.get_clock(), 'ros_time_is_active', False)))
        self.listeners: list[Callable[[str, float, bool], None]] = []
        self.missed = 0
        self._matcher: Any = None
        self._waiting: list[tuple[str, Any]] = []  # of polled sensors, in order of arrival
        self._classes = {name: message_class(spec.type) for name, spec in self._specs.items()}
        matched = [name for name in self._specs if name in sync.sensors]
        if sync.policy != 'approximate_time' or len(matched) < 2:
            matched = []
        # Serialised where they are read as such; what is matched into sets needs its stamp.
        self._subscribers = {
            name: Subscriber(node, self._classes[name], spec, polled=self._is_polled(name, matched),
                             raw=spec.type in READERS and name not in matched)
            for name, spec in self._specs.items()}
        self._connect(matched, sync)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers = [node.create_timer(ADAPT_PERIOD, self._adapt, clock=steady)]
        self._polled = [each for each in self._subscribers.values() if each.polled]
        if self._polled:
            self._timers.append(node.create_timer(POLL_PERIOD, _plain(self._poll), clock=steady))

    def _is_polled(self, name: str, matched: list[str]) -> bool:
        # Ticks of the clock do not wait for a poll: they would miss what came since the last one.
        return (self._specs[name].rate > POLLED_RATE and name not in matched
                and self._robot.trigger not in ('timer', name))

    def _adapt(self) -> None:
        for subscriber in self._subscribers.values():
            subscriber.adapt()

    def _connect(self, matched: list[str], sync: SyncOptions) -> None:
        for name, subscriber in self._subscribers.items():
            if name not in matched:
                subscriber.registerCallback(
                    self._keep if subscriber.polled else self.accept, name)
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
        """Take one message of sensor ``name``; never raises, never waits for inference.

        Args:
            message: A message, or its serialised form.
            name: Of the sensor.
        """
        with self._condition:
            now = self._begin()
            fresh = [*self._drain(now), *self._take(message, name, now)]
        self._tell(fresh, now)

    def _poll(self) -> None:
        with self._condition:
            now = self._begin()
            fresh = self._drain(now)
        self._tell(fresh, now)

    def _begin(self) -> int:
        """The time of an arrival; what the clock owes by then is planned."""
        now = self._now()  # under the lock: arrival times must rise in the order of the calls
        if self._guard.jumped(now):
            self._intake.jump()
            self._due = None
        self._plan(*self._intake.time(now))
        return now

    def _keep(self, message: Any, name: str) -> None:
        self._waiting.append((name, message))

    def _drain(self, now: int) -> list[tuple[str, BufferedSample]]:
        """Take what waits for a poll; the newest entry of each of these sensors."""
        for subscriber in self._polled:
            subscriber.drain()
        waiting, self._waiting = self._waiting, []
        fresh: dict[str, BufferedSample] = {}
        for name, message in waiting:
            fresh.update(self._take(message, name, now))
        return list(fresh.items())

    def _take(self, message: Any, name: str, now: int) -> list[tuple[str, BufferedSample]]:
        """Convert and store one message; the entry with its sensor's name, if it is any good."""
        try:
            if isinstance(message, bytes):
                message = self._read(message, name, now)
            tick = self._intake.message(now, name, self._specs[name].type, message)
        except InvalidSample:  # counted by the synchroniser, shown by the diagnostics
            return []
        except Exception as error:  # a callback that raises would end the whole node
            self._intake.synchronizer.reject(name, f'converter failed: {error!r}', now)
            return []
        if tick is not None:
            self._plan(tick)
        return [(name, self._intake.newest)]

    def _tell(self, fresh: list[tuple[str, BufferedSample]], now: int) -> None:
        for name, entry in fresh:
            for listener in self.listeners:
                listener(name, entry.age(now), entry.frozen)

    def _read(self, data: bytes, name: str, now: int) -> Any:
        try:
            return received_message(self._specs[name].type, self._classes[name], data)
        except InvalidSample as error:
            self._intake.synchronizer.reject(name, str(error), now)
            raise

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

    def requested(self, name: str) -> QoSProfile:
        """What the publishers of sensor ``name`` are asked for, as they are now."""
        spec = self._specs[name]
        return requested_qos(spec, offers_of(self._node, spec.topic, spec.type))

    def qos(self, name: str) -> QoSProfile:
        """The QoS with which sensor ``name`` is subscribed to."""
        return self._subscribers[name].qos

    def health(self) -> dict[str, SensorHealth]:
        """Counters and last reason per sensor."""
        return self._intake.synchronizer.health()

    def close(self) -> None:
        """Destroy the subscriptions."""
        for timer in self._timers:
            self._node.destroy_timer(timer)
        for subscriber in self._subscribers.values():
            subscriber.close()
