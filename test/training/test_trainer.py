"""Training learns, survives interruption, goes on where it stood, and refuses nonsense."""

from __future__ import annotations

from itertools import pairwise
import json
import math
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training.bags import BagError
from liquidspike_ros.training.configuration import (
    LossConfig,
    OptimiserConfig,
    TrainConfig,
    TrainingError,
)
from liquidspike_ros.training.dataset import Dataset
from liquidspike_ros.training.model_building import build_model
from liquidspike_ros.training.objectives import ActionLoss
from liquidspike_ros.training.schedule import AveragedWeights, Schedule
from liquidspike_ros.training.trainer import train, Trainer

SETTINGS = {
    'model': {'camera_architecture': 'simple', 'fusion_strategy': 'hybrid', 'fusion_dim': 16,
              'encoder_dim': 32, 'num_attention_heads': 2, 'spiking_units': 32,
              'liquid_units': 32, 'num_spike_steps': 8},
    'data': {'lanes': 4, 'ticks': 6, 'workers': 1, 'validation': 0.25},
    'optimiser': {'epochs': 15, 'learning_rate': 0.004, 'average': 0.9},
}


class Quiet:
    """Collects what would be shown."""

    def __init__(self):
        self.lines = []
        self.steps = []
        self.on_step = lambda report: None

    def say(self, text):
        self.lines.append(text)

    def recording(self, done, count, line, problem):
        self.lines.append(line)

    def step(self, report):
        self.steps.append(report)
        self.on_step(report)

    def close(self):
        pass


@pytest.fixture(scope='module')
def settings():
    return TrainConfig.from_dict(SETTINGS)


@pytest.fixture(scope='module')
def bags(tmp_path_factory, write_bag, toy_drive):
    folder = tmp_path_factory.mktemp('bags')
    return [write_bag(folder / f'drive_{i}', toy_drive(8, i)) for i in range(4)]


@pytest.fixture(scope='module')
def trained(bags, robot, settings, tmp_path_factory):
    """One whole training run: its folder and its result."""
    output = tmp_path_factory.mktemp('trained') / 'model'
    return output, train(bags, output, robot, settings, console=Quiet())


@pytest.mark.xdist_group('trained')
def test_a_learnable_task_is_learnt(trained):
    """The toy drive's pictures say how to turn; held-out drives must come out right."""
    _, result = trained
    first, last = result.history[0], result.history[-1]
    # Typically a factor of ten to twenty; how far it gets depends on rounding, thus on threads.
    assert last['validation_loss'] < first['validation_loss'] / 4
    assert last['error_angular.z'] < 0.4  # of labels uniform in ±2 rad/s
    assert last['train_loss'] < first['train_loss'] / 4
    assert not result.interrupted
    assert result.best == min(row['validation_loss'] for row in result.history)


@pytest.mark.xdist_group('trained')
def test_checkpoint_reproduces_the_best_validation(trained, bags, robot, settings, tmp_path):
    output, result = trained
    model, metadata = from_pretrained(output)
    dataset = Dataset(bags, robot, settings.data)
    trainer = Trainer(model, dataset, robot, settings, tmp_path / 'other', Quiet())
    again = trainer.validate(dataset.split(0.25, settings.seed)[1])
    assert again['validation_loss'] == pytest.approx(result.best, rel=1e-4)
    assert RobotSpec.from_dict(metadata['robot']) == robot
    assert TrainConfig.from_dict(metadata['training']) == settings
    assert metadata['data']['recordings'] == 4
    assert metadata['history'][-1]['validation_loss'] == pytest.approx(result.best)


def test_no_path_of_this_machine_in_a_checkpoint(bags, robot, settings, tmp_path):
    settings = settings.override({'optimiser.epochs': 1, 'data.cache': str(tmp_path / 'cache')})
    train(bags, tmp_path / 'model', robot, settings, console=Quiet())
    assert list((tmp_path / 'cache').iterdir())
    assert str(tmp_path) not in (tmp_path / 'model' / 'config.json').read_text()


def test_same_seed_same_weights(bags, robot, settings, tmp_path):
    settings = settings.override({'optimiser.epochs': 1, 'augment.mirror': 0.5,
                                  'augment.drop_imu': 0.2})
    for name in ('one', 'two'):
        train(bags, tmp_path / name, robot, settings, console=Quiet())
    one, two = (from_pretrained(tmp_path / name)[0].state_dict() for name in ('one', 'two'))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.xdist_group('trained')
