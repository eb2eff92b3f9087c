from __future__ import annotations

import pytest

from liquidspike_ros.untrusted.files import FileRefusal
from liquidspike_ros.untrusted.parameter_file import read_parameter_file


def test_what_stands_below_ros_parameters_is_read(tmp_path):
    path = tmp_path / 'it.yaml'
    path.write_text('/**:\n  ros__parameters:\n    a: [1, 2]\n')
    assert read_parameter_file(path) == {'a': [1, 2]}


@pytest.mark.parametrize(('text', 'said'), [
    ('', 'expected one node name'),
    ('[1]', 'expected one node name'),
    ('a: 1\nb: 2', 'expected one node name'),
    ('/**: 1', r"expected ros__parameters below '/\*\*'"),
    ('/**: {rate: 1}', r"expected ros__parameters below '/\*\*'"),
    ('/**: {ros__parameters: {}, rate: 1}', "got 'rate' beside ros__parameters"),
    ('/**:\n  ros__parameters: {}\n/**:\n  ros__parameters: {}', 'line 3: .* is there twice'),
    ('a: [', 'not YAML'),
    ('#' * 300_000, 'too large, expected at most 262,144 bytes'),
])
def test_other_forms_are_refused_in_one_line_with_the_path(tmp_path, text, said):
    path = tmp_path / 'it.yaml'
    path.write_text(text)
    with pytest.raises(FileRefusal, match=said) as caught:
        read_parameter_file(path)
    assert str(caught.value).startswith(f'{path}: ')
    assert len(str(caught.value)) <= 500


def test_what_is_no_file_is_refused_without_waiting(not_a_file):
    with pytest.raises(FileRefusal):
        read_parameter_file(not_a_file)
