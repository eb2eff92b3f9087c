"""What stands after --ros-args and is wrong is one line, worded by us and not by rcl."""

from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.context import Context

from liquidspike_ros.nodes.process import run_contained
from liquidspike_ros.nodes.ros_arguments import check, initialise, outside, UsageError

FILES = {
    'flat.yaml': 'policy: {rate: 15.0}\n',
    'torn.yaml': '/**: {ros__parameters: {rate: [1, \n',
    'mixed.yaml': '/**: {ros__parameters: {command: {upper: [0.3, 1]}}}\n',
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(('arguments', 'said'), [
    (['-p'], '-p: got nothing after it, expected NAME:=VALUE'),
    (['-r'], '-r: got nothing after it, expected FROM:=TO'),
    (['--params-file'], '--params-file: got nothing after it, expected a parameter file'),
    (['--log-level'], '--log-level: got nothing after it, expected debug, info'),
    (['-p', 'rate'], '-p rate: wrong parameter override rule, expected NAME:=VALUE'),
    (['-p', 'rate:='], 'expected NAME:=VALUE'),
    (['-p', 'upper:=[0.3, 1]'], 'write whole numbers among decimals as 1.0'),
    (['-p', 'upper:={a: 1}'], 'expected NAME:=VALUE'),
    (['-r', 'scan'], '-r scan: wrong remap rule, expected FROM:=TO'),
    (['-r', 'scan:=a//b'], '-r scan:=a//b: wrong remap rule'),
    (['-r', '__ns:=/lab-robot'], '__ns:=/lab-robot: wrong remap rule'),
    (['--log-level', 'loud'], '--log-level loud: wrong log level, expected debug, info'),
    (['--params-file', 'none.yaml'], 'none.yaml: wrong params file (no such file'),
    (['--params-file', 'flat.yaml'], 'a value before ros__parameters at line 1'),
    (['--params-file', 'torn.yaml'], 'not YAML near line'),
    (['--params-file', 'mixed.yaml'], 'write whole numbers among decimals as 1.0'),
    (['--parms-file', 'x'], 'did you mean --params-file?'),
    (['--loud'], '--loud: unknown ROS argument'),
    (['model:=x'], 'model:=x: unknown ROS argument, expected -p model:=x'),
])
def test_a_wrong_argument_is_one_line(folder: Path, capfd: pytest.CaptureFixture[str],
                                      arguments: list[str], said: str) -> None:
    assert run_contained('it', lambda context, stop: None, ['it', '--ros-args', *arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith('it: error: ')
    assert said in line
    assert 'src/' not in line
    assert 'lexeme' not in line
    assert len(line) < 500


def test_right_arguments_are_taken(folder: Path) -> None:
    check(['it', '--ros-args', '-p', 'rate:=15', '-r', 'scan:=/front/scan', '-r', '__ns:=/robot1',
           '--log-level', 'robot1.policy:=debug', '--', 'file'])


def test_a_second_context_after_a_refusal(folder: Path) -> None:
    with pytest.raises(UsageError):
        check(['it', '--ros-args', '-p'])
    context = Context()
    initialise(context, ['it'])
    assert context.ok()
    context.try_shutdown()


@pytest.mark.parametrize(('arguments', 'left'), [
    ('', []),
    ('--ros-args -p a:=1', []),
    ('one --ros-args -p a:=1 -- two', ['one', 'two']),
    ('one -- two', ['one', '--', 'two']),
    ('--ros-args -r a:=b -- --ros-args -p c:=2', []),
    ('model:=x', ['model:=x']),
])
def test_what_is_not_for_ros(arguments: str, left: list[str]) -> None:
    assert outside(arguments.split()) == left
