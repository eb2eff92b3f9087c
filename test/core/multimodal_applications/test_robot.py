from __future__ import annotations

from collections.abc import Callable
import copy
import json
import pickle

import pytest
import torch

from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
from liquidspike_ros.core.multimodal_fusion import FusionStrategy

STRATEGIES = [strategy.value for strategy in FusionStrategy]
SMALL = {
    'camera_size': (3, 36, 48), 'num_sensors': 6, 'fusion_dim': 16, 'action_dim': 2,
    'sensor_window': 8, 'lidar_shape': (2, 36), 'audio_channels': 2, 'audio_window': 800,
    'audio_mels': 16, 'camera_architecture': 'simple', 'encoder_dim': 12, 'liquid_units': 8,
    'spiking_units': 10, 'num_spike_steps': 4,
}


def small(seed: int = 0, **arguments) -> RobotMultiSensorModel:
    torch.manual_seed(seed)
    return RobotMultiSensorModel(**SMALL | arguments).eval()


def sensed(batch: int, ticks: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        'camera': torch.rand(batch, ticks, 3, 36, 48, generator=generator),
        'sensors': torch.randn(batch, ticks, 6, 8, generator=generator),
        'lidar': torch.rand(batch, ticks, 2, 36, generator=generator),
        'audio': torch.randn(batch, ticks, 2, 800, generator=generator) * 0.1,
    }


def test_the_users_call_with_the_users_defaults():
    model = RobotMultiSensorModel().eval()
    assert model.modalities == ('camera', 'sensors')
    assert model.network.fusion_strategy is FusionStrategy.EARLY
    action = model(torch.rand(2, 3, 224, 224), torch.randn(2, 10))
    assert action.shape == (2, 7)


def test_modalities_come_in_their_fixed_order():
    assert small().modalities == ('camera', 'sensors', 'lidar', 'audio')
    assert small(camera_size=None, num_sensors=0).modalities == ('lidar', 'audio')


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_forward_is_one_step_from_rest(strategy):
    model = small(fusion_strategy=strategy)
    now = {name: value[:, 0] for name, value in sensed(2, 1).items()}
    expected, _, expected_info = model.step(now, return_info=True)
    action, info = model(*now.values(), return_modality_features=True, return_attention_maps=True)
    torch.testing.assert_close(action, expected)
    torch.testing.assert_close(info.weights, expected_info.weights)
    torch.testing.assert_close(model(now['camera'], None), model.step({'camera': now['camera']})[0])


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_unroll_is_repeated_step_from_raw_sensors(strategy):
    model = small(fusion_strategy=strategy)
    inputs = sensed(2, 5)
    torch.manual_seed(1)
    dt, present = torch.rand(2, 5) * 0.2, torch.rand(2, 5, 4) > 0.3
    with torch.no_grad():
        actions, _ = model.unroll(inputs, None, dt, present)
        state = None
        for tick in range(5):
            now = {name: value[:, tick] for name, value in inputs.items()}
            action, state = model.step(now, state, dt[:, tick], present[:, tick])
            torch.testing.assert_close(action, actions[:, tick], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('dead', range(4))
def test_a_dead_sensor_full_of_nan_poisons_neither_action_nor_gradient(strategy, dead):
    model = small(fusion_strategy=strategy).train()
    inputs = sensed(2, 3)
    name = model.modalities[dead]
    inputs[name] = torch.full_like(inputs[name], float('nan'))
    present = torch.ones(2, 3, 4, dtype=torch.bool)
    present[..., dead] = False
    actions, _ = model.unroll(inputs, None, 0.1, present)
    actions.square().sum().backward()
    assert bool(torch.isfinite(actions).all())
    for parameter in model.parameters():
        assert parameter.grad is None or bool(torch.isfinite(parameter.grad).all())
    without = {key: value for key, value in inputs.items() if key != name}
    torch.testing.assert_close(model.unroll(without, None, 0.1)[0], actions)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_all_weights_that_should_learn_get_a_gradient(strategy):
    model = small(fusion_strategy=strategy).train()
    inputs = sensed(4, 6)
    present = torch.rand(4, 6, 4, generator=torch.Generator().manual_seed(0)) > 0.3
    actions, _ = model.unroll(inputs, None, 0.1, present)
    actions.square().sum().backward()
    idle = [name for name, parameter in model.named_parameters()
            if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())]
    assert idle == []


