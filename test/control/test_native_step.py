"""A whole tick in C: the values, the state and the insight of the eager step."""

from __future__ import annotations

from dataclasses import replace
import itertools
import math

import numpy as np
import pytest
import torch

from liquidspike_ros.control.eager_step import EagerStep
from liquidspike_ros.control.native_step import NativeStep
from liquidspike_ros.control.policy_runtime import PolicyRuntime
from liquidspike_ros.control.rehearsal import blank_observation, compare, rehearsal
from liquidspike_ros.control.tensors import robot_model_config
from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.state import leaves
from liquidspike_ros.core.tick import native
from liquidspike_ros.core.tick.native.plain_memory import NotPlain
from liquidspike_ros.robot import RobotSpec

CPU = torch.device('cpu')
STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
SENSORS = ('camera', 'imu', 'lidar', 'audio')

if native.kernels() is None:
    pytest.skip(native.reason(), allow_module_level=True)


def uneven(model):
    """With modalities of unequal weight, as training leaves them."""
    torch.nn.init.uniform_(model.network.modality_logits, -1.0, 1.0)
    return model


@pytest.fixture
def both(make_policy, small_robot):
    """Makes the eager and the native step of one model."""
    def make(robot=small_robot, **changes):
        model = deploy(uneven(make_policy(**robot_model_config(robot) | changes)), CPU)
        return EagerStep(model, robot, CPU), NativeStep(model, robot)

    with torch.inference_mode():
        yield make


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_it_gives_what_the_eager_step_gives(both, small_robot, strategy):
    """Over random sensors, lost sensors, changing dt and a reset in the middle."""
    gap = compare(*both(fusion_strategy=strategy), rehearsal(small_robot, 60, seed=3))
    assert gap.action < 1e-5
    assert gap.state < 1e-5


@pytest.mark.parametrize('pooling', ['attention', 'last'])
def test_sound_is_heard_in_either_way(both, small_robot, pooling):
    gap = compare(*both(audio_pooling=pooling), rehearsal(small_robot, 60, seed=3))
    assert gap.action < 1e-5
    assert gap.state < 1e-5


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_it_sees_through_the_efficient_trunk_too(both, small_robot, strategy):
    gap = compare(*both(fusion_strategy=strategy, camera_architecture='efficient'),
                  rehearsal(small_robot, 30, seed=3))
    assert gap.action < 1e-5
    assert gap.state < 1e-5


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_any_subset_of_the_sensors_may_be_there_even_none(both, small_robot, strategy):
    eager, fast = both(fusion_strategy=strategy)
    obs = rehearsal(small_robot, 1)[0]
    for here in itertools.product((True, False), repeat=4):
        some = replace(obs, present=dict(zip(obs.present, here, strict=True)))
        np.testing.assert_allclose(fast.step(some)[0], eager.step(some)[0], atol=2e-6)


@pytest.mark.parametrize('names', [names for count in (1, 2, 3)
                                   for names in itertools.combinations(SENSORS, count)])
def test_a_robot_may_have_some_of_the_sensors(both, small_robot, names):
    robot = RobotSpec.from_dict({**small_robot.to_dict(), 'trigger': 'timer', 'sensors': {
        name: {**spec, 'enabled': name in names}
        for name, spec in small_robot.to_dict()['sensors'].items()}})
    gap = compare(*both(robot), rehearsal(robot, 12))
    assert gap.action < 1e-5


def test_insight_is_the_models_and_the_state_goes_on_through_it(both, small_robot):
    eager, fast = both(fusion_strategy='hierarchical')
    for tick, obs in enumerate(rehearsal(small_robot, 9)):
        (expected, told), (row, seen) = (it.step(obs, tick % 3 == 1) for it in (eager, fast))
        np.testing.assert_allclose(row, expected, atol=2e-6)
        assert (seen is None) == (told is None)
        if seen is not None:
            np.testing.assert_allclose(seen['weights'], told['weights'], atol=1e-6)
    assert [leaf.shape for leaf in leaves(fast.state)] == [
        leaf.shape for leaf in leaves(eager.state)]


def test_from_rest_it_is_as_at_first(both, small_robot):
    _, fast = both()
    drive = rehearsal(small_robot, 4)
    first = [fast.step(obs)[0] for obs in drive]
    assert not np.array_equal(fast.step(drive[0])[0], first[0])  # it remembers
    fast.reset()
    assert fast.state is None
    assert np.array_equal([fast.step(obs)[0] for obs in drive], first)


def test_a_nan_anywhere_in_the_state_is_flagged(both, small_robot):
    _, fast = both()
    obs = next(obs for obs in rehearsal(small_robot, 40) if all(obs.present.values()))
    assert fast.step(obs)[0][-1] == 1.0
    for leaf in leaves(fast.state):
        fast.reset()
        fast.step(obs)
        leaf[0, -1] = math.nan
        assert fast.step(obs)[0][-1] == 0.0


def test_arrays_need_not_lie_one_number_after_the_other(both, small_robot):
    _, fast = both()
    obs = rehearsal(small_robot, 1)[0]
    odd = {name: np.repeat(value, 2, axis=-1)[..., ::2] for name, value in obs.values.items()}
    expected, _ = fast.step(obs)
    fast.reset()
    assert np.array_equal(fast.step(replace(obs, values=odd))[0], expected)


@pytest.mark.parametrize('name', SENSORS)
def test_a_value_of_another_shape_is_refused(both, small_robot, name):
    _, fast = both()
    obs = rehearsal(small_robot, 1)[0]
    with pytest.raises(ValueError, match=f'{name}: got shape'):
        fast.step(replace(obs, values={**obs.values, name: obs.values[name][..., :-1]}))


@pytest.mark.parametrize('dt', [-0.1, math.nan, math.inf])
def test_a_bad_dt_is_refused(both, small_robot, dt):
    _, fast = both()
    with pytest.raises(ValueError, match='dt: got'):
        fast.step(replace(blank_observation(small_robot), dt=dt))


@pytest.mark.parametrize('changes', [
    {'camera_architecture': 'resnet'}, {'backbone': 'ltc'}, {'coding': 'rate'},
    {'backend': 'reference'}], ids=str)
def test_a_model_of_which_some_has_no_such_code_is_left_to_torch(make_policy, small_robot, changes):
    model = deploy(make_policy(**changes), CPU)
    with pytest.raises(NotPlain):
        NativeStep(model, small_robot)
    runtime = PolicyRuntime(model, small_robot)
    runtime.warm_up()
    assert isinstance(runtime._stepper, EagerStep)


def test_the_runtime_takes_it_by_itself(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(), small_robot)
    runtime.warm_up()
    assert isinstance(runtime._stepper, NativeStep)
    assert (runtime.mode, runtime.reason, runtime.native_reason) == ('eager', '', '')


def test_the_rehearsal_leaves_nothing_in_the_state(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(), small_robot)
    runtime.warm_up()
    assert isinstance(runtime._stepper, NativeStep)
    obs = rehearsal(small_robot, 3)[0]  # the clock jumps at the second
    first = runtime.step(obs).action
    runtime.reset()
    assert np.array_equal(runtime.step(obs).action, first)
