"""The command line as its user meets it: what it says, where, and with which exit status."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

from liquidspike_ros.cli import main
from liquidspike_ros.cli.program import build_parser, COMMANDS, explain
from liquidspike_ros.core.tick import native
from liquidspike_ros.settings import described

ROBOT = 'config/robots/beacon.yaml'


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Path:
    """A whole checkpoint of the beacon robot with random weights."""
    from liquidspike_ros.control.tensors import robot_model_config
    from liquidspike_ros.core.checkpoint import save_pretrained
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
    from liquidspike_ros.robot import load_robot
    from liquidspike_ros.share import shared_file

    robot = load_robot(shared_file(ROBOT))
    model = RobotMultiSensorModel(
        **robot_model_config(robot), camera_architecture='simple', fusion_strategy='early',
        fusion_dim=32, encoder_dim=32, liquid_units=8, spiking_units=8, num_spike_steps=2)
    save_pretrained(model, tmp_path / 'model', metadata={'robot': robot.to_dict()})
    return tmp_path / 'model'


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A whole little recording: one topic, ten messages."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import get_typestore, Stores

    store = get_typestore(Stores.ROS2_KILTED)
    twist, vector = (store.types[f'geometry_msgs/msg/{name}'] for name in ('Twist', 'Vector3'))
    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/cmd_vel', 'geometry_msgs/msg/Twist', typestore=store)
        for k in range(10):
            still = vector(x=0.0, y=0.0, z=0.0)
            message = twist(linear=still, angular=still)
            data = store.serialize_cdr(message, 'geometry_msgs/msg/Twist')
            writer.write(connection, k * 100_000_000, bytes(data))
    return path


def fails(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, reports: int = 0
) -> str:
    """Run, expect this status and one line of error after so many of progress; return it."""
    got = main(arguments)
    captured = capsys.readouterr()
    if ' is not installed; run: pip install ' in captured.err:
        pytest.skip(captured.err.strip())
    assert got == status
    lines = captured.err.strip().splitlines()[reports:]
    assert len(lines) == 1, captured.err
    assert lines[0].startswith('liquidspike: ')
    assert 'Traceback' not in captured.err
    return lines[0]


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ([], 'COMMAND'),
        (['fly'], "invalid choice: 'fly', expected one of demo, record, train"),
        (['trian', 'bag'], 'did you mean train?'),
        (['eval'], 'did you mean evaluate?'),
        (['Record'], 'did you mean record?'),
        (['train', 'bag', '-o', 'x', '--epocs', '3'], 'did you mean --epochs?'),
        (['train', 'bag', '-o', 'x', '--init_from=y'], 'did you mean --init-from?'),
        (['demo', 'fast'], 'unrecognized arguments: fast'),
        (['record'], '-o/--output'),
        (['record', '-o', 'x', '--speed', '9'], '--speed'),
        (['record', '-o', 'x', '--episodes', '0'],
         'got 0, expected a whole number in [1, 10000000]'),
        (['record', '-o', 'x', '--episodes', 'ten'], "got 'ten', expected a whole number"),
        (['record', '-o', 'x', '--noise', '-1'], 'expected a number in [0, 10]'),
        (['record', '-o', 'x', '--noise', 'nan'], 'expected a number in [0, 10]'),
        (['train', '-o', 'x'], 'BAG'),
        (['train', 'bag'], '-o/--output'),
        (['train', 'bag', '-o', 'x', '--set', 'epochs'], 'expected KEY=VALUE'),
        (['train', 'bag', '-o', 'x', '--resume', '--init-from', 'y'], 'not allowed with'),
        (['evaluate'], 'MODEL'),
        (['export', '-o', 'x'], 'MODEL'),
        (['export', 'model'], '-o/--output'),
        (['export', 'model', '-o', 'x', '--format', 'tflite'], "invalid choice: 'tflite'"),
        (['export', 'model', '-o', 'x', '--batch', '0'], 'expected a whole number in [1, 4096]'),
        (['demo', '--domain', '233'], 'expected a whole number in [0, 232]'),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    line = fails(capsys, arguments, 2)
    assert said in line
    assert '--help' in line


def test_missing_model_folder(capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, ['evaluate', 'models/no_such', '--episodes', '1'], 1)
    assert 'models/no_such' in line


def test_corrupt_weights_name_the_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_checkpoint: Path
) -> None:
    weights = tiny_checkpoint / 'model.safetensors'
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0xFF
    weights.write_bytes(content)
    line = fails(capsys, ['info', str(tiny_checkpoint)], 1)
    assert str(tiny_checkpoint) in line
    line = fails(capsys, ['evaluate', str(tiny_checkpoint), '--episodes', '1'], 1)
    assert str(tiny_checkpoint) in line


def test_pickled_weights_are_not_loaded(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    import pickle

    (tiny_checkpoint / 'model.safetensors').write_bytes(pickle.dumps({'w': [1.0]}))
    assert str(tiny_checkpoint) in fails(capsys, ['info', str(tiny_checkpoint)], 1)


def test_truncated_bag_without_the_sensors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, bag: Path
) -> None:
    storage = next(bag.glob('*.mcap'))
    storage.write_bytes(storage.read_bytes()[:200])
    output = tmp_path / 'model'
    line = fails(capsys, ['train', str(bag), '-o', str(output)], 1, reports=1)
    assert str(bag) in line
    assert not (output / 'model.safetensors').exists()
    assert main(['info', str(bag)]) == 1
    assert 'not used' in capsys.readouterr().out


def test_bag_that_does_not_exist(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / 'model'
    line = fails(capsys, ['train', str(tmp_path / 'none'), '-o', str(output)], 1, reports=1)
    assert f'{tmp_path / "none"}: ' in line
    assert 'no such file or folder' in line
    assert not (output / 'model.safetensors').exists()


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (None, 'No such file'),
        ('rate: [', 'not YAML'),
        ('/**: {}', 'expected ros__parameters'),
        ('/**: {ros__parameters: {rate: fast}}', "rate: got 'fast', expected float"),
        ('/**: {ros__parameters: {wheels: 4}}', 'wheels: unknown key'),
        ('/**: {ros__parameters: {rate: 0.0}}', 'rate: got 0.0'),
    ],
)
@pytest.mark.parametrize('command', ['record', 'train', 'evaluate', 'demo'])
def test_wrong_robot_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | None, said: str, command: str
) -> None:
    robot, output = tmp_path / 'robot.yaml', str(tmp_path / 'out')
    if content is not None:
        robot.write_text(content)
    arguments = {
        'record': ['record', '-o', output, '--episodes', '1'],
        'train': ['train', 'bag', '-o', output],
        'evaluate': ['evaluate', 'expert', '--episodes', '1'],
        'demo': ['demo', '-o', output],
    }[command]
    line = fails(capsys, [*arguments, '--robot', str(robot)], 1)
    assert str(robot) in line
    assert said in line
    assert not Path(output).exists()


def test_unknown_training_setting(capsys: pytest.CaptureFixture[str], bag: Path) -> None:
    line = fails(capsys, ['train', str(bag), '-o', 'x', '--set', 'optimiser.speed=9'], 1)
    assert 'optimiser.speed: unknown key' in line


@pytest.mark.parametrize(('command', 'module', 'name'), [
    ('record', 'recording', 'RecordOptions'), ('evaluate', 'evaluation', 'EvaluateOptions')])
def test_options_have_default_and_range_of_what_they_set(
        command: str, module: str, name: str) -> None:
    """Which is in a module that takes too long to load for every parser."""
    options = getattr(importlib.import_module(f'liquidspike_ros.sim.{module}'), name)
    groups = build_parser()._subparsers
    assert groups is not None
    parser = groups._group_actions[0].choices[command]  # type: ignore[call-overload, index]
    actions = {action.dest: action for action in parser._actions}
    for item in described(options):
        action = actions[item.name.removesuffix('_s')]
        assert action.default in (item.default, None), item.name
        low, high = item.limits
        assert [action.type(str(end)) for end in (low, high)] == [low, high]
        for value in (low - 1, high + 1):
            with pytest.raises(argparse.ArgumentTypeError, match='expected a'):
                action.type(str(value))


def test_seeds_of_the_evaluation_are_not_recorded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = fails(capsys, ['record', '-o', str(tmp_path), '--seed', '990', '--episodes', '20'], 1)
    assert 'kept for evaluation' in line
    assert list(tmp_path.iterdir()) == []


def test_unknown_sensor_to_mask(capsys: pytest.CaptureFixture[str]) -> None:
    line = fails(capsys, ['evaluate', 'expert', '--mask', 'radar'], 1)
    assert "mask: got 'radar'" in line


def test_info_describes_what_came_with_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['info', ROBOT]) == 0
    out = capsys.readouterr().out
    assert 'camera/image_raw' in out
    assert 'cmd_vel' in out


def test_info_describes_a_checkpoint(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    assert main(['info', str(tiny_checkpoint)]) == 0
    assert 'RobotMultiSensorModel' in capsys.readouterr().out


def change(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize('metadata', [
    {}, {'robot': None, 'data': [1], 'history': {'a': 1}},
    {'robot': {}, 'data': {'x': '\x1b[2J' * 1000, 'y': 1}, 'history': [1]},
    {'history': [{'a\n': 'b', 'loss': None, 'x': [[1]]}]},
])
def test_info_of_a_checkpoint_that_says_anything_about_itself(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, metadata: dict[str, Any]
) -> None:
    change(tiny_checkpoint, metadata=metadata)
    assert main(['info', str(tiny_checkpoint)]) == 0
    out = capsys.readouterr().out
    assert 'unknown; the policy node asks for allow_unknown_robot' in out
    assert all(line.isprintable() and len(line) <= 500 for line in out.splitlines())


@pytest.mark.parametrize('robot', [1, [1], {'rate': 1e300}, {'name': 'x' * 10**5}])
def test_info_of_a_checkpoint_with_a_wrong_robot(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, robot: object
) -> None:
    change(tiny_checkpoint, metadata={'robot': robot})
    line = fails(capsys, ['info', str(tiny_checkpoint)], 1)
    assert 'metadata.robot: ' in line
    assert len(line) <= 520


@pytest.mark.parametrize('changes', [
    {'config': {'num_spike_steps': 10**9}}, {'config': {'liquid_units': 10**9}},
    {'sha256': '\x1b' * 64}, {'format': 'x' * 10**6}, {'model_class': [[[1]]]}, {'config': 1},
])
def test_info_of_a_hostile_checkpoint_is_one_short_line(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, changes: dict[str, Any]
) -> None:
    change(tiny_checkpoint, **changes)
    line = fails(capsys, ['info', str(tiny_checkpoint)], 1)
    assert str(tiny_checkpoint) in line
    assert line.isprintable()
    assert len(line) <= 520


@pytest.mark.parametrize('name', ['it.yaml', 'it.mcap', 'it.db3', 'it'])
def test_info_of_what_is_no_file_is_one_line(
    capsys: pytest.CaptureFixture[str], not_a_file: Path, name: str
) -> None:
    path = not_a_file.rename(not_a_file.with_name(name))
    if path.is_dir():
        assert main(['info', str(path)]) == 1  # a folder without a recording in it
        return
    assert str(path) in fails(capsys, ['info', str(path)], 1)


def test_one_recording_that_cannot_be_trusted_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, bag: Path
) -> None:
    bad = tmp_path / 'bad'
    bad.mkdir()
    (bad / 'metadata.yaml').write_text('a: 1\na: 2')
    assert main(['info', str(tmp_path)]) == 1  # the good one lacks the sensors
    out = capsys.readouterr().out
    assert 'bad: not used' in out
    assert f'{bag}: ' in out
    assert main(['train', str(bad), str(bag), '-o', str(tmp_path / 'model')]) == 1
    assert 'bad: not used' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['config.json', 'model.safetensors'])
def test_info_of_a_checkpoint_whose_files_are_none(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, not_a_file: Path, name: str
) -> None:
    (tiny_checkpoint / name).unlink()
    not_a_file.rename(tiny_checkpoint / name)
    assert name in fails(capsys, ['info', str(tiny_checkpoint)], 1)


def test_a_trained_model_is_not_replaced_unasked(
    capsys: pytest.CaptureFixture[str], bag: Path, tiny_checkpoint: Path
) -> None:
    before = (tiny_checkpoint / 'model.safetensors').read_bytes()
    line = fails(capsys, ['train', str(bag), '-o', str(tiny_checkpoint)], 1)
    assert '--resume' in line
    assert '--overwrite' in line
    assert (tiny_checkpoint / 'model.safetensors').read_bytes() == before


def test_a_checkpoint_without_a_robot_is_said(
    capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import liquidspike_ros.sim.evaluation as evaluation

    class Report:
        def lines(self) -> list[str]:
            return []

    monkeypatch.setattr(evaluation, 'evaluate', lambda options: Report())
    assert main(['evaluate', str(tiny_checkpoint)]) == 0
    assert capsys.readouterr().err == ''
    change(tiny_checkpoint, metadata={})
    assert main(['evaluate', str(tiny_checkpoint)]) == 0
    assert 'does not say which robot it was trained for' in capsys.readouterr().err


@pytest.mark.parametrize('value', [
    '[' * 1000, '1e999', '1' * 400, '&a [*a]', '!!python/name:os.system', '{a: 1, a: 2}'])
def test_values_on_the_command_line_are_bounded_too(
    capsys: pytest.CaptureFixture[str], value: str
) -> None:
    line = fails(capsys, ['train', 'bag', '-o', 'x', '--set', f'optimiser.clip={value}'], 2)
    assert len(line) <= 540


def test_numbers_are_read_as_ros_reads_them() -> None:
    from liquidspike_ros.cli.train import setting

    assert setting('optimiser.learning_rate=3e-4') == ('optimiser.learning_rate', 3e-4)
    assert setting('loss.weights=[1, 2.5]') == ('loss.weights', [1, 2.5])


def test_version_names_the_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['version']) == 0
    assert 'torch 2.' in capsys.readouterr().out


def test_version_says_where_single_ticks_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(['version']) == 0
    told = capsys.readouterr().out
    assert 'run in C, built for ' in told or f'run in torch: {native.reason()}\n' in told
    monkeypatch.setattr(native, 'kernels', lambda: None)
    monkeypatch.setattr(native, 'reason', lambda: 'LIQUIDSPIKE_NATIVE=0 is set')
    assert main(['version']) == 0
    assert 'run in torch: LIQUIDSPIKE_NATIVE=0 is set\n' in capsys.readouterr().out


@pytest.mark.parametrize('command', [m.__name__.rpartition('.')[2] for m in COMMANDS])
def test_help_teaches_by_examples(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, '--help']) == 0
    out = capsys.readouterr().out
    assert f'examples:\n  liquidspike {command}' in out


def test_help_needs_neither_torch_nor_simulator_nor_ros() -> None:
    code = (
        'import sys\n'
        'from liquidspike_ros.cli import main\n'
        'main(["--help"])\n'
        'heavy = {"torch", "mujoco", "rclpy", "numpy", "cv2"} & set(sys.modules)\n'
        'assert not heavy, heavy\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_interrupt_leaves_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import liquidspike_ros.sim.evaluation as evaluation

    def interrupted(options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, 'evaluate', interrupted)
    assert 'interrupted' in fails(capsys, ['evaluate', 'expert'], 130)


def test_faults_of_the_program_keep_their_traceback() -> None:
    assert explain(ZeroDivisionError('x')) == []
    assert explain(ValueError('from some library')) == []


@pytest.mark.parametrize(
    ('error', 'said'),
    [
        (ModuleNotFoundError('No module', name='mujoco'), "pip install 'liquidspike_ros[sim]'"),
        (ModuleNotFoundError('No module', name='rclpy.node'), "'liquidspike_ros[ros]'"),
        (ModuleNotFoundError('No module', name='onnxruntime'), "'liquidspike_ros[export]'"),
        (PermissionError(13, 'Permission denied', 'out'), 'out: Permission denied'),
        (PermissionError(13, 'Permission denied', 'a\x1b[2J'), r'a\x1b[2J: Permission denied'),
        (FileNotFoundError('x' * 10**6), 'xxx…xxx'),
        (FileNotFoundError('files not found'), 'files not found'),
    ],
)
def test_expected_errors_say_what_to_do(error: Exception, said: str) -> None:
    (line,) = explain(error)
    assert said in line
