"""What a setting says is what its validator does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from liquidspike_ros.settings import check, described, setting, written
from liquidspike_ros.untrusted.text import Refusal


@dataclass(frozen=True)
class General:
    """Two settings."""

    weight: float = setting(1.0, 'How heavy it is', limits=(0.5, 20), unit='kg')
    names: tuple[str, ...] = setting((), 'What it is called')

    def __post_init__(self) -> None:
        check(self, Refusal, 'it.')


@dataclass(frozen=True)
class Special(General):
    """The same with another default."""

    weight: float = 2.0


def test_another_default_keeps_the_description():
    general, special = (described(cls)[0] for cls in (General, Special))
    assert special == dataclasses.replace(general, default=2.0)
    with pytest.raises(Refusal, match=r'^it\.weight: got 0\.1, expected a number in \[0\.5, 20\] '):
        Special(0.1)


def test_a_whole_number_stays_what_it_is_for_a_float():
    assert General(3).weight == 3


@pytest.mark.parametrize(('values', 'message'), [
    ({'weight': '3'}, r"it\.weight: got '3', expected a number in \[0\.5, 20\] kg"),
    ({'names': 'word'}, r"it\.names: got 'word', expected a list, each entry a text"),
    ({'names': ('a', 3)}, r'it\.names\[1\]: got 3, expected a text'),
    ({'names': None}, r'it\.names: got None, expected a list'),
])
def test_what_is_of_another_type_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        General(**values)


@pytest.mark.parametrize(('value', 'text'), [
    (0.1, '0.1'), (60.0, '60'), (1e9, '1e9'), (1e-9, '1e-9'), (-1e9, '-1e9'), (0.001, '0.001'),
    (86_400.0, '86400'), (1_048_576, '1048576')])
def test_numbers_are_written_as_people_do(value: float, text: str) -> None:
    assert written(value) == text
