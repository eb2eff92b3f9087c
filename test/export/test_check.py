"""What passes for equal, and what does not."""

from __future__ import annotations

import copy

import pytest
import torch

from liquidspike_ros.export.check import compare
from liquidspike_ros.export.flat_step import ExportError, FlatStep
from liquidspike_ros.export.sequences import random_ticks


@pytest.fixture(scope='module')
def ticks(step):
    return random_ticks(step)


def runner(step):
    def run(arguments):
        with torch.no_grad():
            return step(*arguments)

    return run


def test_eager_agrees_with_itself(step, ticks):
    result = compare(step, runner(step), ticks)
    assert result.ticks == len(ticks)
    assert (result.worst, result.ties, result.own_action) == (0.0, 0, 0.0)


def test_rounding_passes_and_is_measured(step, ticks):
    twin = copy.deepcopy(step).double()

    def run(arguments):
        given = [v.double() if v.is_floating_point() else v for v in arguments]
        with torch.no_grad():
            return [value.float() for value in twin(*given)]

    result = compare(step, run, ticks)
    assert 0 < result.worst < 1e-5


@pytest.mark.parametrize('name', [
    'model.network.preprocessors.camera.head.weight',
    'model.network.fusion.encoders.lidar.current.bias',
    'model.network.fusion.encoders.audio.population.beta',
    'model.network.fusion.encoders.sensors.liquid.heads.weight',
    'model.network.fusion.core.head.layers.2.bias',
])
def test_a_weight_that_is_a_little_off_is_an_error(step, ticks, name):
    other = copy.deepcopy(step)
    with torch.no_grad():
        other.get_parameter(name).mul_(0.99)
    with pytest.raises(ExportError, match=r'differs from eager by .* at tick \d+, '
                                          r'expected at most 0.0001 from the same state'):
        compare(step, runner(other), ticks)


def test_a_threshold_that_is_off_is_an_error_and_no_tie(step, ticks):
    other = copy.deepcopy(step)
    other.model.network.fusion.encoders['camera'].population.threshold.add_(2e-3)
    with pytest.raises(ExportError, match=r'camera\.membrane'):
        compare(step, runner(other), ticks)


@pytest.mark.parametrize(('argument', 'value'), [('dt', 1 / 15), ('present', True)])
def test_an_input_that_is_not_heeded_is_an_error(step, ticks, argument, value):
    position = [port.name for port in step.inputs].index(argument)

    def run(arguments):
        given = [torch.nan_to_num(v) if v.is_floating_point() else v for v in arguments]
        given[position] = torch.full_like(given[position], value)
        return runner(step)(given)

    with pytest.raises(ExportError, match='differs from eager'):
        compare(step, run, ticks)


@pytest.mark.parametrize('entry', ['encoders.audio.membrane', 'encoders.camera.hx', 'memory.hx'])
def test_a_state_that_is_not_taken_in_is_an_error(step, ticks, entry):
    position = [port.name for port in step.inputs].index(f'state.{entry}')

    def run(arguments):
        given = list(arguments)
        given[position] = torch.zeros_like(given[position])
        return runner(step)(given)

    with pytest.raises(ExportError, match='differs from eager'):
        compare(step, run, ticks)


def test_nan_names_the_output_that_holds_it(step, ticks):
    def run(arguments):
        outputs = [value.clone() for value in runner(step)(arguments)]
        outputs[2][0, 3] = torch.nan
        return outputs

    with pytest.raises(ExportError, match=r'next\.encoders\.camera\.hx: differs .* by inf'):
        compare(step, run, ticks)


def test_outputs_of_another_shape_are_an_error(step, ticks):
    with pytest.raises(ExportError, match='outputs: got shapes'):
        compare(step, lambda arguments: runner(step)(arguments)[:-1], ticks)


def test_an_eager_model_that_is_not_finite_is_no_yardstick(robot_model, ticks):
    broken = FlatStep(robot_model())
    broken.model.network.fusion.encoders['camera'].absent.fill_(torch.nan)
    with pytest.raises(ExportError, match='eager: got an output that is not finite'):
        compare(broken, runner(broken), ticks)
