"""ROS parameters from dataclasses: declared, read back and checked as a whole on every set.

The robot description and the options of a node are frozen dataclasses that validate themselves;
here each of their fields becomes one parameter (nested fields get dotted names), so a parameter
file, ``ros2 param`` and the command line all meet the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import difflib
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..control.safety import LISTENER, OUTSIDE
from ..robot import CommandSpec, RobotError, RobotSpec
from ..settings import Effect
from ..untrusted.text import Refusal
from .coercion import as_declared, coerce_overrides, expected
from .declarations import (
    build_options,
    Declaration,
    nested,
    option_declarations,
    robot_declarations,
)
from .options import PolicyOptions

OnLimits = Callable[[tuple[float, ...], tuple[float, ...]], None]


class ParameterError(Refusal):
    """A parameter cannot be used; one line that names it, what was got and expected."""


def declare(node: Node, declarations: Sequence[Declaration]) -> None:
    """Declare parameters on ``node``.

    Raises:
        ParameterError: The parameter file or command line gave a wrong type or value.
    """
    types = {item.name: Parameter.Type.from_parameter_value(item.default) for item in declarations}
    coerce_overrides(node, types)
    for item in declarations:
        try:
            node.declare_parameter(item.name, item.default, item.descriptor())
        except InvalidParameterTypeException:
            got = node._parameter_overrides[item.name].value
            raise ParameterError(
                f'{item.name}: got {shown(got)}, expected {expected(types[item.name])}') from None
        except InvalidParameterValueException as error:
            got = shown(node._parameter_overrides[item.name].value)
            raise ParameterError(
                f'{item.name}: got {got}, expected {item.setting.expected}' if item.setting.limits
                else f'{item.name}: {error}') from None


def unknown_overrides(node: Node) -> list[str]:
    """One line for each value given at start that no parameter takes, with the nearest name."""
    given: Mapping[str, Any] = node._parameter_overrides
    known = list(node._parameters)
    lines = []
    for name in sorted(given):
        if name in known or name.startswith('qos_overrides.'):
            continue
        near = difflib.get_close_matches(name, known, 1)
        hint = f'; did you mean {near[0]}?' if near else ''
        lines.append(f'{name}: unknown parameter, its value counts for nothing{hint}')
    return lines


def shown(value: Any) -> str:
    """A value that was got, as people write it."""
    text = repr(value.tolist() if hasattr(value, 'tolist') else value)
    return text if len(text) < 100 else f'{text[:99]}…'


def read(node: Node, declarations: Sequence[Declaration]) -> dict[str, Any]:
    """Current values by dotted name."""
    values = {}
    for item in declarations:
        values[item.name] = _plain(node.get_parameter(item.name).value)
    return values


def _plain(value: Any) -> Any:
    """A parameter's value with a list for every kind of array."""
    return value if value is None or isinstance(value, (str, bool, int, float)) else list(value)


def read_robot(node: Node) -> RobotSpec:
    """Declare the parameters of a robot, fixed at start, and return the robot they describe.

    Raises:
        ParameterError: They describe none.
    """
    declarations = [
        dataclasses.replace(item, setting=dataclasses.replace(item.setting, effect=Effect.START))
        for item in robot_declarations()]
    declare(node, declarations)
    return _robot_of(read(node, declarations))


def _robot_of(values: Mapping[str, Any]) -> RobotSpec:
    try:
        return RobotSpec.from_dict(nested(values))
    except RobotError as error:
        raise ParameterError(str(error)) from None


class PolicyParameters:
    """The parameters of the policy node, as checked dataclasses.

    Args:
        node: Where they are declared.
        configured: The robot that the node runs on, None while it is not configured. While it is,
            only live parameters can be set, and limits of the command within its limits.
        on_change: Called with the new options after live ones were set.
        on_limits: Called with the new (lower, upper) after limits were set while configured.

    Raises:
        ParameterError: The values given at start do not describe a robot or valid options.
    """

    def __init__(self, node: Node, configured: Callable[[], RobotSpec | None],
                 on_change: Callable[[PolicyOptions], None], on_limits: OnLimits) -> None:
        self._node, self._configured = node, configured
        self._on_change, self._on_limits = on_change, on_limits
        self._robot = robot_declarations()
        self._options = option_declarations(PolicyOptions())
        declarations = self._robot + self._options
        self._live = {item.name for item in declarations if item.effect is Effect.AT_ONCE}
        self._limits = {item.name for item in declarations
                        if item.effect is Effect.LOWERED_AT_ONCE}
        declare(node, declarations)
        self.robot()
        self.options()
        node.add_pre_set_parameters_callback(lambda given: as_declared(node, given))
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._changed)

    def robot(self, changes: Mapping[str, Any] | None = None) -> RobotSpec:
        """The robot the parameters describe, with ``changes`` applied."""
        return _robot_of(self._values(self._robot, changes))

    def options(self, changes: Mapping[str, Any] | None = None) -> PolicyOptions:
        """The options the parameters give, with ``changes`` applied."""
        try:
            return build_options(PolicyOptions(), nested(self._values(self._options, changes)))
        except Refusal as error:
            raise ParameterError(str(error)) from None

    def _values(self, declarations: Sequence[Declaration],
                changes: Mapping[str, Any] | None) -> dict[str, Any]:
        values = read(self._node, declarations)
        values.update({k: v for k, v in (changes or {}).items() if k in values})
        return values

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: _plain(p.value) for p in parameters}
        ours = {item.name for item in self._robot + self._options}
        robot = self._configured()
        late = sorted((changes.keys() & ours) - self._live - self._limits)
        try:
            if late and robot is not None:
                raise ParameterError(f'{late[0]}: in use, expected an unconfigured node: '
                                     'deactivate, then clean up')
            wanted = self.robot(changes)
            waivable = (*wanted.sensors, OUTSIDE, LISTENER)
            for name in self.options(changes).safety.arm_without:
                if name not in waivable:
                    raise ParameterError(f'safety.arm_without: got {name!r}, expected some of '
                                         f'{", ".join(waivable)}')
            if robot is not None and changes.keys() & self._limits:
                within(robot.command, wanted.command)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _changed(self, parameters: list[Parameter]) -> None:
        names = {p.name for p in parameters}
        if names & self._live:
            self._on_change(self.options())
        if names & self._limits and self._configured() is not None:
            command = self.robot().command
            self._on_limits(command.lower, command.upper)


def within(configured: CommandSpec, wanted: CommandSpec) -> None:
    """Check limits that are to count at once, while the robot may drive.

    Raises:
        ParameterError: They let through what the configured ones do not.
    """
    for i, name in enumerate(configured.names):
        for side, least, most in (('lower', configured.lower[i], configured.rest[i]),
                                  ('upper', configured.rest[i], configured.upper[i])):
            value = getattr(wanted, side)[i]
            if not least <= value <= most:
                raise ParameterError(
                    f'command.{side}[{i}] ({name}): got {value:g}, expected [{least:g}, {most:g}]: '
                    'while configured a limit can be lowered, not raised; to raise it, '
                    'deactivate, then clean up')
