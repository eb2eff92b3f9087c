"""What a setting is, said once: validators, ROS descriptors, help and documentation are made of it.

A setting is a field of a frozen dataclass, made by ``setting``. ``check`` holds an instance to the
descriptions of its fields, and ``described`` gives them to whoever declares or documents them. What
concerns several fields at once (lower below upper) stays code of the dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
from dataclasses import dataclass
import enum
import functools
from typing import Any, get_args, get_origin, get_type_hints

from .untrusted.fields import coerce, require
from .untrusted.text import Refusal

_KEY = 'setting'


class Effect(enum.Enum):
    """When a new value counts, for a node that is running."""

    START = 'at start'
    CONFIGURE = 'next configure'
    AT_ONCE = 'at once'
    LOWERED_AT_ONCE = 'lowered at once'
    """What only makes a configured node more careful counts at once, the rest at configure."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The description of one field.

    Attributes:
        name: Name of the field.
        default: Its default.
        kind: ``bool``, ``int``, ``float`` or ``str``; of the entries, if there are ``many``.
        many: Whether it is a list, any number of entries long.
        text: What it means, as one phrase.
        limits: Closed range of a number, or of each entry.
        choices: The texts that are allowed, or of which each entry is one; empty for any.
        unit: Of the number, or of each entry; empty where there is none.
        effect: When a new value counts.
    """

    name: str
    default: Any
    kind: type
    many: bool
    text: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    unit: str = ''
    effect: Effect = Effect.CONFIGURE

    @property
    def description(self) -> str:
        """The text, with the unit behind it."""
        return f'{self.text} [{self.unit}]' if self.unit else self.text

    @property
    def span(self) -> str:
        """The closed range, as ``[0.1, 60]``; empty without one."""
        return f'[{", ".join(map(written, self.limits))}]' if self.limits else ''

    @property
    def allowed(self) -> str:
        """The choices, or range and unit, in words; empty where there is neither."""
        if self.choices:
            return f'one of {", ".join(self.choices)}'
        return f'in {self.span} {self.unit}'.rstrip() if self.limits else ''

    @property
    def expected(self) -> str:
        """What the value, or an entry, has to be, in words."""
        return self.allowed if self.choices else f'{_WORDS[self.kind]} {self.allowed}'.rstrip()

    def check(self, value: Any, error: type[Refusal], prefix: str = '') -> None:
        """Raise ``error`` unless the value is of the type and within what is described.

        Whole numbers are numbers, truth values are not; numpy's scalars count as Python's.
        """
        name = prefix + self.name
        if not self.many:
            require(self._allows(value), name, value, self.expected, error)
            return
        if not isinstance(value, (tuple, list)):
            require(False, name, value, f'a list, each entry {self.expected}', error)
            return
        for i, entry in enumerate(value):
            require(self._allows(entry), f'{name}[{i}]', entry, self.expected, error)

    def _allows(self, value: Any) -> bool:
        if getattr(value, 'ndim', None) == 0:
            value = value.item()
        kinds: Any = (int, float) if self.kind is float else self.kind
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind is not bool):
            return False
        if self.limits is not None and not self.limits[0] <= value <= self.limits[1]:
            return False
        return not self.choices or value in self.choices


_WORDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}


def setting(
    default: Any,
    text: str,
    *,
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    unit: str = '',
    effect: Effect = Effect.CONFIGURE,
) -> Any:
    """A dataclass field with its description; the arguments are as in ``Setting``."""
    words = {'text': text, 'limits': limits, 'choices': choices, 'unit': unit, 'effect': effect}
    return dataclasses.field(default=default, metadata={_KEY: words})


@functools.cache
def described(cls: Any) -> tuple[Setting, ...]:
    """The settings of a dataclass in the order of its fields; fields of other kinds are left out.

    A subclass that gives a field another default, and says no more, keeps the description.
    """
    hints, result = get_type_hints(cls), []
    for item in dataclasses.fields(cls):
        words = _words_of(cls, item.name)
        if words is not None:
            hint = hints[item.name]
            many = get_origin(hint) is tuple
            result.append(Setting(name=item.name, default=item.default, many=many,
                                  kind=get_args(hint)[0] if many else hint, **words))
    return tuple(result)


def _words_of(cls: type, name: str) -> Any:
    for parent in cls.__mro__:
        item = vars(parent).get('__dataclass_fields__', {}).get(name)
        if item is not None and _KEY in item.metadata:
            return item.metadata[_KEY]
    return None


def check(instance: Any, error: type[Refusal], prefix: str = '') -> None:
    """Hold every setting of a dataclass instance to its description.

    Args:
        instance: Of a dataclass with fields made by ``setting``.
        error: Raised for the first value that is wrong: its name, what was got and expected.
        prefix: In front of the names, ``sensors.imu.`` for example.
    """
    cls: Any = type(instance)
    for item in described(cls):
        item.check(getattr(instance, item.name), error, prefix)


def build(
    cls: Any, values: object, error: type[Refusal], whole: str, prefix: str = '',
    read: Callable[[str, Any, Any], Any] | None = None,
) -> Any:
    """An instance of a dataclass from the mapping that stands for it in a file.

    Args:
        cls: Its fields are the keys.
        values: The mapping.
        error: Raised for what is no mapping, for an unknown key, and by ``coerce``.
        whole: What the mapping is called that has no prefix.
        prefix: Dotted name of the mapping.
        read: Makes a field's value of its dotted name, what was given and the type; ``coerce`` if
            None.
    """
    if not isinstance(values, Mapping):
        raise error(f'{prefix or whole}: got {type(values).__name__}, expected a mapping')
    hints, found = get_type_hints(cls), {}
    for key, value in values.items():
        name = f'{prefix}.{key}' if prefix else str(key)
        if key not in hints:
            raise error(f'{name}: unknown key, expected one of {", ".join(sorted(hints))}')
        found[key] = (coerce(name, value, hints[key], error) if read is None else
                      read(name, value, hints[key]))
    return cls(**found)


def written(value: float) -> str:
    """A number as people write it: ``0.1``, ``60``, ``1e9``."""
    if isinstance(value, int):
        return str(value)
    return f'{value:.7g}'.replace('e+0', 'e').replace('e-0', 'e-')
