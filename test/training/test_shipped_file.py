"""The shipped config/train.yaml trains any robot: any command width, any sensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from liquidspike_ros.core.checkpoint import from_pretrained
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.configuration import load_train_config, TrainConfig, TrainingError
from liquidspike_ros.training.console import Console
from liquidspike_ros.training.objectives import ActionLoss
from liquidspike_ros.training.trainer import train

FILE = Path(__file__).parents[2] / 'config' / 'train.yaml'
SMALL = {
    'model.fusion_dim': 32, 'model.encoder_dim': 32, 'model.spiking_units': 8,
    'model.liquid_units': 8, 'model.num_spike_steps': 2, 'data.lanes': 2, 'data.ticks': 8,
    'data.workers': 1, 'optimiser.epochs': 1, 'threads': 1,
}
JOINTS = ('shoulder', 'elbow', 'wrist', 'pan', 'tilt', 'lift', 'grip')
TWIST = ('linear.x', 'linear.y', 'linear.z', 'angular.x', 'angular.y', 'angular.z')
ALL = ('camera', 'imu', 'lidar', 'audio')


class Ear(Console):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def robot_with(names: tuple[str, ...], kind: str, sensors: tuple[str, ...] = ALL,
               **lidar: float) -> RobotSpec:
    width = len(names)
    shapes: dict[str, dict[str, Any]] = {
        'camera': {'width': 16, 'height': 12}, 'imu': {'rate': 60.0, 'window': 4},
        'lidar': {'beams': 8, **lidar},
        'audio': {'sample_rate': 2000, 'channels': 2, 'window': 200}}
    return RobotSpec.from_dict({
        'rate': 15.0, 'trigger': sensors[0],
        'sensors': {name: {**shape, 'enabled': name in sensors} for name, shape in shapes.items()},
        'command': {
            'kind': kind, 'names': list(names), 'lower': [-1.0] * width, 'upper': [1.0] * width,
            'max_acceleration': [5.0] * width, 'max_deceleration': [5.0] * width,
            'stop_deceleration': [5.0] * width, 'safe': [0.0] * width}})


@pytest.fixture
def learn(make_bag: Any, toy_drive: Any, messages: Any, tmp_path: Path) -> Any:
    """Train a robot with the shipped file, on a drive whose commands it understands."""

    def run(robot: RobotSpec, **settings: Any) -> tuple[Ear, dict[str, Any]]:
        width = len(robot.command.names)
        rows = toy_drive(3.0)
        if robot.command.kind == 'float64_multi_array':
            rows = [(time, topic, messages.array([0.1 * i for i in range(width)])
                     if topic == '/cmd_vel' else message) for time, topic, message in rows]
        console = Ear()
        config = load_train_config(FILE).override({**SMALL, **settings})
        train([make_bag(rows=rows)], tmp_path / 'model', robot, config, console=console)
        model, metadata = from_pretrained(tmp_path / 'model')
        assert model.config['action_dim'] == width
        return console, metadata['training']

    return run


@pytest.mark.parametrize(('names', 'kind'), [
    (('linear.x',), 'twist'), (('angular.z',), 'twist'), (TWIST[::2], 'twist'), (TWIST, 'twist'),
    (JOINTS[:1], 'float64_multi_array'), (JOINTS[:3], 'float64_multi_array'),
    (JOINTS, 'float64_multi_array')])
def test_any_command(learn: Any, names: tuple[str, ...], kind: str) -> None:
    console, settings = learn(robot_with(names, kind))
    known = kind == 'twist'
    assert settings['augment']['mirror'] == (0.5 if known else 0.0)
    told = [line for line in console.said if 'mirror' in line]
    assert bool(told) is not known
    if told:
        assert "command.names has 'shoulder'" in told[0]
        assert 'nothing is mirrored' in told[0]


@pytest.mark.parametrize('sensors', [(name,) for name in ALL] + [('imu', 'lidar', 'audio')],
                         ids='-'.join)
def test_any_sensors(learn: Any, sensors: tuple[str, ...]) -> None:
    learn(robot_with(('linear.x', 'angular.z'), 'twist', sensors))


def test_a_lidar_that_looks_to_one_side_is_not_mirrored_and_that_is_said(learn: Any) -> None:
    robot = robot_with(('linear.x', 'angular.z'), 'twist', angle_min=-1.0, angle_max=2.0)
    console, settings = learn(robot)
    assert settings['augment']['mirror'] == 0.0
    assert any('symmetric about 0: nothing is mirrored' in line for line in console.said)


@pytest.mark.parametrize(('written', 'meant'), [
    ([2.0], (2.0,)), (2, (2.0,)), (0.5, (0.5,)), ('', ()), ([], ()), ([1, 2], (1.0, 2.0))])
def test_weights_as_they_may_be_written(written: Any, meant: tuple[float, ...]) -> None:
    assert TrainConfig.from_dict({'loss': {'weights': written}}).loss.weights == meant


@pytest.mark.parametrize('written', [True, 'heavy', [-1.0], [0.0], 0.0, ['a'], {'v': 1.0}])
def test_weights_that_are_none(written: Any) -> None:
    with pytest.raises(TrainingError, match=r'loss\.weights'):
        TrainConfig.from_dict({'loss': {'weights': written}})


@pytest.mark.parametrize('width', [1, 3, 7])
def test_one_weight_is_for_all(width: int) -> None:
    config = TrainConfig.from_dict({'loss': {'weights': [3.0]}}).loss
    assert ActionLoss(config, JOINTS[:width]).weights.tolist() == pytest.approx([1 / width] * width)


def test_a_wrong_number_of_weights_shows_before_anything_is_read(tmp_path: Path) -> None:
    config = load_train_config(FILE).override({'loss.weights': [1.0, 2.0]})
    console = Ear()
    with pytest.raises(TrainingError, match=r'loss.weights: got 2 numbers, expected one, or 3'):
        train([tmp_path / 'none'], tmp_path / 'model', robot_with(TWIST[:3], 'twist'), config,
              console=console)
    assert console.said == []


@pytest.mark.parametrize('device', ['tpu', 'cuda:99', 'gpu0', 'meta:x'])
def test_a_device_that_does_not_work_shows_before_anything_is_read(
        tmp_path: Path, device: str) -> None:
    config = load_train_config(FILE).override({'device': device})
    with pytest.raises(TrainingError, match=r"device: got '.*expected cpu, cuda or cuda:N"):
        train([tmp_path / 'none'], tmp_path / 'model', robot_with(TWIST[:1], 'twist'), config,
              console=Ear())
