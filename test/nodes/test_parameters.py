from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import math
from pathlib import Path
import re

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from liquidspike_ros.control.safety import SafetyConfig
from liquidspike_ros.nodes.options import PolicyOptions, SyncOptions
from liquidspike_ros.nodes.parameters import ParameterError, PolicyParameters, unknown_overrides
from liquidspike_ros.robot import CommandSpec, load_robot, RobotSpec, SENSOR_TYPES
from liquidspike_ros.settings import described, Effect

CONFIG = Path(__file__).parents[2] / 'config'


class Host:
    """A node with the policy's parameters."""

    def __init__(self, node: Node) -> None:
        self.node, self.changes, self.limits = node, [], []
        self.configured: RobotSpec | None = None
        self.parameters = PolicyParameters(
            node, lambda: self.configured, self.changes.append,
            lambda lower, upper: self.limits.append((lower, upper)))

    def configure(self) -> None:
        self.configured = self.parameters.robot()

    def set(self, **values: object) -> list[tuple[bool, str]]:
        results = self.node.set_parameters(
            [Parameter(name.replace('__', '.'), value=value) for name, value in values.items()])
        return [(result.successful, result.reason) for result in results]


@pytest.fixture
def make_host() -> Iterator:
    context, nodes = Context(), []

    def make(*arguments: str) -> Host:
        rclpy.init(args=[], context=context)
        node = Node('policy', context=context, enable_rosout=False,
                    cli_args=['--ros-args', *arguments] if arguments else None)
        nodes.append(node)
        return Host(node)

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


PARTS = {'': RobotSpec(), 'command.': CommandSpec(), 'safety.': SafetyConfig(),
         'sync.': SyncOptions(),
         **{f'sensors.{name}.': spec() for name, spec in SENSOR_TYPES.items()}}
# Every setting by the name of its parameter, found without the code that declares them.
SETTINGS = {prefix + item.name: item for prefix, part in PARTS.items()
            for item in described(type(part))} | {
                item.name: item for item in described(PolicyOptions)}


def test_every_setting_is_declared_and_nothing_else(make_host):
    node = make_host().node
    rclpys_own = {'use_sim_time', 'start_type_description_service'}
    assert set(node._parameters) - rclpys_own == set(SETTINGS)


def test_a_parameter_has_text_and_range_of_its_setting(make_host):
    node = make_host().node
    for name, item in SETTINGS.items():
        shown = node.describe_parameter(name)
        assert item.text in shown.description, name
        assert shown.description.endswith(f' [{item.unit}]') == bool(item.unit), name
        ranges = [*shown.floating_point_range, *shown.integer_range]
        if item.limits and not item.many:
            assert [(span.from_value, span.to_value) for span in ranges] == [item.limits], name
            assert bool(shown.integer_range) == (item.kind is int), name
        else:  # ROS looks at no range of a list
            assert ranges == [], name
            assert item.allowed in shown.additional_constraints, name
        assert shown.read_only == (item.effect is Effect.START), name


def test_a_parameter_has_the_default_of_its_setting(make_host):
    node = make_host().node
    for name, item in SETTINGS.items():
        value = node.get_parameter(name).value
        if item.many:
            assert tuple(entry for entry in value if entry != '') == item.default, name
        else:
            assert value == item.default, name


def test_when_a_value_takes_effect_is_said(make_host):
    node = make_host().node
    for name, text in (('rate', 'next configure'), ('safety.arm_without', 'at once'),
                       ('command.upper', 'lowered at once'), ('threads', 'Fixed at start')):
        assert text in node.describe_parameter(name).additional_constraints


def test_values_just_outside_are_refused_by_the_node_as_by_the_validator(make_host):
    """Within its relative tolerance of 1e-9 rclpy takes a value for the end of the range."""
    host = make_host()
    for name, item in SETTINGS.items():
        if item.limits and item.effect is not Effect.START:
            low, high = item.limits
            closer = [] if item.kind is int else [math.nextafter(high, math.inf), math.nan]
            for value in map(item.kind, (low - 1, high + 1, *closer)):
                wanted = [value, *item.default[1:]] if item.many else value
                ((successful, reason),) = host.set(**{name.replace('.', '__'): wanted})
                assert not successful, (name, value)
                assert name in reason, (name, value)


def test_defaults_are_those_of_the_dataclasses(make_host):
    host = make_host()
    assert host.parameters.robot() == RobotSpec()
    assert host.parameters.options() == PolicyOptions()


@pytest.mark.parametrize('path', sorted((CONFIG / 'robots').glob('*.yaml')), ids=lambda p: p.stem)
def test_a_robot_file_means_the_same_to_the_node_and_to_the_library(make_host, path: Path):
    host = make_host('--params-file', str(path))
    assert host.parameters.robot() == load_robot(path)


