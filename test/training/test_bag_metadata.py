"""What recorders, editors and people write into ``metadata.yaml``, and what is understood of it."""

from __future__ import annotations

import pytest
import yaml

from liquidspike_ros.training.bag_metadata import parse_qos, read_metadata, RecordedQos


@pytest.mark.parametrize(('value', 'expected'), [
    ([{'reliability': 1, 'durability': 1, 'depth': 3}], [('reliable', 'transient_local', 3)]),
    ([{'reliability': 2, 'durability': 2, 'depth': 0}], [('best_effort', 'volatile', 10)]),
    ([{'reliability': 'best_effort', 'durability': 'VOLATILE'}], [('best_effort', 'volatile', 10)]),
    ('- reliability: 1\n  durability: 2\n  depth: 7\n', [('reliable', 'volatile', 7)]),
    ('reliability: reliable\ndepth: 4\n', [('reliable', '', 4)]),
    ([{'reliability': 'RMW_QOS_POLICY_RELIABILITY_RELIABLE'}], [('reliable', '', 10)]),
    ([{'reliability': 99, 'durability': None, 'depth': 'x'}], [('', '', 10)]),
    ([{'depth': 10**12}], [('', '', 1000)]),
    ('', []), (None, []), ('{[', []), ('hello', []), ([3, 'x'], []), ('x' * 100_000, []),
    ('[' * 3000, []),
])
def test_offered_profiles_as_found_in_the_field(value, expected):
    assert parse_qos(value) == tuple(RecordedQos(*entry) for entry in expected)


@pytest.mark.parametrize(('name', 'kept'), [
    ('bag_0.mcap', 'bag_0.mcap'), ('bag/bag_0.mcap', 'bag_0.mcap'), ('/etc/passwd', None),
    ('../other/bag_0.mcap', None), ('bag/../../x.mcap', None), ('', None), ('a\0b.mcap', None)])
def test_files_stay_inside_the_folder(tmp_path, name, kept):
    body = {'rosbag2_bagfile_information': {'relative_file_paths': [name], 'message_count': 5}}
    (tmp_path / 'metadata.yaml').write_text(yaml.safe_dump(body))
    found = read_metadata(tmp_path)
    assert found.files == ((kept,) if kept else ())
    assert bool(found.problems) == (kept is None)
    assert found.messages == 5


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    import os
    os.mkfifo(tmp_path / 'metadata.yaml')
    assert 'got a FIFO' in read_metadata(tmp_path).problems[0]
