from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from liquidspike_ros.control.policy_runtime import PolicyError, PolicyRuntime
from liquidspike_ros.control.tensors import robot_model_config
from liquidspike_ros.core.state import leaves
from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.sensing.observation import Observation

ROBOT = RobotSpec.from_dict({
    'sensors': {'camera': {'width': 16, 'height': 16}, 'imu': {'window': 8}, 'lidar': {'beams': 16},
                'audio': {'sample_rate': 2000, 'window': 400, 'channels': 2}}})


@dataclass
class Info:
    weights: torch.Tensor
    nested: dict


class Counter(nn.Module):
    """Counts ticks in its state and says what it was given; poisoned where told."""

    modalities = ('camera', 'sensors', 'lidar', 'audio')

    def __init__(self):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.poison_state = self.poison_output = False
        self.calls = []

    def step(self, inputs, state=None, dt=1 / 15, present=None, return_info=False):
        count = state['deep'][0] + 1 if state else torch.ones(1, 1)
        assert torch.is_inference_mode_enabled()
        self.calls.append({'dt': dt, 'present': present, 'inputs': inputs})
        action = torch.cat([count, torch.full((1, 1), float(dt))], dim=1)
        if self.poison_output:
            action = action * float('inf')
        steps = torch.ones(3, dtype=torch.int64)
        spoilt = count * float('nan') if self.poison_state else count
        state = {'deep': [count], 'other': {'v': spoilt}, 'steps': steps}
        info = Info(weights=torch.ones(1, 4), nested={'rates': torch.zeros(1, 2), 'none': None})
        return (action, state, info) if return_info else (action, state)


def observation(**changes):
    values = {name: np.zeros(spec.shape, np.uint8 if name == 'camera' else np.float32)
              for name, spec in ROBOT.sensors.items()}
    fields = {'stamp': 0, 'dt': 0.07, 'values': values, 'present': dict.fromkeys(values, True),
              'age': dict.fromkeys(values, 0.0)}
    return Observation(**(fields | changes))


@pytest.fixture
def model():
    return Counter()


@pytest.fixture
def runtime(model):
    return PolicyRuntime(model, ROBOT)


@pytest.fixture
def inside(runtime):
    """The copy that the runtime works on."""
    return runtime.model


def test_state_is_carried_from_tick_to_tick_until_reset(runtime):
    assert [runtime.step(observation()).action[0] for _ in range(3)] == [1, 2, 3]
    runtime.reset()
    assert runtime.step(observation()).action[0] == 1


def test_true_dt_and_mask_reach_the_model(runtime, inside):
    present = {'camera': False, 'imu': True, 'lidar': True, 'audio': False}
    result = runtime.step(observation(dt=0.2, present=present))
    assert result.action[1] == pytest.approx(0.2)
    assert inside.calls[-1]['present'].tolist() == [[False, True, True, False]]


def test_a_clock_jump_starts_from_rest(runtime):
    runtime.step(observation())
    assert runtime.step(observation(clock_jumped=True)).action[0] == 1


@pytest.mark.parametrize('where', ['poison_state', 'poison_output'])
def test_one_bad_value_anywhere_is_seen_and_the_state_forgotten(runtime, inside, where):
    runtime.step(observation())
    setattr(inside, where, True)
    assert not runtime.step(observation()).finite
    setattr(inside, where, False)
    result = runtime.step(observation())
    assert result.finite
    assert result.action[0] == 1


def test_action_is_float64_on_the_host(runtime):
    result = runtime.step(observation())
    assert result.action.dtype == np.float64
    assert result.action.shape == (2,)
    assert result.finite
    assert result.info is None


def test_introspection_only_when_asked_as_plain_numpy(runtime):
    info = runtime.step(observation(), introspect=True).info
    assert info['weights'].tolist() == [[1, 1, 1, 1]]
    assert isinstance(info['nested']['rates'], np.ndarray)
    assert info['nested']['none'] is None


def test_warm_up_leaves_no_trace(runtime, inside):
    assert not runtime.warm
    runtime.warm_up(ticks=4)
    assert runtime.warm
    assert len(inside.calls) == 4
    assert runtime.step(observation()).action[0] == 1


