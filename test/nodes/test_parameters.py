from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
import yaml

from liquidspike_ros.nodes.options import PolicyOptions
from liquidspike_ros.nodes.parameters import (
    option_declarations,
    ParameterError,
    PolicyParameters,
    robot_declarations,
)
from liquidspike_ros.robot import load_robot, RobotSpec

CONFIG = Path(__file__).parents[2] / 'config'


class Host:
    """A node with the policy's parameters."""

    def __init__(self, node: Node) -> None:
        self.node, self.configured, self.changes = node, False, []
        self.parameters = PolicyParameters(node, lambda: self.configured, self.changes.append)

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


def test_every_field_of_robot_and_options_is_declared_with_a_description(make_host):
    node = make_host().node
    declarations = robot_declarations() + option_declarations(PolicyOptions())
    assert len(declarations) > 60
    for item in declarations:
        descriptor = node.describe_parameter(item.name)
        assert len(descriptor.description) > 10, item.name


def test_numbers_carry_their_range(make_host):
    node = make_host().node
    assert node.describe_parameter('rate').floating_point_range[0].to_value == 1000.0
    assert node.describe_parameter('sensors.camera.width').integer_range[0].from_value == 8


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
    host.configured = True
    ((successful, text),) = host.set(model='/else')
    assert not successful
    assert 'clean up' in text
    assert not host.set(runtime='eager')[0][0]
    assert not host.set(precision='bfloat16')[0][0]
    assert host.set(introspection=True) == [(True, '')]
    assert host.changes[-1].introspection


@pytest.mark.parametrize(('argument', 'text'), [
    ('rate:=15', 'rate: got another type, expected float'),
    ('rate:=-3.0', 'rate: '),
    ('trigger:=sonar', 'trigger: got'),
    ('sync.slop:=99.0', r'sync.slop: .*expected within \[0.001, 2.0\]'),
])
def test_a_bad_start_value_is_one_line_naming_it(make_host, argument: str, text: str):
    with pytest.raises(ParameterError, match=text) as caught:
        make_host('-p', argument)
    assert '\n' not in str(caught.value)


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PolicyOptions().device = 'cuda'  # type: ignore[misc]
