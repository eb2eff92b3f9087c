from __future__ import annotations

import ast
import importlib.util
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
from typing import Any

import pytest

from liquidspike_ros.nodes.declarations import option_declarations, robot_declarations
from liquidspike_ros.nodes.options import PolicyOptions
from liquidspike_ros.nodes.sim_node import SimOptions
from liquidspike_ros.nodes.train_node import TrainOptions

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
OPTIONS = {'policy_node': PolicyOptions, 'sim_node': SimOptions, 'train_node': TrainOptions}


def calls(path: Path, *names: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and getattr(node.func, 'id', '') in names]


def nodes_of(path: Path) -> list[dict[str, ast.expr]]:
    return [{k.arg or '': k.value for k in call.keywords}
            for call in calls(path, 'Node', 'LifecycleNode')]


def test_there_are_launch_files():
    assert {'policy.launch.py', 'demo.launch.py', 'train.launch.py'} <= {p.name for p in FILES}


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_every_executable_is_installed(path: Path):
    scripts = re.findall(r"f'(\w+) = ", (ROOT / 'setup.py').read_text())
    for node in nodes_of(path):
        assert ast.literal_eval(node['package']) == 'liquidspike_ros'
        assert ast.literal_eval(node['executable']) in scripts


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_every_parameter_that_a_launch_file_sets_is_declared(path: Path):
    for node in nodes_of(path):
        options = OPTIONS[ast.literal_eval(node['executable'])]()
        declared = {item.name for item in robot_declarations() + option_declarations(options)}
        declared.add('use_sim_time')
        for part in ast.walk(node['parameters']):
            if isinstance(part, ast.Dict):
                assert {ast.literal_eval(key) for key in part.keys if key} <= declared


