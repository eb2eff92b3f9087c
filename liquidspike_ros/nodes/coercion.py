"""Parameter values as people write them, as the type that was declared.

``ros2 param set`` and parameter files guess types from the text: ``[1, 2]`` comes as whole numbers,
``[0.3, 1]`` as a text, ``[]`` as a list of bools. Where nothing can be meant but the declared
type, it is taken for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.parameter import Parameter

Type = Parameter.Type
_LIST_OF = {Type.DOUBLE_ARRAY: float, Type.STRING_ARRAY: str, Type.INTEGER_ARRAY: int,
            Type.BOOL_ARRAY: bool}
_WORDS = {Type.DOUBLE: 'a number', Type.INTEGER: 'a whole number', Type.BOOL: 'true or false',
          Type.STRING: 'a text (quoted, if it looks like a number)',
          Type.DOUBLE_ARRAY: 'a list of numbers such as "[0.3, 1.0]"',
          Type.STRING_ARRAY: 'a list of texts such as "[a, b]"',
          Type.INTEGER_ARRAY: 'a list of whole numbers',
          Type.BOOL_ARRAY: 'a list of true and false'}


def coerce(value: Any, wanted: Parameter.Type) -> Any:
    """``value`` as the ``wanted`` type, or as it is where that would be a guess."""
    if wanted is Type.DOUBLE and _is_whole(value):
        return float(value)
    kind = _LIST_OF.get(wanted)
    if kind is None:
        return value
    if isinstance(value, str):
        value = _listed(value, kind)
    elif kind is float and _is_number(value):
        value = [value]
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    items = list(value)
    if kind is float and all(map(_is_number, items)):
        return [float(item) for item in items]
    return items


def expected(wanted: Parameter.Type) -> str:
    """What a parameter of this type takes, in words."""
    return _WORDS.get(wanted, wanted.name.lower())


def as_declared(node: Node, parameters: Sequence[Parameter[Any]]) -> list[Parameter[Any]]:
    """Parameters that are to be set, each of the type that ``node`` declared; for pre-set.

    What is no such value stays as it is, and is refused by the node with both types.
    """
    result = []
    for parameter in parameters:
        if node.has_parameter(parameter.name):
            wanted = node.get_parameter(parameter.name).type_
            value = coerce(parameter.value, wanted)
            if parameter.type_ is not wanted and fits(value, wanted):
                parameter = Parameter(parameter.name, wanted, value)
        result.append(parameter)
    return result


def coerce_overrides(node: Node, types: Mapping[str, Parameter.Type]) -> None:
    """Give the values of command line and parameter files the types that will be declared.

    Args:
        node: Its overrides are changed in place.
        types: Type by parameter name.
    """
    # rclpy offers no public way to the values given at start before they are judged.
    overrides: dict[str, Parameter[Any]] = node._parameter_overrides
    for name, wanted in types.items():
        given = overrides.get(name)
        if given is not None and given.type_ is not wanted:
            value = coerce(given.value, wanted)
            if fits(value, wanted):
                overrides[name] = Parameter(name, wanted, value)


def fits(value: Any, wanted: Parameter.Type) -> bool:
    """Whether a value is of this type; an empty list is of any list type."""
    kind = _LIST_OF.get(wanted)
    if kind is not None:
        return isinstance(value, list) and all(type(item) is kind for item in value)
    return Type.from_parameter_value(value) is wanted


def _listed(text: str, kind: type) -> Any:
    """A text that is meant for a list: ``[0.3, 1]`` of numbers; a lone word of words."""
    if text.lstrip().startswith('['):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return [text] if kind is str else text


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)