def test_digital_silence_and_darkness_are_finite():
    model = small().train()
    inputs = {name: torch.zeros_like(value) for name, value in sensed(2, 2).items()}
    actions, _ = model.unroll(inputs)
    actions.sum().backward()
    assert bool(torch.isfinite(actions).all())
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_state_is_kept_detached_and_reset_row_by_row():
    model = small()
    now = {name: value[:, 0] for name, value in sensed(2, 1).items()}
    first, state = model.step(now)
    state = model.detach_state(state)
    second, _ = model.step(now, state)
    again, _ = model.step(now, model.reset_state(state, torch.tensor([True, False])))
    assert not torch.allclose(first, second)
    torch.testing.assert_close(again[0], first[0])
    torch.testing.assert_close(again[1], second[1])
    assert not again.isnan().any()


def test_control_rate_sets_what_one_tick_is():
    now = {name: value[:, 0] for name, value in sensed(1, 1).items()}
    slow, fast = small(control_rate=10.0), small(control_rate=50.0)
    torch.testing.assert_close(slow.step(now, dt=0.1)[0], fast.step(now, dt=0.02)[0])


def test_config_rebuilds_the_model_from_json():
    model = small(fusion_strategy=FusionStrategy.LATE, modality_dropout={'audio': 0.2})
    config = json.loads(json.dumps(model.config))
    twin = RobotMultiSensorModel(**config)
    twin.load_state_dict(model.state_dict())
    inputs = sensed(1, 2)
    torch.testing.assert_close(twin.eval().unroll(inputs)[0], model.unroll(inputs)[0])


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_copies_and_pickles(strategy):
    model = small(fusion_strategy=strategy)
    inputs = sensed(1, 2)
    expected, _ = model.unroll(inputs)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.unroll(inputs)[0], expected)


@pytest.mark.slow
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_exports_as_one_graph(strategy):
    class Tick(torch.nn.Module):
        def __init__(self, model: RobotMultiSensorModel) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs, state, dt, present):
            return self.model.step(inputs, state, dt, present)

    model = small(fusion_strategy=strategy)
    now = {name: value[:, 0] for name, value in sensed(1, 1).items()}
    arguments = (now, model.init_state(1), torch.tensor([0.07]), torch.ones(1, 4).bool())
    with torch.no_grad():
        program = torch.export.export(Tick(model), arguments)
        got, expected = program.module()(*arguments), model.step(*arguments)
    torch.testing.assert_close(got, expected)


@pytest.mark.gpu
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_the_gpu_computes_what_the_cpu_does(strategy):
    model = small(fusion_strategy=strategy).double()
    inputs = {name: value.double() for name, value in sensed(2, 4).items()}
    expected, _ = model.unroll(inputs)
    got, state = model.cuda().unroll({name: value.cuda() for name, value in inputs.items()})
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-4, atol=1e-4)
    assert all(value.is_cuda for entry in state.values() for value in _tensors(entry))


def _tensors(state: dict) -> list[torch.Tensor]:
    found = []
    for value in state.values():
        found += _tensors(value) if isinstance(value, dict) else [value]
    return found


