"""YAML of plain, bounded values, read as ROS 2 reads its parameter files."""

from __future__ import annotations

import contextlib
from itertools import count
import math

from hypothesis import given, settings, strategies
import pytest

from liquidspike_ros.untrusted.yaml_text import DEPTH, parse_yaml, YamlRefusal


@pytest.mark.parametrize(('text', 'value'), [
    ('', None),
    ('# only a comment', None),
    ('a: 1', {'a': 1}),
    ('[1, 2.5, x, "1", null, ~]', [1, 2.5, 'x', '1', None, None]),
    ('a: [yes, off, TRUE, y, N]', {'a': [True, False, True, True, False]}),
    ('/**: {ros__parameters: {}}', {'/**': {'ros__parameters': {}}}),
    ('[-0x1F, +3, 0, -0]', [-31, 3, 0, 0]),
    ('[3e-4, 1E3, .5, 5., -.inf]', [3e-4, 1000.0, 0.5, 5.0, -math.inf]),
    ('!!str 1', '1'),
    ("! '1'", '1'),
    ('!!float 1', 1),
    ('---\na: 1\n...\n', {'a': 1}),
    ('%YAML 1.2\n---\na: 1', {'a': 1}),
    ('a: &x [1, 2]\nb: *x', {'a': [1, 2], 'b': [1, 2]}),
    ('a: |\n  two\n  lines\n', {'a': 'two\nlines\n'}),
    ('"<<": 1', {'<<': 1}),
], ids=count())
def test_plain_values_are_read(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize('text', ['1:30', '190:20:30', '1_000', '2024-05-01', '0b11', '1.5.2',
                                  '0o17', 'yeS', 'nan', 'inf', '1e', '=', '2001-12-14t21:59:43.1Z'])
def test_what_ros_takes_for_a_word_is_a_word(text):
    assert parse_yaml(text) == text


def test_not_a_number_is_read_for_the_field_to_refuse():
    assert math.isnan(parse_yaml('.nan'))


def laughs(levels: int, width: int = 9) -> str:
    lines = ['l0: &l0 [lol]']
    lines += [f'l{i}: &l{i} [{", ".join([f"*l{i - 1}"] * width)}]' for i in range(1, levels)]
    return '\n'.join(lines)


def chain(levels: int) -> str:
    return '\n'.join(['- &l0 [x]', *(f'- &l{i} [*l{i - 1}]' for i in range(1, levels))])


@pytest.mark.parametrize(('text', 'said'), [
    ('a: [', r'not YAML \(line 1: '),
    ('a: 1\n\tb: 2', r'not YAML \(line 2: '),
    ('a: b: c', r'not YAML \(line 1: '),
    ('\x07', 'not YAML'),
    ('"\\UFFFFFFFF"', 'not YAML'),
    ('%YAML 99.1\n---\na', 'not YAML'),
    ('a: 1\nb: 2\na: 3', r"line 3: the key 'a' is there twice \(first in line 1\)"),
    ('x: {b: 1, b: 1}', "line 1: the key 'b' is there twice"),
    ('a: 1\n---\nb: 2', 'line 2: a second document'),
    (laughs(9), r'line \d: more than 20,000 values, aliases counted'),
    (laughs(30, 2), 'more than 20,000 values'),
    (chain(40), 'nested too deep'),
    ('&a [*a]', r'line 1: the alias \*a holds itself'),
    ('a: *nothing', r'line 1: the alias \*nothing stands for nothing'),
    ('[' * 1000, 'nested too deep'),
    ('[' * 25 + ']' * 25, 'line 1: nested too deep, expected at most 24 levels'),
    ('\n'.join(f'{" " * i}a:' for i in range(500)), 'line 25: nested too deep'),
    ('[' + 'x,' * 30_000 + ']', 'more than 20,000 values'),
    ('a: ' + '1' * 400, 'line 1: got a number of 400 characters, expected at most 64'),
    ('a: ' + '1' * 5000, 'got a number of 5000 characters'),
    ('a: 1' + '0' * 400 + '.5', 'got a number of 403 characters'),
    ('a: 0x' + 'f' * 400, 'got a number of 402 characters'),
    ('a: 1e999', 'line 1: got 1e999, expected a number below 1e308'),
    ('a: 010', 'line 1: got 010, expected a number without zeros in front'),
    ('a: !!python/object/apply:os.system ["true"]', 'line 1: got the tag !!python/object/apply'),
    ('a: !!python/name:os.system', 'got the tag !!python/name'),
    ('a: !mine 1', 'got the tag !mine, expected plain values'),
    ('a: !!binary aGVsbG8=', 'got the tag !!binary'),
    ('a: !!timestamp 2024-05-01', 'got the tag !!timestamp'),
    ('a: !!set {x}', 'got the tag !!set'),
    ('a: !!int [1]', 'got the tag !!int'),
    ('x: &x {a: 1}\nz:\n  <<: *x', 'line 3: got the merge key <<'),
    ('1: x', 'line 1: got the key 1, expected a name'),
    ('on: x', 'got the key True, expected a name: YAML reads on as True; put it in quotes'),
    ('null: x', 'got the key None, expected a name'),
    ('? [a]\n: x', 'line 1: got the key'),
    ('? {a: 1}\n: x', 'line 1: got the key'),
], ids=count())
def test_what_is_wrong_is_said_with_its_line_in_one_short_line(text, said):
    with pytest.raises(YamlRefusal, match=said) as caught:
        parse_yaml(text)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) <= 500


def test_the_deepest_that_is_accepted():
    assert parse_yaml('[' * DEPTH + ']' * DEPTH)


@settings(max_examples=300, deadline=None)
@given(strategies.text(alphabet='[]{}",:0123456789.eE-+ntrue!&*<>|?%@`#~\' \n\t', max_size=60)
       | strategies.text())
def test_no_text_does_anything_else(text):
    with contextlib.suppress(YamlRefusal):
        parse_yaml(text)