def test_resume_goes_on_where_it_stood(trained, bags, robot, settings, tmp_path):
    output, first = trained
    shutil.copytree(output, tmp_path / 'model')
    console = Quiet()
    longer = settings.override({'optimiser.epochs': 17})
    second = train(bags, tmp_path / 'model', robot, longer, resume=True, console=console)
    assert (first.epochs, second.epochs) == (15, 17)
    assert console.steps[0].step == first.steps + 1
    assert second.history[:15] == first.history
    assert second.history[15]['train_loss'] < first.history[1]['train_loss'] / 2
    assert second.best <= first.best
    assert second.minutes > first.minutes


def test_resume_restores_weights_moments_and_average(bags, robot, settings, tmp_path):
    settings = settings.override({'optimiser.epochs': 1})
    dataset = Dataset(bags, robot, settings.data)
    one = Trainer(build_model(robot, settings), dataset, robot, settings, tmp_path, Quiet())
    one.run()
    two = Trainer(build_model(robot, settings), dataset, robot, settings, tmp_path, Quiet())
    two.resume()
    for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.equal(a, b)
    for name, value in one.average.values.items():
        assert torch.equal(value, two.average.values[name])
    moments = [t.optimiser.state_dict()['state'] for t in (one, two)]
    assert moments[0].keys() == moments[1].keys()
    for index, entry in moments[0].items():
        assert entry.keys() == moments[1][index].keys()
        assert all(torch.equal(v, moments[1][index][k]) for k, v in entry.items())


def test_fine_tuning_starts_from_the_checkpoint(trained, bags, robot, settings, tmp_path):
    output, result = trained
    fresh = settings.override({'optimiser.epochs': 1, 'optimiser.learning_rate': 1e-4,
                               'model.fusion_dim': 64})  # the checkpoint's own width wins
    tuned = train(bags, tmp_path / 'second', robot, fresh, init_from=output, console=Quiet())
    assert tuned.history[0]['validation_loss'] < 2 * result.best
    assert tuned.history[0]['validation_loss'] < result.history[0]['validation_loss'] / 4
    assert from_pretrained(tmp_path / 'second')[0].config['fusion_dim'] == 16


def test_fine_tuning_for_another_robot_is_refused(trained, bags, robot, settings, tmp_path):
    wider = RobotSpec.from_dict({**robot.to_dict(), 'sensors': {
        **robot.to_dict()['sensors'], 'lidar': {'beams': 16}}})
    with pytest.raises(TrainingError, match=r'lidar_shape is \[2, 8\], expected \(2, 16\)'):
        train(bags, tmp_path / 'second', wider, settings, init_from=trained[0])
    assert not (tmp_path / 'second').exists()


def test_time_budget_ends_training_with_the_schedule_run_down(bags, robot, settings, tmp_path):
    settings = settings.override({'optimiser.epochs': 100_000, 'optimiser.max_minutes': 0.06})
    console = Quiet()
    result = train(bags, tmp_path / 'model', robot, settings, console=console)
    assert not result.interrupted
    assert result.epochs < 1000
    # How much of it depends on how long the last steps took.
    assert console.steps[-1].rate < settings.optimiser.learning_rate / 4
    assert from_pretrained(tmp_path / 'model')


SCRIPT = """
    import sys
    from liquidspike_ros.robot import RobotSpec
    from liquidspike_ros.training.configuration import TrainConfig
    from liquidspike_ros.training.trainer import train
    import json
    if __name__ == '__main__':
        robot, config, bags, output = (json.loads(text) for text in sys.argv[1:])
        result = train(bags, output, RobotSpec.from_dict(robot), TrainConfig.from_dict(config))
        assert result.interrupted
        print('ended tidily after', result.steps)
"""


@pytest.mark.parametrize('before_first_epoch', [True, False])
def test_ctrl_c_leaves_a_usable_checkpoint(bags, robot, settings, tmp_path, before_first_epoch):
    """A real SIGINT to a real process."""
    script = tmp_path / 'run.py'
    script.write_text(textwrap.dedent(SCRIPT))
    endless = settings.override({'optimiser.epochs': 100_000,
                                 'data.lanes': 1 if before_first_epoch else 4,
                                 'data.ticks': 1 if before_first_epoch else 6})
    output = tmp_path / 'model'
    process = subprocess.Popen(
        [sys.executable, script, *map(json.dumps, (robot.to_dict(), endless.to_dict(),
                                                   [str(bag) for bag in bags], str(output)))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, 'PYTHONPATH': '.'})
    assert process.stderr
    seen = ''
    for line in process.stderr:
        seen += line
        if ('step 1/' if before_first_epoch else 'epoch 2/100000 [') in line:
            break
    else:
        pytest.fail(seen)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, seen + errors
    assert 'ended tidily' in out
    assert 'interrupted: finishing this step and saving' in errors
    assert 'usable checkpoint' in errors
    assert 'Traceback' not in errors
    for folder in (output, output / 'last'):
        model, metadata = from_pretrained(folder)
        assert RobotSpec.from_dict(metadata['robot']) == robot
        assert all(torch.isfinite(p).all() for p in model.parameters())
    assert (len(metadata['history']) == 0) == before_first_epoch
    resumed = train(bags, output, robot,
                    settings.override({'optimiser.epochs': len(metadata['history']) + 1}),
                    resume=True, console=Quiet())
    assert resumed.epochs == len(metadata['history']) + 1