def _train(model: RobotMultiSensorModel, steps: int,
           draw: Callable[[int], tuple[dict[str, torch.Tensor], torch.Tensor]]) -> float:
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(steps):
        inputs, target = draw(step)
        loss = (model.unroll(inputs)[0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        inputs, target = draw(10_000)
        return float((model.unroll(inputs)[0] - target).square().mean())


@pytest.mark.slow
def test_it_learns_to_remember_what_it_sensed_before():
    """The answer is shown in the first two ticks only and asked for until the eighth."""
    def draw(step: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        generator = torch.Generator().manual_seed(step)
        sign = torch.randint(0, 2, (32, 1, 1), generator=generator) * 2.0 - 1.0
        readings = torch.randn(32, 8, 4, generator=generator) * 0.1
        readings[:, :2] += sign
        return {'sensors': readings}, sign.expand(32, 8, 1)

    torch.manual_seed(0)
    model = RobotMultiSensorModel(None, 4, 16, 1, encoder_dim=16, liquid_units=16,
                                  spiking_units=24, num_spike_steps=4)
    assert _train(model, 150, draw) < 0.1  # 1.0 for a model without memory


Shape = tuple[int, ...]


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        ('camera', (2, 3, 36, 47), r'camera: got shape .*47\), expected \[B, 3, 36, 48\]'),
        ('camera', (3, 36, 48), r'camera: got shape \(3, 36, 48\), expected \[B, 3, 36, 48\]'),
        ('sensors', (2, 6), r'sensors: got shape \(2, 6\), expected \[B, 6, 8\]'),
        ('lidar', (2, 2, 35), r'lidar: got .* expected \[B, 2, 36\]'),
        ('audio', (2, 1, 800), r'audio: got .* expected \[B, 2, 800\]'),
    ],
)
def test_a_wrong_input_is_named(name: str, shape: Shape, message: str):
    now = {key: value[:, 0] for key, value in sensed(2, 1).items()}
    with pytest.raises(ValueError, match=message):
        small().step(now | {name: torch.zeros(shape)})


def test_an_input_the_robot_does_not_have_is_named():
    model = small(lidar_shape=None)
    now = {name: value[:, 0] for name, value in sensed(1, 1).items()}
    with pytest.raises(ValueError, match="inputs: got 'lidar', expected names among camera"):
        model(now['camera'], now['sensors'], now['lidar'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'camera_size': (36, 48)}, r'camera_size: got \(36, 48\), expected \(channels, height'),
        ({'num_sensors': -1}, 'num_sensors: got -1'),
        ({'sensor_window': 0}, 'sensor_window: got 0'),
        ({'lidar_shape': (1, 36)}, r'lidar_shape: got \(1, 36\), expected \(2, beams\)'),
        ({'audio_window': 0}, 'audio_window: got 0'),
        ({'camera_size': (3, 10**9, 48)}, r'camera_size: got 1000000000, expected .* 65536\]'),
        ({'camera_size': 3}, 'camera_size: got 3, expected'),
        ({'camera_size': (3, 36.0, 48)}, 'camera_size: got 36.0, expected a whole number'),
        ({'lidar_shape': (2, 10**9)}, 'lidar_shape: got 1000000000'),
        ({'audio_mels': 10**9}, 'audio_mels: got 1000000000, expected a whole number in'),
        ({'audio_channels': 10**6}, 'audio_channels: got 1000000'),
        ({'action_dim': 2.0}, 'action_dim: got 2.0, expected a whole number in'),
        ({'num_attention_heads': True}, 'num_attention_heads: got True'),
        ({'num_spike_steps': 10**9}, 'num_spike_steps: got 1000000000'),
        ({'control_rate': float('inf')}, 'dt_scale: got inf'),
        ({'backbone': 'ncp', 'liquid_units': 10**4}, 'units: got 10000, .* at most 4096'),
        ({'camera_architecture': 'vit'}, "architecture: got 'vit'"),
        ({'fusion_strategy': 'mid'}, "fusion_strategy: got 'mid'"),
        ({'camera_size': None, 'num_sensors': 0, 'lidar_shape': None, 'audio_channels': None},
         'got none of them, expected at least one sensor'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)
