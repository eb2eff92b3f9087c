"""What the launch files share, where ROS's launch is installed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('launch_ros')  # a folder called launch is no proof that launch is there

from liquidspike_ros.nodes.launching import full_name, NodeFailed, sets, Watch


@pytest.mark.parametrize(('outer', 'namespace', 'name'), [
    ('', '', '/policy'), ('', 'robot1', '/robot1/policy'), ('', '/robot1/', '/robot1/policy'),
    ('/fleet', 'robot1', '/fleet/robot1/policy'), ('/fleet', '/robot1', '/robot1/policy'),
    ('/fleet', '', '/fleet/policy')])
def test_the_full_name_of_a_node(outer: str, namespace: str, name: str) -> None:
    context = SimpleNamespace(launch_configurations={'ros_namespace': outer} if outer else {})
    assert full_name(context, namespace, 'policy') == name


@pytest.mark.parametrize(('content', 'node', 'expected'), [
    ('/**: {ros__parameters: {model: x}}', '/policy', True),
    ('/**: {ros__parameters: {model: x}}', '/a/b/policy', True),
    ('/**/policy: {ros__parameters: {model: x}}', '/policy', True),
    ('/**/policy: {ros__parameters: {model: x}}', '/robot1/policy', True),
    ('policy: {ros__parameters: {model: x}}', '/policy', True),
    ('/robot1/policy: {ros__parameters: {model: x}}', '/robot1/policy', True),
    ('robot1: {policy: {ros__parameters: {model: x}}}', '/robot1/policy', True),
    ('/*/policy: {ros__parameters: {model: x}}', '/robot1/policy', True),
    ('/robot2/policy: {ros__parameters: {model: x}}', '/robot1/policy', False),
    ('policy: {ros__parameters: {model: x}}', '/robot1/policy', False),
    ('/**/other: {ros__parameters: {model: x}}', '/policy', False),
    ('/**: {ros__parameters: {device: cpu}}', '/policy', False),
    ('/**: {ros__parameters: }', '/policy', False),
    ('/**: [', '/policy', False),
    ('', '/policy', False),
    ('- 1', '/policy', False),
])
def test_whether_a_parameter_file_names_a_model(tmp_path: Path, content: str, node: str,
                                                expected: bool) -> None:
    file = tmp_path / 'params.yaml'
    file.write_text(content)
    assert sets(file, node, 'model') is expected


def event(name: str, pid: int, code: int = 0, text: str = '') -> Any:
    return SimpleNamespace(process_name=f'{name}-{pid}', pid=pid, returncode=code,
                           text=text.encode())


def run(watch: Watch, story: list[Any], stopped: bool = False) -> list[str]:
    """Play a story of starts (+), lines and ends (−); what the watch did."""
    done = []
    context = SimpleNamespace(is_shutdown=stopped)
    for kind, happening in story:
        try:
            if kind == '+':
                watch._on_start(happening, context)
            elif kind == 'says':
                watch._on_output(happening)
            elif watch._on_exit(happening, context) is not None:
                done.append('shutdown')
                context.is_shutdown = True
        except NodeFailed as error:
            done.append(str(error))
    return done


def test_a_node_that_fails_alone_is_the_last_word() -> None:
    assert run(Watch('policy_node'), [
        ('+', event('policy_node', 1)),
        ('says', event('policy_node', 1, text='\x1b[31mpolicy_node: error: no model\x1b[0m\n')),
        ('says', event('policy_node', 1, text='some library says good bye\n')),
        ('-', event('policy_node', 1, 1)),
    ]) == ['policy_node ended with exit code 1: policy_node: error: no model']


def test_the_failure_waits_for_the_others_to_end() -> None:
    watch = Watch('sim_node', 'policy_node', together=True)
    assert run(watch, [
        ('+', event('sim_node', 1)), ('+', event('policy_node', 2)),
        ('-', event('policy_node', 2, 1)), ('-', event('sim_node', 1, 0)),
    ]) == ['shutdown', 'policy_node ended with exit code 1: it said nothing']


def test_an_end_as_planned_is_no_failure() -> None:
    watch = Watch('sim_node', 'policy_node', together=True)
    assert run(watch, [
        ('+', event('sim_node', 1)), ('+', event('policy_node', 2)),
        ('-', event('sim_node', 1, 0)), ('-', event('policy_node', 2, 0))]) == ['shutdown']


def test_what_ctrl_c_ends_is_no_failure_and_neither_is_somebody_elses_node() -> None:
    story = [('+', event('policy_node', 1)), ('-', event('policy_node', 1, 130))]
    assert run(Watch('policy_node'), story, stopped=True) == []
    assert run(Watch('policy_node'), [('+', event('rviz2', 1)), ('-', event('rviz2', 1, 9))]) == []
