"""What a setting says is what its validator does, for every setting of the package."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from dataclasses import dataclass
import importlib
import math
from typing import Any

import numpy as np
import pytest

from liquidspike_ros.robot import AudioSpec
from liquidspike_ros.settings import check, described, Setting, setting, written
from liquidspike_ros.untrusted.text import Refusal

# Every dataclass of settings, and what stands in front of its names in messages.
CLASSES = {
    'robot.RobotSpec': '',
    'robot.CameraSpec': 'sensors.camera.',
    'robot.ImuSpec': 'sensors.imu.',
    'robot.LidarSpec': 'sensors.lidar.',
    'robot.AudioSpec': 'sensors.audio.',
    'robot.CommandSpec': 'command.',
    'control.safety_config.SafetyConfig': 'safety.',
    'nodes.options.SyncOptions': 'sync.',
    'nodes.options.PolicyOptions': '',
    'nodes.sim_node.SimOptions': '',
    'nodes.train_node.TrainOptions': '',
}
JOINTS = {'kind': 'float64_multi_array', 'names': ('a', 'b'), 'on_stop': 'hold'}
# What else has to be set, so that the end of a range is a valid value.
BESIDE = {
    ('RobotSpec', 'rate'): {'audio': AudioSpec(enabled=False)},
    ('LidarSpec', 'angle_min'): {'angle_max': -0.1},
    ('LidarSpec', 'angle_max'): {'angle_min': 0.1},
    ('LidarSpec', 'range_max'): {'range_min': 0.0},
    ('LidarSpec', 'transform'): {'type': 'sensor_msgs/msg/PointCloud2'},
    ('CommandSpec', 'lower'): {'stop_deceleration': (1e9, 30.0)},
    ('CommandSpec', 'upper'): {'stop_deceleration': (1e9, 30.0)},
    ('CommandSpec', 'stop_deceleration'): JOINTS,
    ('CommandSpec', 'safe'): {**JOINTS, 'lower': (-1e9, -2.0), 'upper': (1e9, 2.0)},
}
# Ends that a rule about two fields excludes: the other field would have to lie beyond its range.
NEVER = {
    ('LidarSpec', 'angle_min', 6.3), ('LidarSpec', 'angle_max', -6.3),
    ('LidarSpec', 'range_min', 1000.0), ('LidarSpec', 'z_min', 1000.0),
    ('LidarSpec', 'z_max', -1000.0), ('CommandSpec', 'lower', 1e9), ('CommandSpec', 'upper', -1e9),
}
everywhere = pytest.mark.parametrize('path', CLASSES)


def load(path: str) -> Any:
    module, _, name = path.rpartition('.')
    return getattr(importlib.import_module(f'liquidspike_ros.{module}'), name)


def numbers(cls: Any) -> Iterator[Setting]:
    yield from (item for item in described(cls) if item.kind in (int, float))


def make(cls: Any, item: Setting, value: Any) -> Any:
    """An instance with this value, of a list as its first entry."""
    whole = (value, *item.default[1:]) if item.many else value
    return cls(**{**BESIDE.get((cls.__name__, item.name), {}), item.name: whole})


def beyond(item: Setting, end: float, direction: float) -> float:
    return end + int(direction) if item.kind is int else math.nextafter(end, direction * math.inf)


@everywhere
def test_what_lies_just_outside_of_a_range_is_refused_by_name_and_range(path: str) -> None:
    cls = load(path)
    for item in numbers(cls):
        low, high = item.limits or pytest.fail(f'{item.name} has no range')
        for value in (beyond(item, low, -1), beyond(item, high, 1), math.nan, math.inf, -math.inf):
            with pytest.raises(Refusal) as caught:
                make(cls, item, value)
            place = f'{CLASSES[path]}{item.name}{"[0]" if item.many else ""}: got '
            assert str(caught.value).startswith(place)
            assert f'[{written(low)}, {written(high)}] {item.unit}'.strip() in str(caught.value)


@everywhere
def test_both_ends_of_a_range_are_accepted(path: str) -> None:
    cls = load(path)
    for item in numbers(cls):
        assert item.limits
        for end in item.limits:
            if (cls.__name__, item.name, end) not in NEVER:
                got = getattr(make(cls, item, end), item.name)
                assert (got[0] if item.many else got) == end


@everywhere
def test_numbers_may_be_numpys_and_whole_ones_but_no_truth_values_and_texts(path: str) -> None:
    cls = load(path)
    for item in numbers(cls):
        usual = item.default[0] if item.many else item.default
        for value in (np.asarray(usual)[()], np.asarray(usual)):
            make(cls, item, value)
        for wrong in (True, np.True_, str(usual), None):
            with pytest.raises(Refusal, match=f'{item.name}.*: got .*, expected a '):
                make(cls, item, wrong)


@everywhere
def test_a_choice_is_one_of_those_that_are_named(path: str) -> None:
    cls = load(path)
    for item in described(cls):
        if item.choices:
            expected = f"{item.name}.*: got 'other', expected one of {', '.join(item.choices)}"
            with pytest.raises(Refusal, match=expected):
                cls(**{item.name: ('other',) if item.many else 'other'})


@everywhere
def test_every_field_is_described_in_words(path: str) -> None:
    cls = load(path)
    defaults = cls()
    parts = {item.name for item in dataclasses.fields(cls)
             if dataclasses.is_dataclass(getattr(defaults, item.name))}
    assert {item.name for item in described(cls)} | parts == {
        item.name for item in dataclasses.fields(cls)}
    for item in described(cls):
        assert len(item.text) > 10, item.name
        assert item.default == getattr(defaults, item.name)


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
