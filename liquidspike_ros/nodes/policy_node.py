"""The managed node that drives a robot with a trained policy."""

from __future__ import annotations

import sys

if __name__ == '__main__':  # before torch and others are loaded
    from liquidspike_ros.nodes.start import main_policy_node

    sys.exit(main_policy_node())

from collections.abc import Callable, Mapping, Sequence
import gc
import os
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.clock_type import ClockType
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger
import torch

from ..control.safety import ACTIVE, Decision
from ..malloc import keep_freed_memory
from .arming import Missing
from .command_output import same_but_for_numbers
from .loading import load_policy
from .options import PolicyOptions
from .parameters import PolicyParameters, unknown_overrides
from .policy_help import HELP
from .policy_report import policy_diagnostics, refusal, report_refusal, SensorRates
from .policy_session import PolicySession
from .process import one_line, run_node, StartError, StopRequest

__all__ = ['HELP', 'PolicyNode', 'main']

DISCOVERY = 0.5
"""How long publishers have to be found before configure judges their types, s."""
SETTLING = 10.0
"""How long after its start a node that starts by itself gives up over a wrong type, s."""
FORCED_END = 3.0
"""Time to end in an orderly way once commands are out of control, s."""
LOOK_PERIOD = 0.2
REPORT_PERIOD = 1.0

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PolicyNode(LifecycleNode):
    """Sensors in, policy, safety gate, commands out.

    configure loads and warms the model; activate starts inference, unarmed; ``~/arm`` lets commands
    leave; deactivate stops the robot.

    Args:
        context: rclpy context.
        stop: Called when the node turns out to be wired to the wrong topics.

    Raises:
        ParameterError: A parameter given at start is wrong.
        StartError: ``auto_start`` is on and the node cannot be configured.
    """

    def __init__(self, context: Context, stop: StopRequest) -> None:
        super().__init__('policy', context=context)
        self._born, self._stop = time.monotonic(), stop
        self._session: PolicySession | None = None
        self._held = False  # disarmed by hand: auto_arm keeps its hands off
        self._refusal = ''
        self._failure, self._starting = '', False
        self._missing: dict[str, str] = {}  # by sensor, as last logged
        try:
            self._policy_parameters = PolicyParameters(
                self, lambda: self._session.robot if self._session else None, self._on_options,
                self._on_limits)
        except ValueError as error:
            report_refusal(self, str(error))
            raise
        for line in unknown_overrides(self):
            self.get_logger().warning(line)
        options = self._policy_parameters.options()
        self.executor_kind = options.executor
        torch.set_num_threads(options.threads)
        self.create_service(Trigger, '~/reset_state', self._on_reset_state)
        self.create_service(SetBool, '~/arm', self._on_arm)
        self._reports = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._rates = SensorRates()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_kept = [
            self.create_timer(REPORT_PERIOD, self._on_report, clock=steady),
            self.create_timer(LOOK_PERIOD, self._on_look, clock=steady),
        ]
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=Duration(seconds=1), min_backward=Duration(nanoseconds=-1)),
            post_callback=self._on_clock_jump)
        self._settling = options.auto_start
        if options.auto_start:
            self._start()

    def _start(self) -> None:
        """Configure and activate, as a lifecycle manager would."""
        self._starting = True
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != SUCCESS:
                failure = self._failure or 'lifecycle transition failed'
                self.close()
                report_refusal(self, failure)
                self.destroy_node()
                raise StartError(failure)
        self._starting = False

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load, check and warm the model, subscribe; fails with one line that says why."""
        return self._attempt('configure', self._configure)

    def _attempt(self, what: str, work: Callable[[], object]) -> TransitionCallbackReturn:
        # rclpy drops what a transition raises without a word, so nothing may pass.
        publishers, subscriptions = set(self.publishers), set(self.subscriptions)
        try:
            work()
        except Exception as error:
            self._failure = f'{what}: {one_line(error)}' if what != 'configure' else one_line(error)
            if self._session is None:  # what was made before it failed is left to nobody
                for publisher in set(self.publishers) - publishers:
                    self.destroy_publisher(publisher)
                for subscription in set(self.subscriptions) - subscriptions:
                    self.destroy_subscription(subscription)
            if not self._starting:  # else the process says it, once
                self.get_logger().error(f'{what}: {one_line(error)}')
            self._on_report()
            return FAILURE
        self._failure = ''
        return SUCCESS

    def _configure(self) -> None:
        robot, options = self._policy_parameters.robot(), self._policy_parameters.options()
        began = time.monotonic()
        policy = load_policy(options.model, robot, options.device, runtime=options.runtime,
                             precision=options.precision,
                             allow_unknown_robot=options.allow_unknown_robot)
        for warning in policy.warnings:
            self.get_logger().warning(warning)
        session = PolicySession(self, robot, options, policy, self._on_change, self._on_error,
                                self._on_fatal)
        native = policy.runtime.native_reason
        self.get_logger().info(
            f'{options.model}: loaded and warm on {policy.device} in '
            f'{time.monotonic() - began:.1f} s, {policy.runtime.mode} in '
            f'{policy.runtime.precision}, ticks in {f"torch ({native})" if native else "C"}, '
            f'sensors {", ".join(robot.sensors)}')
        time.sleep(max(0.0, self._born + DISCOVERY - time.monotonic()))
        blocked = session.blocked()
        if blocked:
            session.close()
            raise StartError(blocked)
        self._session = session

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start inference, unarmed."""
        assert self._session is not None
        session = self._session
        self._held, self._refusal = False, ''
        # A full collection walks through all of torch for some 100 ms with the GIL in hand, which
        # is a missed tick or a STOP; what is loaded by now is left out from here on.
        gc.collect()
        gc.freeze()
        if self._attempt('activate', session.activate) != SUCCESS:
            session.deactivate()
            return FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the robot; zero is the last command."""
        assert self._session is not None
        self._session.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model and all topics back."""
        self._drop()
        gc.unfreeze()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivate and cleanup."""
        self._drop()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, with the robot stopped."""
        self._drop()
        return SUCCESS

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def close(self) -> None:
        """Stop the robot and release everything, before the process ends."""
        self._drop()

    # Services and timers

    def _on_reset_state(self, request: Trigger.Request, response: Trigger.Response
                        ) -> Trigger.Response:
        if self._session is None or not self._session.active:
            response.message = 'node: inactive, expected active'
            return response
        self._session.reset_state()
        response.success, response.message = True, 'from rest at the next tick'
        return response

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._session is None or not self._session.active:
            response.message = 'node: inactive, expected active'
        elif request.data:
            self._held = False
            response.message = self._session.arm()
        else:
            self._held = True
            self._session.disarm()
        response.success = not response.message
        response.message = response.message or ('armed' if request.data else 'disarmed')
        if not response.success:
            self.get_logger().warning(f'arming refused: {response.message}')
        return response

    def _on_look(self) -> None:
        """A few times a second: does the watchdog live, may it be armed."""
        session = self._session
        if session is None or not session.active:
            return
        session.check_watch()
        if session.gate.armed:
            return
        if self._settling:
            self._check_wiring(session)
        if session.options.auto_arm and not self._held:
            self._auto_arm(session)

    def _check_wiring(self, session: PolicySession) -> None:
        # Discovery takes a moment: what configure could not see yet still ends the process, with
        # one line. Later, or under a lifecycle manager, it is an ERROR on /diagnostics.
        self._settling = time.monotonic() - self._born < SETTLING
        blocked = session.blocked()
        if blocked:
            self._stop(blocked)

    def _auto_arm(self, session: PolicySession) -> None:
        refusal = session.arm()
        if refusal and refusal != self._refusal:
            self.get_logger().info(f'not armed yet: {refusal}', throttle_duration_sec=1.0)
        self._refusal = refusal

    def _on_report(self) -> None:
        session = self._session
        if session is None:
            self._reports.publish(refusal(self, self._failure))
            return
        findings = session.inspect()
        missing = session.missing(findings) if session.active else {}
        self._reports.publish(policy_diagnostics(
            self, session, self._rates, findings, missing, self._failure))
        self._tell_missing(missing)

    def _tell_missing(self, missing: Mapping[str, Missing]) -> None:
        """Log which sensors went and came back, in the words of diagnostics and arming."""
        for name, reason in ((name, str(why)) for name, why in missing.items()):
            before = self._missing.get(name, '')
            if reason and not same_but_for_numbers(reason, before):
                self.get_logger().warning(f'{name}: {reason}')
            elif before and not reason:
                self.get_logger().info(f'{name}: alive again')
            self._missing[name] = reason

    def _on_options(self, options: PolicyOptions) -> None:
        if self._session is not None:
            self._session.options = options

    def _on_limits(self, lower: tuple[float, ...], upper: tuple[float, ...]) -> None:
        if self._session is not None:
            self._session.lower_limits(lower, upper)
            self.get_logger().info(f'command limits: {list(lower)} to {list(upper)} from now on')

    def _on_clock_jump(self, jump: TimeJump) -> None:
        if self._session is not None:
            self.get_logger().warning(
                f'clock jumped by {jump.delta.nanoseconds / 1e9:+.3f} s: buffers and state cleared')
            self._session.intake.clock_jumped()

    # From the threads of the session

    def _on_change(self, old: str, decision: Decision) -> None:
        text = f'{old} -> {decision.state}' if old != decision.state else decision.state
        line = f'{text}: {decision.reason}' if decision.reason else text
        if decision.state in (ACTIVE,) or old == decision.state:
            self.get_logger().info(line)
        else:
            self.get_logger().warning(line)

    def _on_fatal(self, text: str) -> None:
        """Commands are out of control: end the process, by force where it does not end."""
        self._stop(text)
        killer = threading.Timer(FORCED_END, os._exit, (1,))
        killer.daemon = True
        killer.start()

    def _on_error(self, text: str) -> None:
        self.get_logger().error(f'inference failed: {text}', throttle_duration_sec=1.0)


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of ``policy_node``; returns the exit code."""
    keep_freed_memory()  # pictures come and go
    return run_node('policy_node', PolicyNode, args, executor=_executor_kind)


def _executor_kind(node: Any) -> str:
    return node.executor_kind
