"""What is shown of values that anybody may have written: one short line that cannot act."""

from __future__ import annotations

from itertools import count
import pickle

from hypothesis import given, strategies
import pytest

from liquidspike_ros.untrusted.text import (
    brief,
    LINE,
    listing,
    named,
    one_line,
    printable,
    reason,
    Refusal,
    shorten,
    without_numbers,
)


@pytest.mark.parametrize(('text', 'shown'), [
    ('/camera/image_raw', '/camera/image_raw'),
    ('/\x1b[2Jcleared', r'/\x1b[2Jcleared'),
    ('bell\a', r'bell\x07'),
    ('a\nb\rc\td', r'a\nb\rc\td'),
    ('\x9b31m', r'\x9b31m'),
    ('gpj.\u202eexe', r'gpj.\u202eexe'),
    ('zero\u200bwidth', r'zero\u200bwidth'),
    ('half\ud83d', r'half\ud83d'),
    ('Straße, 画像, ±2 m/s²', 'Straße, 画像, ±2 m/s²'),
    (7, '7'),
], ids=count())
def test_what_would_act_on_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


@given(strategies.text())
def test_shown_text_can_always_be_printed(text):
    assert printable(text).isprintable()
    printable(text).encode()
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= LINE


def test_what_is_too_long_loses_its_middle():
    assert shorten('abcdefghij', 10) == 'abcdefghij'
    assert shorten('abcdefghijk', 10) == 'abcdef…ijk'
    text = one_line('start ' + 'x' * 10_000 + ' end')
    assert text.startswith('start')
    assert text.endswith('end')
    assert len(text) == LINE


def test_a_refusal_is_one_line_whatever_it_is_raised_with():
    error = Refusal('first\nsecond \x1b[31m' + 'x' * 10_000)
    assert str(error).startswith(r'first second \x1b[31mxxx')
    assert len(str(error)) == LINE
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(('value', 'shown'), [
    ('short', "'short'"), (12, '12'), (1.5, '1.5'), ((0.5,), '(0.5,)'), (None, 'None'),
    ([1, 2], '[1, 2]'), ({'a': [1]}, "{'a': [1]}"), (b'abc', '3 bytes'),
    (10**400, 'a whole number of about 400 digits'),
    (10**5000, 'a whole number of about 5000 digits'),
    ('\x1b]0;title\a', r"'\x1b]0;title\x07'"),
], ids=count())
def test_values_are_shown_as_they_are_written(value, shown):
    assert brief(value) == shown


@pytest.mark.parametrize('value', [
    'x' * 10**6, list(range(10**6)), dict.fromkeys(range(1000), 'x' * 1000),
    [['x' * 100] * 100] * 9,
], ids=['text', 'list', 'mapping', 'nested'])
def test_long_values_are_abbreviated(value):
    assert len(brief(value)) <= 160


def test_a_value_that_repeats_itself_is_shown_without_being_spelled_out():
    value: list = ['lol']
    for _ in range(40):
        value = [value] * 9
    assert len(brief(value)) <= 160


def test_names_side_by_side_are_bounded():
    assert listing(['a', 'b']) == 'a, b'
    assert len(listing([str(i) for i in range(10**5)])) <= 240


def test_the_reason_of_any_error_is_one_line():
    assert reason(FileNotFoundError(2, 'No such file or directory', 'x')) == (
        'No such file or directory')
    assert reason(ValueError('one\ntwo')) == 'one'
    assert reason(ValueError()) == 'ValueError'


@pytest.mark.parametrize(('one', 'other', 'same'), [
    ('silent for 0.21 s', 'silent for 12 s', True),
    ('mean -0.5e-3, 3 of 4', 'mean +7, 12 of 99', True),
    ('camera: silent for 1 s', 'lidar: silent for 1 s', False),
])
def test_what_differs_in_numbers_only_says_the_same(one, other, same):
    assert (without_numbers(one) == without_numbers(other)) is same


def test_an_error_that_nobody_worded_says_its_class_in_one_short_line():
    assert named(MemoryError('out of\n  memory')) == 'MemoryError: out of memory'
    assert len(named(ValueError('x' * 10_000))) <= 300
