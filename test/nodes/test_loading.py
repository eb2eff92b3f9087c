from __future__ import annotations

import dataclasses
import json
from pathlib import Path
import shutil

import pytest
import torch

from liquidspike_ros.control import precision
from liquidspike_ros.control.policy_runtime import PolicyError
from liquidspike_ros.core.checkpoint import CheckpointError
from liquidspike_ros.nodes.loading import choose_device, compare, load_policy
from liquidspike_ros.robot import CommandSpec, LidarSpec, RobotSpec


def test_a_checkpoint_comes_back_warm_and_without_warnings(checkpoint: Path) -> None:
    policy = load_policy(str(checkpoint), RobotSpec(), 'cpu')
    assert policy.runtime.warm
    assert policy.device == 'cpu'
    assert policy.warnings == ()


def test_what_was_asked_for_and_does_not_run_here_is_told(checkpoint: Path) -> None:
    policy = load_policy(str(checkpoint), RobotSpec(), 'cpu', runtime='cudagraph')
    assert policy.runtime.mode == 'eager'
    assert policy.warnings == ('runtime: asked for cudagraph, runs eager (cudagraph: got device '
                               'cpu, expected a CUDA device)',)


def test_a_precision_that_moves_the_actions_is_told(
        checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, 'TOLERANCE', 0.0)
    policy = load_policy(str(checkpoint), RobotSpec(), 'cpu', precision='bfloat16')
    assert policy.runtime.precision == 'float32'
    (warning,) = policy.warnings
    assert warning.startswith('precision: asked for bfloat16, runs in float32 (bfloat16: actions')


def test_no_model_says_how_to_give_one() -> None:
    with pytest.raises(CheckpointError, match='model:=/path'):
        load_policy('', RobotSpec(), 'cpu')


@pytest.mark.parametrize(('robot', 'field'), [
    (RobotSpec(lidar=LidarSpec(beams=90)), 'sensors.lidar.beams: got 90, expected 180'),
    (RobotSpec(lidar=LidarSpec(enabled=False)), 'sensors.lidar.enabled: got False, expected True'),
    (RobotSpec(lidar=LidarSpec(range_max=12.0)), 'sensors.lidar.range_max: got 12.0, expected 8.0'),
    (RobotSpec(command=CommandSpec(names=('linear.x', 'linear.y'))), 'command.names'),
])
def test_what_the_weights_cannot_bear_is_refused_by_name(robot: RobotSpec, field: str) -> None:
    with pytest.raises(CheckpointError, match=field.replace('.', r'\.')):
        compare('m', RobotSpec().to_dict(), robot)


def test_topics_and_ages_may_differ() -> None:
    lidar = LidarSpec(topic='front/scan', max_age=0.3, required=True)
    assert compare('m', RobotSpec().to_dict(), RobotSpec(lidar=lidar)) == []


def test_other_limits_and_rates_are_told() -> None:
    robot = RobotSpec(command=CommandSpec(upper=(0.3, 2.0)), rate=10.0)
    limits, rate = compare('m', RobotSpec().to_dict(), dataclasses.replace(
        robot, audio=dataclasses.replace(robot.audio)))
    assert '0.3' in limits
    assert '0.6' in limits
    assert '10 Hz, trained with 15 Hz' in rate


@pytest.mark.parametrize('stored', [None, {}])
def test_a_checkpoint_without_a_robot_drives_only_if_allowed_by_name(stored: object) -> None:
    with pytest.raises(CheckpointError, match=r'does not say which robot.*allow_unkn'):
        compare('m', stored, RobotSpec())
    (warning,) = compare('m', stored, RobotSpec(), allow_unknown_robot=True)
    assert 'does not say' in warning


@pytest.mark.parametrize('stored', [[1], 'beacon', {'rate': 'x'}, {'sensors': [1]}])
def test_a_robot_that_is_none_is_refused_whatever_is_allowed(stored: object) -> None:
    with pytest.raises(CheckpointError, match=r'm/config\.json: metadata\.robot: '):
        compare('m', stored, RobotSpec(), allow_unknown_robot=True)


def without_robot(checkpoint: Path, tmp_path: Path) -> Path:
    shutil.copytree(checkpoint, tmp_path / 'nobodys')
    path = tmp_path / 'nobodys' / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'metadata': {}}))
    return path.parent


def test_an_allowed_checkpoint_without_a_robot_is_still_checked_by_shape(
        checkpoint: Path, tmp_path: Path) -> None:
    model = str(without_robot(checkpoint, tmp_path))
    with pytest.raises(CheckpointError, match='does not say which robot'):
        load_policy(model, RobotSpec(), 'cpu')
    assert load_policy(model, RobotSpec(), 'cpu', allow_unknown_robot=True).warnings
    with pytest.raises((CheckpointError, PolicyError), match=r'beams|lidar_shape'):
        load_policy(model, RobotSpec(lidar=LidarSpec(beams=90)), 'cpu', allow_unknown_robot=True)


def test_auto_is_the_cpu_where_there_is_no_gpu_and_a_named_gpu_is_an_error(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert choose_device('auto') == 'cpu'
    with pytest.raises(ValueError, match=r"'cuda:0'.*expected auto or cpu"):
        choose_device('cuda:0')


@pytest.mark.gpu
def test_auto_takes_the_gpu_and_the_policy_lives_there(checkpoint: Path) -> None:
    policy = load_policy(str(checkpoint), RobotSpec(), 'auto')
    assert policy.device == 'cuda'
    assert policy.runtime.device.type == 'cuda'
