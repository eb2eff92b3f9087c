"""What all sensors have in common, and the rules for names of topics."""

from __future__ import annotations

from dataclasses import dataclass
import re

from ..settings import check, setting
from ..untrusted.fields import require
from ..untrusted.text import Refusal

RELIABILITIES = ('auto', 'reliable', 'best_effort')
TYPE = 'Interface type of the topic'
_TOKEN = r'(?:[A-Za-z_]|\{\w+\})(?:\w|\{\w+\})*'
_TOPIC = re.compile(rf'(?:~/|/)?{_TOKEN}(?:/{_TOKEN})*', re.ASCII)


class RobotError(Refusal):
    """A robot description is wrong; the message names the field, what was got and expected."""


def require_field(condition: bool, name: str, got: object, expected: str) -> None:
    """Raise ``RobotError`` with the field's name, what was got and expected, unless it holds."""
    require(condition, name, got, expected, RobotError)


def require_topic(name: str, topic: str) -> None:
    """Hold a topic to the rules of ROS 2, so that a bad one is refused with its field's name."""
    require_field(bool(_TOPIC.fullmatch(topic)), name, topic,
                  'a topic name: words of letters, digits and _ with single / between, none '
                  'beginning with a digit, / or ~/ in front at most')


@dataclass(frozen=True, kw_only=True)
class SensorSpec:
    """What all sensors have in common."""

    enabled: bool = setting(True, 'Whether the policy uses this sensor')
    topic: str = setting('', 'Topic of the sensor, relative so that namespaces and remaps work')
    type: str = setting('', TYPE)
    rate: float = setting(10.0, 'Nominal rate of the sensor', limits=(0.1, 10_000.0), unit='Hz')
    max_age: float = setting(
        0.2, 'Age after which the newest sample is masked', limits=(0.001, 60.0), unit='s')
    required: bool = setting(
        False, 'Whether losing this sensor stops the robot; by default, where it sees obstacles')
    max_frozen: float = setting(
        0.5, 'Longest time the very same payload may repeat while the robot moves, before the '
        'sensor counts as frozen and is masked until it changes; 0 turns the check off',
        limits=(0.0, 3600.0), unit='s')
    reliability: str = setting(
        'auto', 'Reliability to subscribe with; auto: reliable where every publisher of the topic '
        'is', choices=RELIABILITIES)

    @property
    def sees_outside(self) -> bool:
        """Whether it sees what the robot could run into."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of this sensor's array in an ``Observation``."""
        raise NotImplementedError(f'{type(self).__name__} is abstract')

    def _check(self, name: str) -> None:
        check(self, RobotError, f'{name}.')
        require_topic(f'{name}.topic', self.topic)