def test_non_finite_gradients_are_left_out_then_given_up(bags, robot, settings, tmp_path):
    dataset = Dataset(bags, robot, settings.data)
    trainer = Trainer(build_model(robot, settings), dataset, robot, settings, tmp_path / 'm',
                      console := Quiet())
    poisoned = dataset.episodes[0]
    poisoned.labels[3] = math.nan
    before = [p.detach().clone() for p in trainer.model.parameters()]
    for batch in iter(trainer.lanes):
        state, loss = trainer._train_step(batch, None)
        if math.isnan(loss):
            break
        before = [p.detach().clone() for p in trainer.model.parameters()]
    assert state is None
    assert all(map(torch.equal, before, trainer.model.parameters()))
    assert any('not finite, left out' in line for line in console.lines)
    for episode in dataset.episodes:
        episode.labels[:] = math.nan
    with pytest.raises(TrainingError, match='without a finite gradient'):
        trainer.run()


def test_nothing_is_written_when_nothing_can_be_learnt(tmp_path, robot, settings):
    (tmp_path / 'broken.mcap').write_bytes(b'nothing')
    with pytest.raises(BagError, match=r'broken\.mcap: not used'):
        train([tmp_path / 'broken.mcap'], tmp_path / 'model', robot, settings, console=Quiet())
    with pytest.raises(TrainingError, match='model: '):
        train([], tmp_path / 'model', robot, settings.override({'model.no_such_option': 1}))
    with pytest.raises(TrainingError, match=r'loss\.weights: got 3 numbers, expected .*2'):
        ActionLoss(LossConfig(weights=(1.0, 1.0, 1.0)), robot.command.names)
    with pytest.raises(CheckpointError, match='no such folder'):
        train([], tmp_path / 'model', robot, settings, resume=True)
    assert not (tmp_path / 'model').exists()


def test_damaged_training_state_is_named(trained, bags, robot, settings, tmp_path):
    shutil.copytree(trained[0], tmp_path / 'model')
    file = tmp_path / 'model' / 'last' / 'training.safetensors'
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r'training\.safetensors: cannot resume'):
        train(bags, tmp_path / 'model', robot, settings, resume=True, console=Quiet())


@pytest.mark.parametrize('kind', ['huber', 'mse'])
def test_loss_against_its_formula(kind):
    random = np.random.default_rng(0)
    actions, labels = random.normal(size=(2, 3, 4, 2))
    weight = (random.random((3, 4)) > 0.5).astype(float)
    error = np.abs(actions - labels)
    delta = 0.4
    each = error ** 2 if kind == 'mse' else np.where(
        error <= delta, error ** 2 / 2, delta * (error - delta / 2))
    expected = ((each * [0.75, 0.25]).sum(-1) * weight).sum() / weight.sum()
    loss = ActionLoss(LossConfig(kind=kind, huber_delta=delta, weights=(3.0, 1.0)), ('v', 'w'))
    got = loss(*(torch.tensor(a) for a in (actions, labels, weight)))
    assert float(got) == pytest.approx(expected, rel=1e-6)
    assert float(loss(*(torch.tensor(a) for a in (actions, labels, weight * 0)))) == 0


def test_schedule():
    schedule = Schedule(OptimiserConfig(learning_rate=1e-2, warm_up=0.1, final_share=0.05,
                                        max_minutes=10), steps=100)
    rates = [schedule.rate(schedule.share(step, 0)) for step in range(101)]
    assert 0 < rates[0] < 1e-3
    assert max(rates) == rates[10] == pytest.approx(1e-2)
    assert rates[100] == pytest.approx(5e-4)
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert schedule.share(10, 5) == 0.5
    assert schedule.share(10, 50) == 1.0


def test_average_follows_and_can_be_put_in_place():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    average = AveragedWeights(model, 0.5)
    expected = 0.0
    for count in range(1, 30):
        torch.nn.init.constant_(model.weight, float(count))
        average.update()
        decay = min(0.5, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * count
    with average.applied():
        assert float(model.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(model.weight.detach()) == 29.0
