"""Everything a configured policy node consists of; made on configure, closed on cleanup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from ..control.policy_runtime import TickResult
from ..control.safety import Decision, SafetyGate
from ..robot import COMMAND_INTERFACES, RobotSpec
from ..sensing.observation import Observation
from .arming import arming_refusal, ClockFacts, Missing, why_not_alive
from .clock_source import now_ns
from .command_output import CommandOutput
from .inference import InferenceThread
from .intake import SensorIntake
from .introspection import introspection_json
from .loading import LoadedPolicy
from .messages import message_class
from .options import PolicyOptions
from .tick_statistics import TickStatistics
from .topic_graph import Finding, inspect_input, inspect_output, other_publishers

COMMAND_QOS = QoSProfile(depth=1)
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
        on_fatal: Called with one line when commands are out of control: the process is to end.
    """

    def __init__(self, node: Any, robot: RobotSpec, options: PolicyOptions, policy: LoadedPolicy,
                 on_change: Callable[[str, Decision], None], on_error: Callable[[str], None],
                 on_fatal: Callable[[str], None]) -> None:
        self._node: Node = node
        self._on_change, self._on_error, self._on_fatal = on_change, on_error, on_fatal
        self.robot, self._options, self.policy = robot, options, policy
        self.gate = SafetyGate(robot, options.safety)
        self.statistics = TickStatistics()
        # Not a lifecycle publisher: those fall silent before the last zeros have left.
        self._commands: Publisher = self._node.create_publisher(
            message_class(COMMAND_INTERFACES[robot.command.kind]), robot.command.topic, COMMAND_QOS)
        self._insight: Publisher = self._node.create_publisher(String, '~/introspection', 10)
        # Last: it has timers, which nobody would end if anything failed behind it.
        self.intake = SensorIntake(node, robot, options.sync, self._now)
        self._output: CommandOutput | None = None
        self._inference: InferenceThread | None = None

    def _now(self) -> int:
        return now_ns(self._node.get_clock())

    @property
    def options(self) -> PolicyOptions:
        """Node options; live ones take effect when they are set."""
        return self._options

    @options.setter
    def options(self, options: PolicyOptions) -> None:
        self.gate.waive(options.safety.arm_without)
        self._options = options

    def lower_limits(self, lower: Sequence[float], upper: Sequence[float]) -> None:
        """Narrow the limits of the command, ``[A]`` each, physical units; also while it drives.

        Raises:
            SafetyError: They reach beyond those of the robot.
        """
        self.gate.lower_limits(lower, upper)

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
                               lambda: self._node.get_clock().now().to_msg(), self._on_change,
                               on_motion=self.intake.motion, on_fatal=self._on_fatal)
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
        """Stop the robot, send zeros for 200 ms, and end inference."""
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
        if reason := arming_refusal(self.missing(), self.listeners(), self.gate.waived,
                                    lambda name: self.robot.sensors[name].sees_outside):
            return reason
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
        return {name: inspect_input(self._node, spec.topic, spec.type, self.intake.requested(name))
                for name, spec in self.robot.sensors.items()}

    def missing(self, findings: Mapping[str, Finding] | None = None) -> dict[str, Missing]:
        """Of each enabled sensor, why it is not alive; ``findings`` as ``inspect`` gives them."""
        now, clock, health = time.monotonic(), ClockFacts.of(self._node), self.intake.health()
        return {name: why_not_alive(self.robot.sensors[name], finding, health[name],
                                    self.gate.missing(now, name), clock)
                for name, finding in (findings or self.inspect()).items()}

    def listeners(self) -> Finding:
        """Who takes the commands."""
        command = self.robot.command
        return inspect_output(self._node, command.topic, COMMAND_INTERFACES[command.kind],
                              COMMAND_QOS)

    def check_watch(self) -> None:
        """Stop the robot where nobody watches over it any more; to be called now and then."""
        if self._output is not None:
            self._output.check_watch()

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