def test_warm_up_refuses_a_model_that_is_not_finite(runtime, inside):
    inside.poison_state = True
    with pytest.raises(PolicyError, match=r'not finite on zeros \(tick 1\)'):
        runtime.warm_up()
    assert not runtime.warm


def test_wrong_number_of_actions_is_named(model):
    robot = replace(ROBOT, command=replace(
        ROBOT.command, kind='float64_multi_array', names=('a', 'b', 'c'), lower=(-1,) * 3,
        upper=(1,) * 3, safe=(0,) * 3, max_acceleration=(1,) * 3, max_deceleration=(1,) * 3,
        stop_deceleration=(1,) * 3))
    with pytest.raises(PolicyError, match=r'shape \[1, 2\], expected \[1, 3\]'):
        PolicyRuntime(model, robot).warm_up()


def test_missing_modality_is_named(model):
    deaf = replace(ROBOT, audio=replace(ROBOT.audio, enabled=False))
    with pytest.raises(PolicyError, match='got camera, sensors, lidar, audio, expected camera, '
                                          'sensors, lidar for'):
        PolicyRuntime(model, deaf)


@pytest.mark.parametrize(('change', 'message'), [
    ({'camera_size': [3, 16, 32]}, r'model\.camera_size: got \(3, 16, 32\), expected \(3, 16, 16'),
    ({'lidar_shape': [2, 15]}, r'model\.lidar_shape: got \(2, 15\)'),
    ({'action_dim': 7}, r'model\.action_dim: got 7, expected 2'),
])
def test_first_field_that_differs_is_named(model, change, message):
    model.config = robot_model_config(ROBOT) | change
    with pytest.raises(PolicyError, match=message):
        PolicyRuntime(model, ROBOT)


def test_another_control_rate_is_no_obstacle(model):
    model.config = robot_model_config(ROBOT) | {'control_rate': 30.0}
    PolicyRuntime(model, ROBOT)


@pytest.fixture(scope='module')
def real():
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel

    torch.manual_seed(0)
    return RobotMultiSensorModel(**robot_model_config(ROBOT), fusion_dim=16, encoder_dim=16,
                                 liquid_units=8, spiking_units=8, num_spike_steps=4)


def noise(seed, **changes):
    rng = np.random.default_rng(seed)
    obs = observation(**changes)
    values = {name: rng.integers(0, 256, v.shape, dtype=np.uint8) if v.dtype == np.uint8
              else rng.random(v.shape, dtype=np.float32) for name, v in obs.values.items()}
    return replace(obs, values=values)


def test_with_the_real_model(real):
    runtime = PolicyRuntime(real, ROBOT)
    runtime.warm_up()
    first = [runtime.step(noise(seed)).action for seed in range(3)]
    runtime.reset()
    again = [runtime.step(noise(seed), introspect=True).action for seed in range(3)]
    assert np.array_equal(first, again)
    assert not np.array_equal(first[0], runtime.step(noise(0)).action)  # it remembers


def test_a_poisoned_weight_of_the_real_model_is_found(real):
    import copy

    broken = copy.deepcopy(real)
    with torch.no_grad():
        next(p for n, p in broken.named_parameters() if 'weight' in n).fill_(float('nan'))
    with pytest.raises(PolicyError, match='not finite'):
        PolicyRuntime(broken, ROBOT).warm_up()


@pytest.mark.gpu
def test_state_lives_on_the_device(real, monkeypatch):
    import copy

    # Convolutions round to 10 bits by default on a GPU, enough to move a spike.
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    runtime = PolicyRuntime(copy.deepcopy(real), ROBOT, device='cuda')
    runtime.warm_up()
    cpu = PolicyRuntime(real, ROBOT)
    for seed in range(5):
        assert np.allclose(runtime.step(noise(seed)).action, cpu.step(noise(seed)).action,
                           atol=1e-3)
    assert {leaf.device.type for leaf in leaves(runtime._stepper.state)} == {'cuda'}
