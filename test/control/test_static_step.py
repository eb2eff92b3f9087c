"""Everything about the static step but the capture itself, on the CPU; the capture on a GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from liquidspike_ros.control.captured_step import CapturedStep
from liquidspike_ros.control.eager_step import EagerStep
from liquidspike_ros.control.policy_runtime import PolicyRuntime
from liquidspike_ros.control.rehearsal import compare, rehearsal
from liquidspike_ros.control.static_step import StaticStep
from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.state import leaves

CPU = torch.device('cpu')
STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')


@pytest.fixture
def both(make_policy, small_robot):
    """The eager and the static step of one model."""
    model = make_policy(fusion_strategy='hybrid')
    with torch.inference_mode():
        yield (EagerStep(model, small_robot, CPU), StaticStep(model, small_robot, CPU))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_it_gives_what_the_eager_step_gives(make_policy, small_robot, strategy):
    """Over random sensors, lost sensors, changing dt and a reset in the middle."""
    model = make_policy(fusion_strategy=strategy)
    with torch.inference_mode():
        gap = compare(EagerStep(model, small_robot, CPU), StaticStep(model, small_robot, CPU),
                      rehearsal(small_robot, 40, seed=3))
    assert gap.action < 1e-6
    assert gap.state < 1e-6


def test_no_tensor_moves_from_tick_to_tick(both, small_robot):
    _, static = both
    places = set()
    for obs in rehearsal(small_robot, 12):
        static.step(obs)
        buffers = [*leaves(static.state), *static._buffers, static._row]
        places.add(tuple(tensor.data_ptr() for tensor in buffers))
    assert len(places) == 1


def test_a_reset_is_as_good_as_new(both, small_robot):
    _, static = both
    drive = rehearsal(small_robot, 4)
    first = [static.step(obs)[0] for obs in drive]
    assert not np.array_equal(static.step(drive[0])[0], first[0])  # it remembers
    static.reset()
    assert np.array_equal([static.step(obs)[0] for obs in drive], first)


def test_nan_in_the_state_is_flagged_and_gone_after_a_reset(both, small_robot):
    eager, static = both
    drive = rehearsal(small_robot, 3)
    static.step(drive[0])
    leaves(static.state)[0].fill_(float('nan'))
    assert static.step(drive[1])[0][-1] == 0
    static.reset()
    # dt is a number to one and a tensor to the other: they round apart.
    assert np.allclose(static.step(drive[2])[0], eager.step(drive[2])[0], atol=1e-6)


def test_the_action_belongs_to_the_caller(both, small_robot):
    _, static = both
    drive = rehearsal(small_robot, 2)
    row, info = static.step(drive[0], introspect=True)
    kept, present = row.copy(), info['present'].copy()
    static.step(drive[1])
    assert np.array_equal(row, kept)
    assert np.array_equal(info['present'], present)


def test_it_tells_what_the_eager_step_tells(both, small_robot):
    eager, static = both
    for obs in rehearsal(small_robot, 4):
        told, expected = static.step(obs, introspect=True)[1], eager.step(obs, introspect=True)[1]
        assert told.keys() == expected.keys()
        assert np.allclose(told['weights'], expected['weights'], atol=1e-6)
        assert np.array_equal(told['present'], expected['present'])
        for name in told['spike_rates']:
            assert np.allclose(told['spike_rates'][name], expected['spike_rates'][name])
    assert static.step(obs)[1] is None


@pytest.mark.parametrize('dt', [-0.1, float('nan'), float('inf')])
def test_a_time_that_cannot_be_is_refused_before_it_reaches_the_state(both, small_robot, dt):
    _, static = both
    with pytest.raises(ValueError, match='dt: got'):
        static.step(replace(rehearsal(small_robot, 1)[0], dt=dt))


def test_a_state_that_changes_its_shape_is_refused_by_name(make_policy, small_robot):
    model = make_policy()
    real = model.step

    def growing(*args, **kwargs):
        action, state, info = real(*args, **kwargs)
        state['shared']['hx'] = torch.zeros(1, 9)
        return action, state, info

    model.step = growing
    with torch.inference_mode(), pytest.raises(ValueError, match=r'shape \[1, 9\].*\[1, 8\]'):
        StaticStep(model, small_robot, CPU).step(rehearsal(small_robot, 1)[0])


class Calls(TorchDispatchMode):
    """Notes operators that a CUDA graph cannot hold."""

    refused = ('aten::index.Tensor', 'aten::_local_scalar_dense', 'aten::nonzero', 'aten::item')

    def __init__(self):
        super().__init__()
        self.wrong, self.names = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.names.append(func.name())
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)]
        if func.name() in self.refused or any(t.device.type == 'cpu' for t in tensors):
            self.wrong.append(func.name())
        return result


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('architecture', ['simple', 'efficient', 'resnet'])
def test_on_a_device_the_step_neither_looks_at_values_nor_copies_from_the_host(
        make_policy, strategy, architecture):
    """On the device without memory: what depends on a value raises there, and copies show."""
    meta = torch.device('meta')
    model = deploy(make_policy(fusion_strategy=strategy, camera_architecture=architecture),
                          meta)
    inputs = {name: torch.empty(1, *shape, device=meta)
              for name, shape in model.sample_shapes.items()}
    with torch.inference_mode(), Calls() as calls:
        model.step(inputs, model.init_state(1), dt=torch.empty(1, device=meta),
                   present=torch.empty(1, len(inputs), dtype=torch.bool, device=meta),
                   return_info=True)
    assert len(calls.names) > 100
    assert calls.wrong == []


@pytest.mark.gpu
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_captured_it_gives_what_the_eager_step_gives(make_policy, small_robot, strategy):
    cuda = torch.device('cuda')
    model = deploy(make_policy(fusion_strategy=strategy), cuda)
    with torch.inference_mode():
        gap = compare(EagerStep(model, small_robot, cuda), CapturedStep(model, small_robot, cuda),
                      rehearsal(small_robot, 40, seed=3))
    assert gap.action < 1e-4
    assert gap.state < 1e-3


@pytest.mark.gpu
def test_captured_no_tensor_moves_and_it_tells_what_the_eager_step_tells(make_policy, small_robot):
    cuda = torch.device('cuda')
    model = deploy(make_policy(fusion_strategy='hybrid'), cuda)
    with torch.inference_mode():
        eager, captured = (kind(model, small_robot, cuda) for kind in (EagerStep, CapturedStep))
        places = set()
        for obs in rehearsal(small_robot, 6):
            told, expected = (stepper.step(obs, introspect=True)[1]
                              for stepper in (captured, eager))
            assert np.allclose(told['weights'], expected['weights'], atol=1e-4)
            assert np.array_equal(told['present'], expected['present'])
            places.add(tuple(leaf.data_ptr() for leaf in leaves(captured.state)))
    assert len(places) == 1


@pytest.mark.gpu
def test_auto_captures_on_a_gpu_and_a_nan_does_not_stay(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(fusion_strategy='hybrid'), small_robot, 'cuda')
    runtime.warm_up()
    assert (runtime.mode, runtime.reason) == ('cudagraph', '')
    drive = rehearsal(small_robot, 40)
    # Neither a restart nor a sensor that is not there: those start from rest anyway.
    whole = next(obs for obs in drive if all(obs.present.values()) and not obs.restarted)
    first = runtime.step(drive[0]).action
    with torch.inference_mode():
        leaves(runtime._stepper.state)[0].fill_(float('nan'))
    assert not runtime.step(whole).finite
    again = runtime.step(replace(drive[0], clock_jumped=False))
    assert again.finite
    assert np.allclose(again.action, first, atol=1e-4)


@pytest.mark.gpu
def test_what_no_graph_can_hold_falls_back_to_eager(make_policy, small_robot):
    runtime = PolicyRuntime(make_policy(), small_robot, 'cuda')
    real = runtime.model.step

    def peeking(*args, **kwargs):
        output = real(*args, **kwargs)
        output[0].sum().item()
        return output

    runtime.model.step = peeking
    runtime.warm_up()
    assert runtime.mode == 'eager'
    assert runtime.reason.startswith('cudagraph: ')
    assert runtime.step(rehearsal(small_robot, 1)[0]).finite