def test_what_the_parameter_file_says_is_not_overruled_by_a_default():
    arguments = next(node.value for node in ast.parse(
        (ROOT / 'launch' / 'policy.launch.py').read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'ARGUMENTS')
    assert isinstance(arguments, ast.Dict)
    defaults = {ast.literal_eval(key): value.elts[0]
                for key, value in zip(arguments.keys, arguments.values, strict=True)
                if key and isinstance(value, ast.Tuple)}
    shared = {item.name for item in option_declarations(PolicyOptions())} & defaults.keys()
    assert {'device', 'auto_start', 'auto_arm'} <= shared
    for name in shared | {'use_sim_time'}:
        assert ast.literal_eval(defaults[name]) == '', name


@pytest.fixture
def load() -> Any:
    """The launch description of a file, where ROS's launch and this package are installed."""
    pytest.importorskip('launch')
    pytest.importorskip('launch_ros')
    packages = pytest.importorskip('ament_index_python.packages')
    try:
        packages.get_package_share_directory('liquidspike_ros')
    except packages.PackageNotFoundError:
        pytest.skip('the package is not installed in a ROS workspace')

    def make(path: Path) -> Any:
        spec = importlib.util.spec_from_file_location(path.stem.replace('.', '_'), path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.generate_launch_description()

    return make


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.name)
def test_defaults_resolve_to_files_that_are_there(load: Any, path: Path):
    from launch.actions import DeclareLaunchArgument
    from launch.utilities import perform_substitutions

    from launch import LaunchContext

    description, context = load(path), LaunchContext()
    for action in description.entities:
        if not isinstance(action, DeclareLaunchArgument):
            continue
        assert action.description
        if action.default_value is not None:
            value = perform_substitutions(context, action.default_value)
            context.launch_configurations[action.name] = value
            if action.name.endswith('_file'):
                assert Path(value).is_file(), f'{action.name}: {value}'


def launch(file: str, *arguments: str, status: int = 1) -> str:
    """What ``ros2 launch`` prints for a node that ends by itself, or does not start."""
    program = shutil.which('ros2')
    if program is None:
        pytest.skip('there is no ros2 command')
    process = subprocess.Popen(
        [program, 'launch', str(ROOT / 'launch' / file), *arguments], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = process.communicate(timeout=120)[0]
        assert process.returncode == status, output
        return output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the node too, not only who launched it
        pytest.fail(f'still running:\n{process.communicate()[0]}')


@pytest.mark.dds
@pytest.mark.slow
def test_a_launched_node_that_cannot_start_says_why(load: Any):
    output = launch('policy.launch.py', 'model:=/nowhere/at_all')
    assert 'policy_node ended with exit code 1: policy_node: error: /nowhere/at_all' in (
        output.splitlines()[-1])


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.parametrize(('arguments', 'device'), [
    ([], 'of_the_file'), (['device:=of_the_argument'], 'of_the_argument')])
def test_an_argument_goes_before_the_parameter_file_and_silence_does_not(
        load: Any, tmp_path: Path, arguments: list[str], device: str):
    file = tmp_path / 'policy.yaml'
    file.write_text('/**/policy: {ros__parameters: {device: of_the_file}}')
    output = launch('policy.launch.py', f'params_file:={file}', *arguments)
    assert f"policy_node: error: device: got '{device}'" in output


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.parametrize(('file', 'arguments'), [
    ('policy.launch.py', ['robot_file:=/nowhere.yaml']),
    ('policy.launch.py', ['robot:=nobody']),
    ('policy.launch.py', ['params_file:=/nowhere.yaml']),
    ('train.launch.py', ['bags:=[/none]', 'output:=/tmp/nothing', 'robot_file:=/nowhere.yaml']),
])
def test_a_robot_or_parameter_file_that_is_missing_starts_nothing(
        load: Any, file: str, arguments: list[str]):
    output = launch(file, *arguments)
    assert re.search(r'(robot|params)_file: got \S*no\w+\.yaml, expected a file', output)
    assert 'process started' not in output


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.parametrize(('arguments', 'model'), [
    ([], '/of/the/file'), (['model:=/of/the/argument'], '/of/the/argument'),
    (['namespace:=robot1'], '/of/the/file')])
def test_a_model_in_the_parameter_file_counts(
        load: Any, tmp_path: Path, arguments: list[str], model: str):
    file = tmp_path / 'policy.yaml'
    file.write_text('/**/policy: {ros__parameters: {model: /of/the/file}}')
    output = launch('policy.launch.py', f'params_file:={file}', *arguments)
    assert f'policy_node: error: {model}: ' in output.splitlines()[-1]


@pytest.mark.dds
@pytest.mark.slow
def test_the_log_level_reaches_a_node_in_a_namespace(load: Any):
    """rcl speaks of its own doings at the level debug, for the logger of the node."""
    quiet = launch('policy.launch.py', 'model:=/nowhere', 'namespace:=robot1')
    loud = launch('policy.launch.py', 'model:=/nowhere', 'namespace:=robot1', 'log_level:=debug')
    assert 'robot1.policy:=debug' in loud
    assert '[DEBUG]' not in quiet


@pytest.mark.dds
@pytest.mark.slow
@pytest.mark.parametrize('arguments', [
    ['model:=/nowhere/at_all'], ['real_time_factor:=-1.0'], ['seed:=many'], ['log_level:=loud']])
def test_the_demo_fails_with_either_of_its_nodes(load: Any, arguments: list[str]):
    output = launch('demo.launch.py', *arguments)
    assert 'Traceback' not in output
    assert re.search(r'_node: error: |log_level|seed', output.splitlines()[-1])


def test_the_demo_stays_on_this_machine_and_among_its_own_topics(load: Any):
    source = (ROOT / 'launch' / 'demo.launch.py').read_text()
    assert "default_value='LOCALHOST'" in source
    assert "SetRemap('/clock', 'clock')" in source
    namespaces = [node['namespace'] for node in nodes_of(ROOT / 'launch' / 'demo.launch.py')]
    assert all(ast.unparse(space) == "LaunchConfiguration('namespace')" for space in namespaces)