@pytest.mark.parametrize('name', ['policy', 'demo'])
def test_the_shipped_parameter_files_are_read_and_hold_no_unknown_names(make_host, name: str):
    path = CONFIG / f'{name}.yaml'
    (body,) = yaml.safe_load(path.read_text()).values()
    host = make_host('--params-file', str(path))
    expected = body['ros__parameters']
    for key, value in expected.items():
        for inner, item in value.items() if isinstance(value, dict) else [('', value)]:
            full = f'{key}.{inner}' if inner else key
            assert host.node.get_parameter(full).value == item


def test_the_parameter_file_to_start_from_changes_no_default(make_host):
    host = make_host('--params-file', str(CONFIG / 'policy.yaml'))
    assert host.parameters.options() == PolicyOptions()


def test_the_example_in_the_page_of_parameters_is_taken(make_host, tmp_path: Path):
    (example,) = re.findall(
        r'```yaml\n(.*?)```', (CONFIG.parent / 'docs' / 'parameters.md').read_text(), re.S)
    file = tmp_path / 'example.yaml'
    file.write_text(example)
    host = make_host('--params-file', str(file))
    assert unknown_overrides(host.node) == []
    assert host.parameters.options().safety.arm_without == ('audio',)
    assert host.parameters.robot().command.upper == (0.3, 1.0)


def test_the_second_robot_has_two_sensors_and_stamped_commands():
    robot = load_robot(CONFIG / 'robots' / 'turtlebot4.yaml')
    assert list(robot.sensors) == ['camera', 'lidar']
    assert robot.command.kind == 'twist_stamped'


@pytest.mark.parametrize(('name', 'value', 'reason'), [
    ('rate', 5000.0, 'range'),
    ('sensors__camera__width', 4, 'range'),
    ('trigger', 'sonar', 'trigger: got'),
    ('command__kind', 'pwm', 'twist_stamped'),
    ('command__upper', [1.0, 2.0, 3.0], '2 finite numbers'),
    ('sync__policy', 'exact', 'snapshot, approximate_time'),
    ('device', 'tpu', "'cuda'"),
    ('runtime', 'fast', "'fast', expected one of auto, eager, cudagraph, compile"),
    ('precision', 'int8', "'int8', expected one of auto, float32, bfloat16, float16"),
    ('safety__silence_timeout', 3.0, 'range'),
    ('executor', 'single', 'read-only'),
])
def test_a_bad_value_is_refused_and_the_old_one_stays(make_host, name, value, reason):
    host = make_host()
    before = host.parameters.robot(), host.parameters.options()
    ((successful, text),) = host.set(**{name: value})
    assert not successful
    assert reason in text
    assert (host.parameters.robot(), host.parameters.options()) == before


def test_a_combination_is_checked_as_a_whole(make_host):
    host = make_host()
    changes = [Parameter('sensors.lidar.range_min', value=9.0),
               Parameter('sensors.lidar.range_max', value=12.0)]
    assert not host.node.set_parameters(changes[:1])[0].successful
    assert host.node.set_parameters_atomically(changes).successful
    assert host.parameters.robot().lidar.range_min == 9.0


def test_while_configured_only_live_parameters_can_be_set(make_host):
    host = make_host()
    host.configure()
    ((successful, text),) = host.set(model='/else')
    assert not successful
    assert 'clean up' in text
    assert not host.set(runtime='eager')[0][0]
    assert not host.set(precision='bfloat16')[0][0]
    assert host.set(introspection=True) == [(True, '')]
    assert host.changes[-1].introspection


@pytest.mark.parametrize(('argument', 'text'), [
    ('rate:=fast', "rate: got 'fast', expected a number"),
    ('rate:=true', 'rate: got True, expected a number'),
    ('rate:=.nan', 'rate: '),
    ('sensors.camera.width:=96.0', 'sensors.camera.width: got 96.0, expected a whole number'),
    ('auto_arm:=maybe', "auto_arm: got 'maybe', expected true or false"),
    ('model:=7', 'model: got 7, expected a text'),
    ('command.upper:=[a, b]', r"command.upper: got \['a', 'b'\], expected a list of numbers"),
    ('command.upper:=[1]', 'command.upper: got .*expected 2 finite numbers'),
    ('command.names:=[1, 2]', r'command.names: got \[1, 2\], expected a list of texts'),
    ('safety.watchdog:=.nan', r'safety.watchdog: got nan, expected a number in \[0, 2\] s'),
    ('rate:=-3.0', r'^rate: got -3.0, expected a number in \[0.1, 1000\] Hz$'),
    ('trigger:=sonar', 'trigger: got'),
    ('sync.slop:=99.0', r'sync.slop: got 99.0, expected a number in \[0.001, 2\] s'),
])
def test_a_bad_start_value_is_one_line_naming_it(make_host, argument: str, text: str):
    with pytest.raises(ParameterError, match=text) as caught:
        make_host('-p', argument)
    assert '\n' not in str(caught.value)


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PolicyOptions().device = 'cuda'  # type: ignore[misc]


