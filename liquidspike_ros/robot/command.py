"""What the policy commands, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import types

from ..settings import check, Effect, setting
from .sensor import require_field, require_topic, RobotError

# Kind of a command -> interface type it is sent as.
COMMAND_INTERFACES: Mapping[str, str] = types.MappingProxyType({
    'twist': 'geometry_msgs/msg/Twist',
    'twist_stamped': 'geometry_msgs/msg/TwistStamped',
    'float64_multi_array': 'std_msgs/msg/Float64MultiArray',
})
ON_STOP = ('safe', 'zero', 'hold')
LONGEST_STOP = 2.0
"""Longest time a STOP from full scale may take, s."""
_VALUES = (-1e9, 1e9)  # of a command, in whatever unit
_SLOPES = (1e-9, 1e9)  # of a command, per second


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """The command the policy gives and its limits, one entry per action dimension.

    A model output of ±1 means the larger of ``|lower|`` and ``|upper|``.
    """

    kind: str = setting(
        'twist', 'Message the commands are sent as', choices=tuple(COMMAND_INTERFACES))
    topic: str = setting('cmd_vel', 'Topic the commands are published on')
    frame_id: str = setting('base_link', 'Header frame of stamped commands')
    names: tuple[str, ...] = setting(
        ('linear.x', 'angular.z'),
        'Twist fields (linear.x … angular.z), or free names for a multi array')
    lower: tuple[float, ...] = setting(
        (-0.2, -2.0), 'Lowest command, one for each of names; m/s or rad/s for twists',
        limits=_VALUES, effect=Effect.LOWERED_AT_ONCE)
    upper: tuple[float, ...] = setting(
        (0.6, 2.0), 'Highest command, one for each of names; m/s or rad/s for twists',
        limits=_VALUES, effect=Effect.LOWERED_AT_ONCE)
    max_acceleration: tuple[float, ...] = setting(
        (1.5, 8.0), 'Largest speeding up while driving, one for each of names; units of the '
        'command per second', limits=_SLOPES)
    max_deceleration: tuple[float, ...] = setting(
        (2.5, 8.0), 'Largest slowing down while driving, one for each of names; units of the '
        'command per second', limits=_SLOPES)
    stop_deceleration: tuple[float, ...] = setting(
        (10.0, 30.0), 'Slowing down of a STOP, one for each of names; units of the command per '
        f'second; from full scale it may take at most {LONGEST_STOP:g} s', limits=_SLOPES)
    safe: tuple[float, ...] = setting(
        (0.0, 0.0), 'Command a STOP ends in with on_stop: safe, one for each of names; a twist '
        'always ends in zeros', limits=_VALUES)
    on_stop: str = setting(
        'safe', 'What a STOP does: safe goes to safe, zero to zeros, hold keeps sending the last '
        'command (an arm under position control must not fall to a pose); a twist always ends in '
        'zeros, as a base that keeps its last one drives on', choices=ON_STOP)

    def __post_init__(self) -> None:
        check(self, RobotError, 'command.')
        require_field(not (self.is_twist and self.on_stop == 'hold'), 'command.on_stop',
                      self.on_stop,
                      f'zero for a {self.kind}: a base that holds its last twist drives on')
        require_topic('command.topic', self.topic)
        width = len(self.names)
        require_field(width > 0, 'command.names', self.names, 'at least one name')
        for name in ('lower', 'upper', 'max_acceleration', 'max_deceleration',
                     'stop_deceleration', 'safe'):
            value = getattr(self, name)
            require_field(len(value) == width, f'command.{name}', value,
                          f'{width} finite numbers, one for each of names')
        for i, name in enumerate(self.names):
            require_field(self.lower[i] <= self.safe[i] <= self.upper[i] and
                          self.lower[i] < self.upper[i], f'command.safe[{i}] ({name})',
                          self.safe[i], f'within lower {self.lower[i]} and upper {self.upper[i]}')
        for i, (name, stop) in enumerate(zip(self.names, self.rest, strict=True)):
            require_field(self.lower[i] <= stop <= self.upper[i], f'command.lower[{i}] ({name})',
                          self.lower[i], f'limits around {stop:g}, which a STOP ends in')
            least = max(self.upper[i] - stop, stop - self.lower[i]) / LONGEST_STOP
            require_field(self.on_stop == 'hold' or self.stop_deceleration[i] >= least * (1 - 1e-9),
                          f'command.stop_deceleration[{i}] ({name})', self.stop_deceleration[i],
                          f'at least {least:.4g}, to stop from full scale within '
                          f'{LONGEST_STOP:g} s')
        if self.is_twist:
            fields = {f'{part}.{axis}' for part in ('linear', 'angular') for axis in 'xyz'}
            require_field(set(self.names) <= fields and len(set(self.names)) == width,
                          'command.names', self.names, 'different Twist fields such as linear.x')

    @property
    def is_twist(self) -> bool:
        """Whether it is a velocity of a base, whose STOP is always zero."""
        return self.kind != 'float64_multi_array'

    @property
    def rest(self) -> tuple[float, ...]:
        """What a STOP ends in; with ``hold``, around what commands are capped."""
        if self.is_twist or self.on_stop == 'zero':
            return (0.0,) * len(self.names)
        return self.safe

    @property
    def width(self) -> int:
        """Number of action dimensions."""
        return len(self.names)

    @property
    def scale(self) -> tuple[float, ...]:
        """Physical value of a model output of 1, per dimension."""
        return tuple(max(abs(lo), abs(hi)) for lo, hi in zip(self.lower, self.upper, strict=True))
