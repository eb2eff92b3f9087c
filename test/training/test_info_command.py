"""``liquidspike info`` on recordings: one in full, several briefly, judged as training would."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from liquidspike_ros.cli import main
from liquidspike_ros.cli.recordings import ReadingProgress
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.bags import BagReader


@pytest.fixture
def robot_file(robot: RobotSpec, tmp_path: Path) -> str:
    path = tmp_path / 'toy.yaml'
    path.write_text(yaml.safe_dump({'/**': {'ros__parameters': robot.to_dict()}}))
    return str(path)


def test_one_recording_is_told_in_full(make_bag: Any, robot_file: str, capsys: Any) -> None:
    assert main(['info', str(make_bag()), '--robot', robot_file]) == 0
    said = capsys.readouterr().out
    for words in ('used, 600 messages on 5 topics', 'longest gap', '15.00',
                  'camera   16 × 12 rgb8', 'stamps 0.0 ms behind', 'fresh at 100% of the ticks',
                  'gravity (', '2000 samples/s a channel', 'linear.x 0.3 to 0.3',
                  '60 of 60 ticks labelled, 0% of them beyond the limits', 'MB on disk',
                  'batch of'):
        assert words in said, words


def test_a_folder_is_told_briefly_and_summed_up(make_bag: Any, robot_file: str, tmp_path: Path,
                                                capsys: Any) -> None:
    for seed in range(2):
        make_bag(f'bags/good_{seed}', seconds=2, seed=seed)
    (tmp_path / 'bags' / 'broken.mcap').write_bytes(b'nothing')
    assert main(['info', str(tmp_path / 'bags'), '--robot', robot_file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith('2 of 3 recordings used: 60 ticks, 60 labelled')
    assert len(lines) < 10


def test_what_is_refused_says_what_allows_it(make_bag: Any, robot_file: str, toy_drive: Any,
                                             capsys: Any) -> None:
    bag = str(make_bag(rows=[row for row in toy_drive(2.0) if row[1] != '/audio']))
    assert main(['info', bag, '--robot', robot_file]) == 1
    assert '--allow-missing audio' in capsys.readouterr().out
    assert main(['info', bag, '--robot', robot_file, '--allow-missing', 'audio']) == 0
    assert ': used, ' in capsys.readouterr().out


def test_a_namespace_can_be_given(make_bag: Any, robot_file: str, toy_drive: Any,
                                  capsys: Any) -> None:
    bag = str(make_bag(rows=[(t, f'/tb1{topic}', m) for t, topic, m in toy_drive(2.0)]))
    assert main(['info', bag, '--robot', robot_file]) == 1
    assert '--namespace tb1' in capsys.readouterr().out
    assert main(['info', bag, '--robot', robot_file, '--namespace', 'tb1']) == 0


def test_long_reading_tells_how_far_it_is(make_bag: Any, robot: RobotSpec) -> None:
    reader = BagReader(make_bag(seconds=1), robot)
    stream = StringIO()
    count = len(list(ReadingProgress(reader.report, stream, interval=0.0)(reader.events())))
    lines = stream.getvalue().splitlines()
    assert len(lines) == count
    assert '50% read' in stream.getvalue()