WRITTEN = [
    ('rate', 10, 'rate', 10.0),
    ('command__upper', [1, 2], 'command.upper', [1.0, 2.0]),
    ('command__upper', [0.5, 1.5], 'command.upper', [0.5, 1.5]),
    ('command__upper', '[0.3, 1]', 'command.upper', [0.3, 1.0]),
    ('command__names', ['linear.x', 'angular.z'], 'command.names', ['linear.x', 'angular.z']),
    ('sync__sensors', ['lidar'], 'sync.sensors', ['lidar']),
    ('sync__sensors', 'lidar', 'sync.sensors', ['lidar']),
    ('safety__watchdog', 1, 'safety.watchdog', 1.0),
]


@pytest.mark.parametrize(('name', 'written', 'parameter', 'meant'), WRITTEN)
def test_a_value_is_taken_as_the_declared_type(make_host, name, written, parameter, meant):
    host = make_host()
    assert host.set(**{name: written}) == [(True, '')]
    got = host.node.get_parameter(parameter)
    assert (list(got.value) if isinstance(meant, list) else got.value) == meant
    assert got.type_ is Parameter.Type.from_parameter_value(meant)


@pytest.mark.parametrize(('argument', 'parameter', 'meant'), [
    ('rate:=10', 'rate', 10.0),
    ('command.upper:=[1, 2]', 'command.upper', [1.0, 2.0]),
    ('sync.sensors:=[lidar]', 'sync.sensors', ['lidar']),
    ('sync.sensors:=lidar', 'sync.sensors', ['lidar']),
    ('safety.arm_without:=audio', 'safety.arm_without', ['audio']),
])
def test_the_same_at_start(make_host, argument, parameter, meant):
    value = make_host('-p', argument).node.get_parameter(parameter).value
    assert (list(value) if isinstance(meant, list) else value) == meant


def test_whole_numbers_in_a_parameter_file(make_host, tmp_path: Path):
    file = tmp_path / 'robot.yaml'
    file.write_text('/**: {ros__parameters: {rate: 10, command: {upper: [1, 2]}}}')
    robot = make_host('--params-file', str(file)).parameters.robot()
    assert (robot.rate, robot.command.upper) == (10.0, (1.0, 2.0))


@pytest.mark.parametrize(('name', 'value'), [
    ('command__upper', ['a', 'b']), ('command__upper', 'fast'), ('command__upper', [True, False]),
    ('command__upper', '[1, {}]'), ('command__upper', '[1,'), ('command__names', [1, 2]),
    ('rate', 'fast'), ('rate', True), ('rate', [1.0]), ('safety__watchdog', float('nan')),
    ('command__upper', [float('nan'), 1.0]), ('command__upper', []),
    ('safety__arm_without', ['radar']),
])
def test_what_is_no_such_value_is_refused(make_host, name, value):
    host = make_host()
    before = host.parameters.robot(), host.parameters.options()
    ((successful, reason),) = host.set(**{name: value})
    assert not successful
    assert name.replace('__', '.') in reason or 'type' in reason
    assert (host.parameters.robot(), host.parameters.options()) == before


def test_limits_may_be_lowered_while_configured_and_raised_up_to_the_configured_ones(make_host):
    host = make_host()
    host.configure()
    assert host.set(command__upper='[0.3, 1]') == [(True, '')]
    assert host.limits[-1] == ((-0.2, -2.0), (0.3, 1.0))
    assert host.set(command__lower=[0, -1]) == [(True, '')]
    assert host.limits[-1] == ((0.0, -1.0), (0.3, 1.0))
    assert host.set(command__upper=[0.6, 2.0]) == [(True, '')]
    assert host.limits[-1] == ((0.0, -1.0), (0.6, 2.0))


@pytest.mark.parametrize(('name', 'value'), [
    ('upper', [0.7, 2.0]), ('upper', [0.6, 2.1]), ('lower', [-0.3, -2.0]), ('upper', [-0.1, 2.0]),
    ('lower', [0.1, -2.0]), ('upper', [0.3]), ('upper', [float('nan'), 2.0])])
def test_a_limit_that_is_raised_while_configured_is_refused_with_the_reason(
        make_host, name, value):
    host = make_host()
    host.configure()
    ((successful, reason),) = host.set(**{f'command__{name}': value})
    assert not successful
    assert 'expected' in reason
    assert f'command.{name}' in reason or 'command.safe' in reason
    assert host.limits == []


def test_a_misspelt_parameter_is_said_with_the_nearest_name(make_host):
    host = make_host('-p', 'comand.upper:=[0.3, 1.0]', '-p', 'rate:=15.0')
    (line,) = unknown_overrides(host.node)
    assert line.startswith('comand.upper: unknown parameter')
    assert 'did you mean command.upper?' in line


@pytest.mark.parametrize('word', ['inf', 'nan', 'zero'])
def test_a_bare_inf_where_a_word_is_declared_is_the_word(make_host, word: str) -> None:
    """rcl takes it for a number."""
    host = make_host('-p', f'sensors.lidar.no_return:={word}')
    assert host.parameters.robot().lidar.no_return == word
