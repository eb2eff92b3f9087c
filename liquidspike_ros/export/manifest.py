"""``export.json``: all that is needed to run an exported step without reading Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
import json
import platform
import re
from typing import Any

import torch

from .. import __version__
from ..control.tensors import GRAVITY, INPUT_NAMES
from ..robot import AudioSpec, CameraSpec, ImuSpec, LidarSpec, RobotSpec, SensorSpec
from .check import Agreement, TOLERANCE
from .flat_step import FlatStep, NEXT, Port, STATE

MANIFEST = 'export.json'
LAYOUT = 'liquidspike_ros export/1'

LOOP = (
    'Start with every state.* input at zero (its initial value).',
    'At each tick fill the sensor inputs, present and dt, and call the step with all inputs in the '
    'order listed here; outputs come in the order listed here.',
    'Hand each next.* output in as the state.* input that it feeds at the next tick.',
    'An absent sensor (present false) may hold anything, NaN too; at least one must be present.',
    'If an output is not finite, command a stop and put the state back to zero: NaN never leaves '
    'it by itself. Put it back to zero after a clock jump as well.',
    'The action is not limited. Clamp the command, limit its acceleration, and stop when ticks or '
    'sensors stop; none of that is in the graph.',
)

# What is known of an input where the checkpoint does not carry the robot.
GENERAL = {
    'camera': '[batch, channel, row, column] in [0, 1]',
    'sensors': '[batch, channel] or [batch, channel, sample] as in training',
    'lidar': '[batch, 2, beam]: range / range_max, validity 0 or 1',
    'audio': '[batch, channel, sample] in [-1, 1]',
}


def describe(step: FlatStep, source: Mapping[str, Any], robot: RobotSpec | None) -> dict[str, Any]:
    """The manifest without its artefacts.

    Args:
        step: What is exported.
        source: Of the weights: ``checkpoint``, ``weights_sha256`` and the like.
        robot: The robot the model was trained for, if the checkpoint says so.
    """
    rate = step.model.config['control_rate']
    return {
        'layout': LAYOUT,
        'source': dict(source),
        'made_with': {'liquidspike_ros': __version__, 'torch': torch.__version__,
                      'machine': platform.machine(),
                      'processor': torch.backends.cpu.get_cpu_capability(),
                      'threads': torch.get_num_threads()},
        'control_rate_hz': rate,
        'batch': step.inputs[0].shape[0],
        'modalities': list(step.modalities),
        'inputs': [_input(port, step, robot) for port in step.inputs],
        'outputs': [_output(port, robot) for port in step.outputs],
        'how_to_run': list(LOOP),
        'artefacts': {},
    }


def to_text(document: Mapping[str, Any]) -> str:
    """As JSON, with a line for each list of numbers."""
    text = json.dumps(document, indent=2, allow_nan=False)
    return re.sub(r'\[\n[^\[\]{}"]*\]', lambda found: re.sub(r'\s+', ' ', found[0])
                  .replace('[ ', '[').replace(' ]', ']'), text) + '\n'


def describe_agreement(agreement: Agreement) -> dict[str, Any]:
    """What the check of one artefact found."""
    return {
        'ticks': agreement.ticks,
        'tolerance': TOLERANCE,
        'worst_difference': {'action': agreement.action, 'state': agreement.state},
        'ties': agreement.ties,
        'largest_threshold_move': agreement.nudge,
        'worst_difference_own_state': {'action': agreement.own_action,
                                       'state': agreement.own_state},
        'note': 'Against the eager model. worst_difference: each tick from the same state; ties: '
                'neurons that rounding put on the other side of their threshold; '
                'largest_threshold_move: how far from it they were at most. '
                'worst_difference_own_state: each with its own state, where one such neuron '
                'changes what follows; for information.',
    }


def _input(port: Port, step: FlatStep, robot: RobotSpec | None) -> dict[str, Any]:
    entry: dict[str, Any] = {'name': port.name, 'shape': list(port.shape), 'dtype': port.dtype}
    if port.name.startswith(f'{STATE}.'):
        return entry | {'initial': 0.0, 'meaning': _state_meaning(port.name)}
    if port.name == 'present':
        return entry | {'columns': list(step.modalities),
                        'meaning': 'whether each sensor is there at this tick'}
    if port.name == 'dt':
        return entry | {'unit': 's', 'least': 0.0,
                        'nominal': 1.0 / step.model.config['control_rate'],
                        'meaning': 'time since the previous tick as it was; finite'}
    return entry | _sense(port.name, None if robot is None else _spec(port.name, robot))


def _output(port: Port, robot: RobotSpec | None) -> dict[str, Any]:
    entry: dict[str, Any] = {'name': port.name, 'shape': list(port.shape), 'dtype': port.dtype}
    if port.name.startswith(f'{NEXT}.'):
        name = f'{STATE}.{port.name.removeprefix(f"{NEXT}.")}'
        return entry | {'feeds': name}
    entry['meaning'] = 'the action in model units, not limited'
    if robot is not None:
        command = asdict(robot.command)
        entry |= {'columns': list(robot.command.names), 'multiply_by': list(robot.command.scale),
                  'command': {key: list(value) if isinstance(value, tuple) else value
                              for key, value in command.items()},
                  'meaning': 'command = clamp(action * multiply_by, command.lower, command.upper), '
                             'm/s and rad/s for twists; then limit its acceleration'}
    return entry


def _state_meaning(name: str) -> str:
    kind = name.rpartition('.')[2]
    return {'membrane': 'membrane potentials of the spiking neurons',
            'hx': 'state of the liquid cells'}.get(kind, 'memory of the encoder')


def _spec(name: str, robot: RobotSpec) -> SensorSpec | None:
    return next((spec for sensor, spec in robot.sensors.items() if INPUT_NAMES[sensor] == name),
                None)


def _sense(name: str, spec: SensorSpec | None) -> dict[str, Any]:
    """Layout, units and scaling of a sensor's input; ``divide_by`` runs along ``divide_axis``."""
    if isinstance(spec, ImuSpec):
        return {'divide_by': [1.0] * 3 + [GRAVITY] * 3, 'divide_axis': 1,
                'from': 'angular velocity x, y, z in rad/s, linear acceleration x, y, z in m/s2',
                'meaning': f'[batch, 6, {spec.window}]: from where the previous window ended to '
                           f'the newest sample in {spec.window} equal cells, oldest first, each '
                           f'the mean over its cell of the line through the samples'}
    if isinstance(spec, LidarSpec):
        return {'divide_by': [spec.range_max, 1.0], 'divide_axis': 1,
                'from': 'range in m, validity 0 or 1',
                'angle_min': spec.angle_min, 'angle_max': spec.angle_max, 'unit_angle': 'rad',
                'range_min': spec.range_min, 'range_max': spec.range_max,
                'meaning': f'[batch, 2, {spec.beams}]: beam i looks along angle_min + (i + 0.5) * '
                           f'(angle_max - angle_min) / {spec.beams}; the nearest obstacle in it; '
                           f'no return is range_max and valid, an invalid beam is 0 and 0'}
    if isinstance(spec, AudioSpec):
        return {'divide_by': [32768.0], 'divide_axis': None, 'from': '16 bit PCM',
                'sample_rate_hz': spec.sample_rate,
                'meaning': f'[batch, {spec.channels}, {spec.window}]: the newest samples, oldest '
                           f'first'}
    if isinstance(spec, CameraSpec):
        return {'divide_by': [255.0], 'divide_axis': None, 'from': '8 bit RGB',
                'meaning': '[batch, red green blue, row from the top, column from the left]'}
    return {'meaning': f'{GENERAL[name]}; the checkpoint names no robot that would say more'}

