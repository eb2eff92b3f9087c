"""ROS parameters from dataclasses: declared, read back and checked as a whole on every set.

The robot description and the options of a node are frozen dataclasses that validate themselves;
here each of their fields becomes one parameter (nested fields get dotted names), so a parameter
file, ``ros2 param`` and the command line all meet the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..robot import RobotError, RobotSpec
from ..untrusted.text import Refusal
from .options import OptionError, PolicyOptions
from .robot_notes import note_of


class ParameterError(Refusal):
    """A parameter cannot be used; one line that names it, what was got and expected."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One parameter: dotted name, default and how it is described."""

    name: str
    default: Any
    description: str
    limits: tuple[float, float] | None = None
    read_only: bool = False
    live: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """The descriptor ``ros2 param describe`` shows."""
        result = ParameterDescriptor(
            name=self.name, description=self.description, read_only=self.read_only)
        if not (self.read_only or self.live):
            result.additional_constraints = 'Takes effect at the next configure.'
        if self.limits is not None:
            low, high = self.limits
            if isinstance(self.default, float):
                result.floating_point_range = [
                    FloatingPointRange(from_value=float(low), to_value=float(high))]
            else:
                result.integer_range = [
                    IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        return result


def robot_declarations(robot: RobotSpec | None = None) -> list[Declaration]:
    """One declaration per field of a robot description."""
    result = []
    for name, default in _flatten((robot or RobotSpec()).to_dict()):
        note = note_of(name)
        result.append(Declaration(name=name, default=default, description=note.description,
                                  limits=note.limits))
    return result


def option_declarations(options: Any, prefix: str = '') -> list[Declaration]:
    """One declaration per field of an options dataclass built with ``option``."""
    result = []
    for item in dataclasses.fields(options):
        value, name = getattr(options, item.name), prefix + item.name
        if dataclasses.is_dataclass(value):
            result += option_declarations(value, f'{name}.')
        else:
            default = list(value) if isinstance(value, tuple) else value
            result.append(Declaration(name=name, default=default, **item.metadata))
    return result


def _flatten(values: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f'{prefix}{key}.')
        else:
            yield prefix + key, value


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split('.')
        level = result
        for part in path:
            level = level.setdefault(part, {})
        level[last] = value
    return result


def declare(node: Node, declarations: Sequence[Declaration]) -> None:
    """Declare parameters on ``node``.

    Raises:
        ParameterError: The parameter file or command line gave a wrong type or value.
    """
    for item in declarations:
        try:
            node.declare_parameter(item.name, item.default, item.descriptor())
        except InvalidParameterTypeException:
            kind = type(item.default[0] if isinstance(item.default, list) else item.default)
            plural = 'a list of ' if isinstance(item.default, list) else ''
            hint = ' (write 1.0, not 1)' if kind is float else ''
            raise ParameterError(
                f'{item.name}: got another type, expected {plural}{kind.__name__}{hint}') from None
        except InvalidParameterValueException as error:
            limits = f', expected within {list(item.limits)}' if item.limits else ''
            raise ParameterError(f'{item.name}: {error}{limits}') from None


def read(node: Node, declarations: Sequence[Declaration]) -> dict[str, Any]:
    """Current values by dotted name."""
    values = {}
    for item in declarations:
        value = node.get_parameter(item.name).value
        values[item.name] = value if isinstance(value, (str, bool, int, float)) else list(value)
    return values


def read_robot(node: Node) -> RobotSpec:
    """Declare the parameters of a robot and return the robot they describe.

    Raises:
        ParameterError: They describe none.
    """
    declarations = robot_declarations()
    declare(node, declarations)
    return _robot_of(read(node, declarations))


def _robot_of(values: Mapping[str, Any]) -> RobotSpec:
    try:
        return RobotSpec.from_dict(_nest(values))
    except RobotError as error:
        raise ParameterError(str(error)) from None


class PolicyParameters:
    """The parameters of the policy node, as checked dataclasses.

    Args:
        node: Where they are declared.
        is_configured: Says whether the node runs on the current values; then only live parameters
            can be set.
        on_change: Called with the new options after live ones were set.

    Raises:
        ParameterError: The values given at start do not describe a robot or valid options.
    """

    def __init__(self, node: Node, is_configured: Callable[[], bool],
                 on_change: Callable[[PolicyOptions], None]) -> None:
        self._node, self._is_configured, self._on_change = node, is_configured, on_change
        self._robot = robot_declarations()
        self._options = option_declarations(PolicyOptions())
        self._live = {item.name for item in self._options if item.live}
        declare(node, self._robot + self._options)
        self.robot()
        self.options()
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._changed)

    def robot(self, changes: Mapping[str, Any] | None = None) -> RobotSpec:
        """The robot the parameters describe, with ``changes`` applied."""
        return _robot_of(self._values(self._robot, changes))

    def options(self, changes: Mapping[str, Any] | None = None) -> PolicyOptions:
        """The options the parameters give, with ``changes`` applied."""
        values = _nest(self._values(self._options, changes))
        try:
            return build_options(PolicyOptions(), values)
        except OptionError as error:
            raise ParameterError(str(error)) from None

    def _values(self, declarations: Sequence[Declaration],
                changes: Mapping[str, Any] | None) -> dict[str, Any]:
        values = read(self._node, declarations)
        values.update({k: v for k, v in (changes or {}).items() if k in values})
        return values

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters}
        ours = {item.name for item in self._robot + self._options}
        late = sorted((changes.keys() & ours) - self._live)
        if late and self._is_configured():
            return SetParametersResult(successful=False, reason=(
                f'{late[0]}: in use, expected an unconfigured node: deactivate, then clean up'))
        try:
            self.robot(changes)
            self.options(changes)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _changed(self, parameters: list[Parameter]) -> None:
        if {p.name for p in parameters} & self._live:
            self._on_change(self.options())


def build_options(options: Any, values: Mapping[str, Any]) -> Any:
    """A copy of an options dataclass with the nested ``values``; lists become tuples."""
    changes: dict[str, Any] = {}
    for key, value in values.items():
        old = getattr(options, key)
        if dataclasses.is_dataclass(old):
            changes[key] = build_options(old, value)
        else:
            changes[key] = tuple(value) if isinstance(old, tuple) else value
    return dataclasses.replace(options, **changes)
