"""Everything a configured policy node consists of; made on configure, closed on cleanup."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from ..control.policy_runtime import TickResult
from ..control.safety import Decision, SafetyGate
from ..robot import RobotSpec
from ..sensing.observation import Observation
from .command_output import CommandOutput
from .graph import Finding, inspect_input, other_publishers
from .inference import InferenceThread
from .intake import SensorIntake
from .introspection import introspection_json
from .loading import LoadedPolicy
from .messages import COMMAND_TYPES
from .options import PolicyOptions
from .subscribers import sensor_qos
from .tick_statistics import TickStatistics

_FAREWELL_TIMEOUT = Duration(seconds=0.2)


class PolicySession:
    """Intake, policy, gate and publishers of one configured robot.

    Args:
        node: Lifecycle node that owns publishers and subscriptions.
        robot: The robot.
        options: Node options.
        policy: Warm policy.
        on_change: Called with (old state, decision) when the gate's state changes.
        on_error: Called with one line when inference failed.
    """

    def __init__(self, node: Any, robot: RobotSpec, options: PolicyOptions, policy: LoadedPolicy,
                 on_change: Callable[[str, Decision], None], on_error: Callable[[str], None]
                 ) -> None:
        self._node: Node = node
        self._on_change, self._on_error = on_change, on_error
        self.robot, self.options, self.policy = robot, options, policy
        self.gate = SafetyGate(robot, options.safety.config())
        self.statistics = TickStatistics()
        self.intake = SensorIntake(node, robot, options.sync, self._now)
        # Not a lifecycle publisher: those fall silent before the last zeros have left.
        self._commands: Publisher = self._node.create_publisher(
            COMMAND_TYPES[robot.command.kind], robot.command.topic, QoSProfile(depth=1))
        self._insight: Publisher = self._node.create_publisher(String, '~/introspection', 10)
        self._output: CommandOutput | None = None
        self._inference: InferenceThread | None = None

    def _now(self) -> int:
        return self._node.get_clock().now().nanoseconds

    @property
    def active(self) -> bool:
        """Whether it is thinking."""
        return self._inference is not None

    @property
    def decision(self) -> Decision:
        """What the gate said last."""
        return self._output.decision if self._output else self.gate.watchdog(time.monotonic())

    def activate(self) -> None:
        """Begin to think, unarmed and from rest."""
        self.gate.reset()
        self.intake.reset()
        self.policy.runtime.reset()
        output = CommandOutput(self.gate, self.robot.command, self._commands.publish,
                               lambda: self._node.get_clock().now().to_msg(), self._on_change)
        self._output = output
        self._inference = InferenceThread(
            self.policy.runtime, self.intake, output, now=self._now,
            trigger=self._latency_sensor(), statistics=self.statistics,
            report=lambda: self._report if self.options.introspection else None,
            on_error=self._on_error)
        self.intake.listeners[:] = [output.sample]
        output.start()
        self._inference.start()

    def _latency_sensor(self) -> str:
        """The sensor whose stamp latency counts from: the trigger, else the first."""
        trigger = self.robot.trigger
        return trigger if trigger in self.robot.sensors else next(iter(self.robot.sensors))

    def deactivate(self) -> None:
        """Stop thinking; the robot is brought to a stand and zeros are sent for 200 ms."""
        self.intake.listeners.clear()
        if self._output is not None:
            self._output.close()  # first of all the robot stops
        if self._inference is not None:
            self._inference.close()
        if self._output is not None:
            self._commands.wait_for_all_acked(_FAREWELL_TIMEOUT)
        self._output = self._inference = None

    def arm(self) -> str:
        """Let commands leave; returns why not, or ''."""
        if self._output is None:
            return 'node: inactive, expected active'
        blocked = self.blocked()
        if blocked:
            return blocked
        others = other_publishers(self._node, self.robot.command.topic)
        refusal = self._output.arm(len(others))
        return f'{refusal} ({", ".join(others)})' if refusal and others else refusal

    def disarm(self) -> None:
        """Stop; nothing leaves any more."""
        if self._output is not None:
            self._output.disarm()

    def reset_state(self) -> None:
        """Start the recurrent state from rest at the next tick."""
        if self._inference is not None:
            self._inference.request_reset()

    def inspect(self) -> dict[str, Finding]:
        """What the graph shows of each sensor's topic."""
        return {name: inspect_input(self._node, spec.topic, spec.type, sensor_qos(spec.rate))
                for name, spec in self.robot.sensors.items()}

    def blocked(self) -> str:
        """The first sensor topic that has publishers, but none to be used, and why; or ''."""
        for finding in self.inspect().values():
            if finding.blocked:
                return '; '.join(finding.problems)
        return ''

    def _report(self, observation: Observation, result: TickResult, decision: Decision,
                latency: float | None) -> None:
        self._insight.publish(String(data=introspection_json(
            self.robot, observation, result, decision, latency)))

    def close(self) -> None:
        """Deactivate and destroy all publishers and subscriptions."""
        self.deactivate()
        self.intake.close()
        self._node.destroy_publisher(self._commands)
        self._node.destroy_publisher(self._insight)
