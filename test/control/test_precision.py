from __future__ import annotations

import pytest
import torch
from torch import nn

from liquidspike_ros.control import precision
from liquidspike_ros.control.precision import choose_precision, TOLERANCE

CPU = torch.device('cpu')


class Product(nn.Module):
    """One product, whose result autocast rounds, times ``gain``; the error adds up in the state."""

    modalities = ('camera', 'sensors', 'lidar', 'audio')

    def __init__(self, gain):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.gain = nn.Linear(400, 2), gain

    def step(self, inputs, state=None, dt=1 / 15, present=None, return_info=False):
        total = self.layer(inputs['audio'][:, 0]).float() * self.gain
        total = total if state is None else total + state['sum']
        output = total, {'sum': total}
        return (*output, None) if return_info else output


@pytest.mark.parametrize('asked', ['bfloat16', 'float16'])
def test_a_lower_precision_is_taken_where_the_actions_stay_the_same(small_robot, asked):
    assert choose_precision(asked, Product(0.01), small_robot, CPU) == (asked, '')


@pytest.mark.parametrize('asked', ['bfloat16', 'float16'])
def test_it_is_refused_with_the_difference_where_they_do_not(small_robot, asked):
    chosen, reason = choose_precision(asked, Product(100.0), small_robot, CPU)
    assert chosen == 'float32'
    assert reason.startswith(f'{asked}: actions differ from float32 by up to ')
    assert f'at most {TOLERANCE:g}' in reason


def test_the_error_of_a_whole_drive_counts_not_of_one_tick(small_robot, monkeypatch):
    gain = 4.0
    assert choose_precision('bfloat16', Product(gain), small_robot, CPU)[0] == 'float32'
    short = precision.rehearsal
    monkeypatch.setattr(precision, 'rehearsal', lambda robot: short(robot, 1))
    assert choose_precision('bfloat16', Product(gain), small_robot, CPU)[0] == 'bfloat16'


def test_auto_on_the_cpu_is_full_precision(small_robot):
    assert choose_precision('auto', Product(0.0), small_robot, CPU) == ('float32', '')


def test_a_model_that_fails_in_half_precision_runs_in_full(small_robot):
    class Picky(Product):
        def step(self, *args, **kwargs):
            if torch.is_autocast_enabled('cpu'):
                raise RuntimeError('no kernel\nfor Half')
            return super().step(*args, **kwargs)

    assert choose_precision('float16', Picky(1.0), small_robot, CPU) == (
        'float32', 'float16: RuntimeError: no kernel for Half')


@pytest.mark.parametrize('asked', ['bfloat16', 'float16'])
def test_the_state_of_a_real_policy_stays_float32(make_policy, small_robot, asked):
    from liquidspike_ros.control.eager_step import EagerStep
    from liquidspike_ros.control.precision import DTYPES
    from liquidspike_ros.control.rehearsal import rehearsal
    from liquidspike_ros.control.static_step import StaticStep
    from liquidspike_ros.core.state import leaves

    model = make_policy(fusion_strategy='hybrid')
    with torch.inference_mode():
        for kind in (EagerStep, StaticStep):
            stepper = kind(model, small_robot, CPU, DTYPES[asked])
            for obs in rehearsal(small_robot, 3):
                assert stepper.step(obs)[0][-1] == 1
            assert {leaf.dtype for leaf in leaves(stepper.state)} == {torch.float32}
