"""JSON of plain, bounded values; the rest is refused with what is wrong."""

from __future__ import annotations

import contextlib
from itertools import count

from hypothesis import given, settings, strategies
import pytest

from liquidspike_ros.untrusted.json_text import DEPTH, JsonRefusal, parse_json


def test_plain_values_are_read():
    text = '{"a": [1, -2.5, true, null, "x"], "b": {"c": {}}}'
    value = {'a': [1, -2.5, True, None, 'x'], 'b': {'c': {}}}
    assert parse_json(text) == parse_json(text.encode()) == value
    assert parse_json(b'\xef\xbb\xbf' + text.encode()) == value


@pytest.mark.parametrize(('text', 'said'), [
    ('', 'not JSON'),
    (bytes(range(256)), r'not JSON \(byte 128 is not UTF-8'),
    ('{"a": 1}'.encode('utf-16'), 'not JSON'),
    ('{"a": 1,}', 'not JSON'),
    ('{"a": 1} x', 'not JSON'),
    ('{a: 1}', 'not JSON'),
    ('{"a": 1, "a": 2}', "the key 'a' is there twice, expected once"),
    ('{"x": {"b": 1, "b": 1}}', "the key 'b' is there twice"),
    ('NaN', 'got NaN, expected finite'),
    ('{"a": -Infinity}', 'got -Infinity, expected finite'),
    ('1e400', 'got 1e400, expected a number below'),
    ('[-1e400]', 'got -1e400'),
    ('1' * 400, 'got a number of 400 characters, expected at most 64'),
    ('1' * 5000, 'got a number of 5000 characters'),
    ('0.' + '1' * 400, 'got a number of 402 characters'),
    ('[' * 100_000, 'nested too deep'),
    ('[' * 33 + ']' * 33, 'nested too deep'),
    ('{"a":' * 500 + '1' + '}' * 500, 'nested too deep'),
    ('[' + '[],' * 500_000 + '[]]', 'more than 400,000 values'),
], ids=count())
def test_what_is_wrong_is_said_in_one_short_line(text, said):
    with pytest.raises(JsonRefusal, match=said) as caught:
        parse_json(text)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) <= 500


def test_the_deepest_that_is_accepted():
    assert parse_json('[' * DEPTH + ']' * DEPTH)


@settings(max_examples=300, deadline=None)
@given(strategies.text(alphabet='[]{}",:0123456789.eE-+ntrufalseNaIy\\ \n', max_size=60)
       | strategies.text())
def test_no_text_does_anything_else(text):
    with contextlib.suppress(JsonRefusal):
        parse_json(text)
