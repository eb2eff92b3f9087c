"""FAULTS rows 9, 16 and 19 over real DDS: what is wrong at start is one line and an exit code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import shutil
from typing import Any

from dds_harness import call, DiagnosticsEar, DOMAIN, make_checkpoint, ROBOT_FILE, wait_for
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import String

from liquidspike_ros.nodes import policy_node, policy_report

pytestmark = [pytest.mark.dds, pytest.mark.slow]


@pytest.fixture
def refuse(checkpoint: Path, capfd: pytest.CaptureFixture[str],
           monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the node's main in this process; returns the one line with which it refuses to start."""

    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    monkeypatch.setattr(policy_report, 'LISTENING', 0.1)  # nobody does

    def run(**parameters: Any) -> str:
        arguments = ['policy_node', '--ros-args', '--params-file', str(ROBOT_FILE)]
        for name, value in {'model': checkpoint, **parameters}.items():
            arguments += ['-p', f'{name.replace("__", ".")}:={value}']
        code = policy_node.main(arguments)
        return only_error(code, capfd.readouterr().err)

    return run


def only_error(code: int, output: str) -> str:
    assert code == 1, output
    assert 'Traceback' not in output
    (line,) = [line for line in output.splitlines() if 'error' in line.lower()]
    return line


def damage(folder: Path, file: str, change: Any) -> Path:
    path = folder / file
    path.write_bytes(change(path.read_bytes()))
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / 'copy'))


def test_missing_model_folder(start_policy: Any) -> None:
    process = start_policy(model='/nowhere/at_all', fresh=True)
    line = only_error(process.wait(), process.output)
    assert '/nowhere/at_all' in line
    assert 'expected' in line


def test_truncated_weights(refuse: Any, copy: Path) -> None:
    line = refuse(model=damage(copy, 'model.safetensors', lambda b: b[:-100]))
    assert 'model.safetensors' in line


def test_pickle_instead_of_weights(refuse: Any, copy: Path) -> None:
    line = refuse(model=damage(copy, 'model.safetensors', lambda b: b'\x80' + b))
    assert 'pickle' in line


def test_a_robot_the_weights_were_not_trained_for(refuse: Any) -> None:
    line = refuse(sensors__lidar__beams=90)
    assert 'sensors.lidar.beams' in line
    assert '90' in line
    assert '180' in line


def test_a_parameter_out_of_range(refuse: Any) -> None:
    line = refuse(rate=-1.0)
    assert 'rate' in line


def test_an_interface_that_is_not_installed(refuse: Any) -> None:
    if importlib.util.find_spec('audio_common_msgs'):
        pytest.skip('it is installed here')
    line = refuse(sensors__audio__type='audio_common_msgs/msg/AudioData')
    assert 'audio_common_msgs' in line


def test_somebody_publishes_another_type(node: Any, start_policy: Any) -> None:
    node.create_publisher(String, 'camera/image_raw', 10)
    process = start_policy()
    line = only_error(process.wait(), process.output)
    for part in ('/camera/image_raw', 'std_msgs/msg/String', 'sensor_msgs/msg/Image'):
        assert part in line


def test_the_same_checkpoint_untouched_starts(start_policy: Any, tmp_path: Path) -> None:
    process = start_policy(model=make_checkpoint(tmp_path / 'fresh'))
    wait_for(lambda: 'loaded and warm' in process.output, 'the node')
    assert process.signal() == 0


def lifecycle(node: Any, transition: int) -> bool:
    request = ChangeState.Request()
    request.transition.id = transition
    return call(node, ChangeState, '/policy/change_state', request).success


def test_a_failed_configure_says_why_on_log_and_diagnostics_until_it_succeeds(
        node: Any, start_policy: Any, checkpoint: Path) -> None:
    ear = DiagnosticsEar(node)
    process = start_policy(auto_start=False, model='/nowhere/at_all')
    wait_for(lambda: 'policy: command' in ear.status, 'diagnostics')
    assert ear.status['policy: command'].message == 'not configured'
    assert not lifecycle(node, Transition.TRANSITION_CONFIGURE)
    wait_for(lambda: '/nowhere/at_all' in ear.status['policy: command'].message, 'the reason')
    assert ear.status['policy: command'].level == DiagnosticStatus.ERROR
    assert '/nowhere/at_all' in (ear.value('policy: command', 'reason') or '')
    (line,) = [line for line in process.lines if '/nowhere/at_all' in line]
    assert 'configure: ' in line
    set_parameter(node, 'model', str(checkpoint))
    assert lifecycle(node, Transition.TRANSITION_CONFIGURE)
    wait_for(lambda: 'inactive' in ear.status['policy: command'].message, 'the all-clear')
    assert 'Traceback' not in process.output


def test_a_failure_of_any_class_leaves_a_node_that_can_be_configured(
        node: Any, start_policy: Any) -> None:
    """A substitution that only the middleware finds to be none."""
    ear = DiagnosticsEar(node)
    process = start_policy(auto_start=False, sensors__imu__topic='/{nonsense}/imu')
    wait_for(lambda: 'policy: command' in ear.status, 'diagnostics')
    assert not lifecycle(node, Transition.TRANSITION_CONFIGURE)
    wait_for(lambda: 'nonsense' in ear.status['policy: command'].message, 'the reason')
    wait_for(lambda: 'nonsense' in process.output, 'the reason in the log')
    assert 'Traceback' not in process.output
    # What the failed attempt had made is gone: no topic is taken twice.
    names = [name for name, _ in node.get_subscriber_names_and_types_by_node('policy', '/')]
    assert '/camera/image_raw' not in names
    set_parameter(node, 'sensors.imu.topic', 'imu')
    assert lifecycle(node, Transition.TRANSITION_CONFIGURE)
    assert lifecycle(node, Transition.TRANSITION_ACTIVATE)


def test_a_node_that_refuses_to_start_says_why_on_diagnostics_too(
        node: Any, start_policy: Any) -> None:
    ear = DiagnosticsEar(node)
    for _ in range(4):  # on a busy machine a process may be gone before it is found
        process = start_policy(command__topic='cmd//vel')
        line = only_error(process.wait(), process.output)
        assert "command.topic: got 'cmd//vel', expected a topic name" in line
        if 'policy: command' in ear.status:
            break
    wait_for(lambda: 'policy: command' in ear.status, 'diagnostics')
    assert "command.topic: got 'cmd//vel'" in ear.status['policy: command'].message


def set_parameter(node: Any, name: str, value: Any) -> Any:
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    (result,) = call(node, SetParameters, '/policy/set_parameters', request).results
    return result


def test_a_limit_is_lowered_while_configured(node: Any, start_policy: Any) -> None:
    process = start_policy()
    wait_for(lambda: 'loaded and warm' in process.output, 'the node')
    wait_for(lambda: process.running, 'it to run')
    assert set_parameter(node, 'command.upper', [1, 2]).successful is False
    assert 'lowered, not raised' in set_parameter(node, 'command.upper', [1, 2]).reason
    assert set_parameter(node, 'command.upper', '[0.3, 1]').successful
    wait_for(lambda: '[0.3, 1.0] from now on' in process.output, 'the word')
    assert process.signal() == 0
