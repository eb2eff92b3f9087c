"""How a ``PolicyRuntime`` settles on a way of running, and what it does when that fails."""

from __future__ import annotations

from dataclasses import replace
import shutil

import numpy as np
import pytest
import torch

from liquidspike_ros.control import policy_runtime
from liquidspike_ros.control.policy_runtime import PolicyRuntime
from liquidspike_ros.control.rehearsal import rehearsal
from liquidspike_ros.control.static_step import StaticStep
from liquidspike_ros.control.tensors import robot_model_config
from liquidspike_ros.core.state import leaves
from liquidspike_ros.core.tick import native
from liquidspike_ros.robot import RobotSpec


@pytest.mark.parametrize(('option', 'message'), [
    ({'runtime': 'fast'}, "runtime: got 'fast', expected one of auto, eager, cudagraph, compile"),
    ({'precision': 'int8'}, "precision: got 'int8', expected one of auto, float32, bfloat16"),
])
def test_an_unknown_way_of_running_is_refused(make_policy, small_robot, option, message):
    with pytest.raises(ValueError, match=message):
        PolicyRuntime(make_policy(), small_robot, **option)


def test_auto_on_the_cpu_is_eager_for_no_reason(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(), small_robot, runtime='auto', precision='auto')
    runtime.warm_up()
    assert (runtime.mode, runtime.reason) == ('eager', '')
    assert (runtime.precision, runtime.precision_reason) == ('float32', '')


def test_it_says_whether_ticks_run_in_c(make_policy, small_robot, monkeypatch):
    runtime = PolicyRuntime(make_policy(), small_robot)
    assert runtime.native_reason == native.reason()
    runtime = PolicyRuntime(make_policy(), small_robot, precision='bfloat16')
    runtime.warm_up()
    if runtime.precision == 'bfloat16':
        assert runtime.native_reason == 'runs as eager in bfloat16'
    monkeypatch.setattr(native, 'takes', lambda like: False)
    monkeypatch.setattr(native, 'reason', lambda: 'LIQUIDSPIKE_NATIVE=0 is set')
    assert PolicyRuntime(make_policy(), small_robot).native_reason == 'LIQUIDSPIKE_NATIVE=0 is set'


def test_a_graph_without_a_gpu_falls_back_and_says_so(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(), small_robot, runtime='cudagraph')
    runtime.warm_up()
    assert runtime.mode == 'eager'
    assert runtime.reason == 'cudagraph: got device cpu, expected a CUDA device'
    assert runtime.step(rehearsal(small_robot, 1)[0]).finite


@pytest.fixture
def another_way(make_policy, small_robot, monkeypatch):
    """A warm runtime in mode 'compile' with a class of ours in the compiler's place."""
    def make(kind, **options):
        monkeypatch.setattr(policy_runtime, 'CompiledStep', kind)
        runtime = PolicyRuntime(make_policy(fusion_strategy='hybrid'), small_robot,
                                runtime='compile', **options)
        runtime.warm_up()
        return runtime

    return make


def test_another_way_that_proves_itself_runs_and_does_all_that_eager_does(
        another_way, make_policy, small_robot):
    runtime = another_way(StaticStep)
    assert (runtime.mode, runtime.reason) == ('compile', '')
    eager = PolicyRuntime(make_policy(fusion_strategy='hybrid'), small_robot, runtime='eager')
    for obs in rehearsal(small_robot, 20, seed=5):
        ours, theirs = runtime.step(obs), eager.step(obs)
        assert np.allclose(ours.action, theirs.action, atol=1e-6)
        assert ours.finite
    with torch.inference_mode():
        leaves(runtime._stepper.state)[0].fill_(float('inf'))
    assert not runtime.step(obs).finite
    eager.reset()
    assert np.allclose(runtime.step(obs).action, eager.step(obs).action, atol=1e-6)


class Forgetful(StaticStep):
    """Starts every tick from rest."""

    def step(self, obs, introspect=False):
        self.reset()
        return super().step(obs, introspect)


class Timeless(StaticStep):
    """Takes every tick for one on time."""

    def step(self, obs, introspect=False):
        return super().step(replace(obs, dt=1 / 15), introspect)


class Trusting(StaticStep):
    """Takes every sensor for present."""

    def step(self, obs, introspect=False):
        return super().step(replace(obs, present=dict.fromkeys(obs.present, True)), introspect)


class Stubborn(StaticStep):
    """Never goes back to rest."""

    _at_rest = property(lambda self: False, lambda self, value: None)


class Failing(StaticStep):
    def __init__(self, *args):
        try:
            raise RuntimeError('operation not permitted\nwhen stream is capturing')
        finally:
            raise RuntimeError('operation failed due to a previous error during capture')


@pytest.mark.parametrize('kind', [Forgetful, Timeless, Trusting, Stubborn])
def test_another_way_that_gives_something_else_does_not_drive(another_way, small_robot, kind):
    runtime = another_way(kind)
    assert runtime.mode == 'eager'
    assert runtime.reason.startswith('compile: differs from eager by up to ')
    assert runtime.step(rehearsal(small_robot, 1)[0]).finite


def test_another_way_that_fails_leaves_eager_and_the_reason_in_one_line(another_way, small_robot):
    runtime = another_way(Failing)
    assert runtime.mode == 'eager'
    assert runtime.reason == ('compile: RuntimeError: operation not permitted when stream is '
                              'capturing')
    assert runtime.step(rehearsal(small_robot, 1)[0]).finite


def test_a_compiler_that_is_not_there_leaves_eager(make_policy, small_robot, monkeypatch):
    def missing(*args, **kwargs):
        raise RuntimeError('no C++ compiler')

    monkeypatch.setattr(torch, 'compile', missing)
    runtime = PolicyRuntime(make_policy(), small_robot, runtime='compile')
    runtime.warm_up()
    assert (runtime.mode, runtime.reason) == ('eager', 'compile: RuntimeError: no C++ compiler')


def test_precision_and_way_of_running_go_together(another_way):
    runtime = another_way(StaticStep, precision='bfloat16')
    assert (runtime.mode, runtime.precision) == ('compile', 'bfloat16'), (
        runtime.reason, runtime.precision_reason)


@pytest.mark.slow
def test_a_compiled_policy_acts_as_the_eager_one():
    if shutil.which('g++') is None and shutil.which('clang++') is None:
        pytest.skip('there is no C++ compiler')
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel

    robot = RobotSpec.from_dict({'trigger': 'imu', 'sensors': {
        'imu': {'window': 8}, **{name: {'enabled': False} for name in ('camera', 'lidar', 'audio')}
    }})
    model = RobotMultiSensorModel(**robot_model_config(robot), fusion_dim=16, encoder_dim=16,
                                  liquid_units=8, spiking_units=8, num_spike_steps=2)
    compiled, eager = (PolicyRuntime(model, robot, runtime=name) for name in ('compile', 'eager'))
    compiled.warm_up()
    assert (compiled.mode, compiled.reason) == ('compile', '')
    for obs in rehearsal(robot, 8, seed=9):
        assert np.allclose(compiled.step(obs).action, eager.step(obs).action, atol=1e-4)
