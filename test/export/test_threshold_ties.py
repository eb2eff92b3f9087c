"""Neurons at their threshold: however many, and whichever way rounding has them fall."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from liquidspike_ros.core.spiking.coding import DELTA_THRESHOLD
from liquidspike_ros.export.check import compare, TOLERANCE
from liquidspike_ros.export.flat_step import ExportError, FlatStep
from liquidspike_ros.export.sequences import random_ticks
from liquidspike_ros.export.threshold_ties import CLOSE


def populations(step):
    return {entry: step.model.network.fusion.get_submodule(entry.removesuffix('.membrane')
                                                           ).population
            for entry in step.state if entry.endswith('.membrane')}


def sides(population):
    return torch.tensor([1.0, -1.0]).repeat(population.units)[:population.units]


def tied(step, tick, off=0.0):
    """Start from membranes that meet the threshold at the first spike step of a tick.

    To within rounding: which of them fire is up to the processor. Every second one can be put
    ``off`` below, the others above.
    """
    places = {entry: 1 + step.state.index(entry) for entry in populations(step)}
    states = step.rest()
    with torch.no_grad():
        for entry, population in populations(step).items():
            alone = copy.deepcopy(step)
            populations(alone)[entry].beta.zero_()
            populations(alone)[entry].threshold.fill_(2.0)  # above any current
            current = alone(*tick.arguments, *states)[places[entry]]
            states[places[entry] - 1] = (
                population.threshold - current + off * sides(population)) / population.beta
    step.rest = lambda: [state.clone() for state in states]
    return step


def other_sides(step, amount=2e-6):
    """The same program with rounding of its own: every second threshold lies lower, or higher."""
    other = copy.deepcopy(step)
    for population in populations(other).values():
        population.threshold.add_(amount * sides(population))
    return runner(other)


def runner(step):
    def run(arguments):
        with torch.no_grad():
            return [value.clone() for value in step(*arguments)]

    return run


def differ(step, run, tick):
    given = [*tick.arguments, *step.rest()]
    return max(float((a - b).abs().max())
               for a, b in zip(run(given), runner(step)(given), strict=True))


@pytest.mark.parametrize('changes', [
    {},
    {'num_spike_steps': 4},
    {'spiking_units': 48, 'liquid_units': 48},
    {'fusion_strategy': 'early', 'spiking_units': 12, 'liquid_units': 48},
    {'fusion_strategy': 'hierarchical'},
    {'fusion_strategy': 'late', 'backbone': 'ltc'},
    {'backbone': 'ncp', 'liquid_units': 16},
    {'spiking_options': {'reset': 'zero'}},
    {'spiking_options': {'reset': 'none'}, 'num_spike_steps': 3},
    {'spiking_options': {'threshold': 0.4}},
    {'backend': 'reference'},
], ids=lambda changes: '-'.join(map(str, changes.values())) or 'hybrid')
def test_all_neurons_of_all_modalities_may_tie_at_once(robot_model, changes):
    step = FlatStep(robot_model(**{'num_spike_steps': 1, 'liquid_units': 96} | changes))
    tick = random_ticks(step)[0]
    tied(step, tick)
    run = other_sides(step)
    assert differ(step, run, tick) > TOLERANCE
    result = compare(step, run, [tick])
    assert result.ties > 0
    assert result.nudge <= CLOSE
    assert result.worst <= TOLERANCE


def test_rows_of_a_batch_may_fall_to_different_sides(robot_model):
    step = FlatStep(robot_model(num_spike_steps=1), batch=2)
    tick = random_ticks(step)[0]
    tied(step, tick)

    def run(arguments):
        outputs = [other_sides(step, amount)(arguments) for amount in (2e-6, -2e-6)]
        return [torch.cat([first[:1], second[1:]])
                for first, second in zip(*outputs, strict=True)]

    assert differ(step, run, tick) > TOLERANCE
    assert compare(step, run, [tick]).worst <= TOLERANCE


@pytest.mark.parametrize('name', [
    'network.preprocessors.camera.head.weight',
    'network.fusion.encoders.lidar.current.bias',
    'network.fusion.encoders.sensors.liquid.heads.weight',
    'network.fusion.encoders.audio.readout.weight',
    'network.fusion.core.head.layers.2.bias',
])
def test_ties_hide_no_weight_that_is_a_little_off(robot_model, name):
    step = FlatStep(robot_model(num_spike_steps=1))
    tick = random_ticks(step)[0]
    tied(step, tick)
    wrong = copy.deepcopy(step)
    with torch.no_grad():
        wrong.get_parameter(f'model.{name}').mul_(0.99)
    with pytest.raises(ExportError, match='no neuron at its threshold explains it'):
        compare(step, other_sides(wrong), [tick])


@pytest.mark.parametrize(('off', 'passes'), [(4e-6, True), (4e-5, False), (9e-4, False)])
def test_only_a_neuron_that_is_close_to_its_threshold_may_tie(robot_model, off, passes):
    step = FlatStep(robot_model(num_spike_steps=1))
    tick = random_ticks(step)[0]
    tied(step, tick, off)
    run = other_sides(step, 2 * off)
    if passes:
        assert compare(step, run, [tick]).nudge == pytest.approx(off, rel=0.1)
        return
    with pytest.raises(ExportError, match='no neuron at its threshold explains it'):
        compare(step, run, [tick])


def camera(step):
    return step.model.network.fusion.encoders['camera']


@pytest.mark.parametrize('coding', ['delta', 'latency'])
@pytest.mark.parametrize('side', [1, -1])
def test_a_feature_at_the_threshold_of_its_coding_may_tie_as_well(robot_model, coding, side):
    step = FlatStep(robot_model(coding=coding))
    tick = random_ticks(step)[0]
    if coding == 'delta':
        entry = step.state.index('encoders.camera.last')
        states = step.rest()
        with torch.no_grad():
            states[entry] = step(*tick.arguments, *states)[1 + entry]
        states[entry][0, 3] -= DELTA_THRESHOLD
        step.rest = lambda: [state.clone() for state in states]
    else:  # at 0.5 of the 3 steps that the spike may be late
        norm = camera(step).norm
        norm.weight[3], norm.bias[3] = 0.0, math.log(5)
    other = copy.deepcopy(step)
    camera(other).norm.bias[3] += 4e-6 * side
    opposite = copy.deepcopy(step)
    camera(opposite).norm.bias[3] -= 4e-6 * side
    assert differ(opposite, runner(other), tick) > TOLERANCE
    result = compare(step, runner(other), [tick])
    assert result.worst <= TOLERANCE
    assert result.ties == (differ(step, runner(other), tick) > TOLERANCE)


def test_a_feature_that_is_off_by_more_than_rounding_is_no_tie(robot_model):
    step = FlatStep(robot_model(coding='latency'))
    norm = camera(step).norm
    norm.weight[3], norm.bias[3] = 0.0, math.log(5) + 1e-3
    other = copy.deepcopy(step)
    camera(other).norm.bias[3] -= 2e-3
    with pytest.raises(ExportError, match='no neuron at its threshold explains it'):
        compare(step, runner(other), [random_ticks(step)[0]])
