"""FAULTS rows 9, 16 and 19 over real DDS: what is wrong at start is one line and an exit code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
import shutil
from typing import Any

from dds_harness import DOMAIN, make_checkpoint, ROBOT_FILE, wait_for
import pytest
from std_msgs.msg import String

from liquidspike_ros.nodes import policy_node

pytestmark = [pytest.mark.dds, pytest.mark.slow]


@pytest.fixture
def refuse(checkpoint: Path, capfd: pytest.CaptureFixture[str],
           monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the node's main in this process; returns the one line with which it refuses to start."""

    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')

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
    process = start_policy(model='/nowhere/at_all')
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
