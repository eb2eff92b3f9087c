"""What a node declares: one parameter for each setting of its robot and its options.

Nested dataclasses give dotted names. Nothing here needs a node: the help and the page of all
parameters are made of the same declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from ..robot import RobotSpec, SENSOR_TYPES
from ..settings import described, Effect, Setting

_EFFECTS = {
    Effect.START: 'Fixed at start.',
    Effect.CONFIGURE: 'Takes effect at the next configure.',
    Effect.AT_ONCE: 'Takes effect at once.',
    Effect.LOWERED_AT_ONCE: 'May be lowered at once, also while driving.',
}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One parameter.

    Attributes:
        name: Dotted name.
        default: Default as ROS takes it: a list for a tuple, never an empty one.
        setting: The field it is made of.
    """

    name: str
    default: Any
    setting: Setting

    @property
    def effect(self) -> Effect:
        """When a new value counts."""
        return self.setting.effect

    def descriptor(self) -> ParameterDescriptor:
        """The descriptor ``ros2 param describe`` shows."""
        setting = self.setting
        result = ParameterDescriptor(
            name=self.name, description=setting.description,
            read_only=setting.effect is Effect.START,
            additional_constraints=' '.join([*self._in_words(), _EFFECTS[setting.effect]]))
        if setting.limits is not None and not setting.many:
            low, high = setting.limits
            if setting.kind is float:
                result.floating_point_range = [
                    FloatingPointRange(from_value=float(low), to_value=float(high))]
            else:
                result.integer_range = [
                    IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        return result

    def _in_words(self) -> list[str]:
        """What no range of a descriptor can say; ROS has none for the entries of a list."""
        setting = self.setting
        if setting.many and (setting.limits or setting.choices):
            return [f'Each entry is {setting.expected}.']
        return [f'Is {setting.expected}.'] if setting.choices else []


def robot_declarations() -> list[Declaration]:
    """One declaration per field of a robot description, named as in a robot file."""
    robot = RobotSpec()
    result = _declared(robot, '')
    for name in SENSOR_TYPES:
        result += _declared(getattr(robot, name), f'sensors.{name}.')
    return result + _declared(robot.command, 'command.')


def option_declarations(options: Any, prefix: str = '') -> list[Declaration]:
    """One declaration per field of an options dataclass; its values are the defaults."""
    result = _declared(options, prefix)
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if dataclasses.is_dataclass(value):
            result += option_declarations(value, f'{prefix}{item.name}.')
    return result


def _declared(instance: Any, prefix: str) -> list[Declaration]:
    cls: Any = type(instance)
    return [Declaration(name=prefix + item.name, setting=item,
                        default=_for_ros(getattr(instance, item.name)))
            for item in described(cls)]


def _for_ros(value: Any) -> Any:
    # An empty list has no type that could be declared: [''] stands for one, and '' for nothing.
    return (list(value) or ['']) if isinstance(value, tuple) else value


def build_options(options: Any, values: Mapping[str, Any]) -> Any:
    """A copy of an options dataclass with nested values as ROS gives them."""
    changes: dict[str, Any] = {}
    for key, value in values.items():
        old = getattr(options, key)
        if dataclasses.is_dataclass(old):
            changes[key] = build_options(old, value)
        elif isinstance(old, tuple):
            changes[key] = tuple(entry for entry in value if entry != '')
        else:
            changes[key] = value
    return dataclasses.replace(options, **changes)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted name as a mapping of mappings."""
    result: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split('.')
        level = result
        for part in path:
            level = level.setdefault(part, {})
        level[last] = value
    return result
