"""The demo as a whole: real processes, real DDS, a policy that knows nothing yet."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.dds]


@pytest.fixture(scope='module')
def ignorant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the beacon robot with random weights."""
    import torch

    from liquidspike_ros.control.tensors import robot_model_config
    from liquidspike_ros.core.checkpoint import save_pretrained
    from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel
    from liquidspike_ros.robot import load_robot
    from liquidspike_ros.share import shared_file

    torch.manual_seed(0)
    robot = load_robot(shared_file('config/robots/beacon.yaml'))
    model = RobotMultiSensorModel(
        **robot_model_config(robot), camera_architecture='simple', fusion_strategy='hybrid',
        fusion_dim=64, encoder_dim=64, liquid_units=32, spiking_units=32, num_spike_steps=4)
    folder = tmp_path_factory.mktemp('model')
    save_pretrained(model, folder, metadata={'robot': robot.to_dict()})
    return folder


def start(model: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, '-m', 'liquidspike_ros.cli', 'demo', '--model', str(model),
               '--output', str(output), '--seed', '1003', *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, 'PYTHONUNBUFFERED': '1'})


def nodes_of(output: Path) -> list[int]:
    """Processes that still write into the folder's logs."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            targets = [os.readlink(entry) for entry in (folder / 'fd').iterdir()]
        except OSError:
            continue
        if any(target.startswith(str(output)) for target in targets):
            found.append(int(folder.name))
    return found


def test_demo_drives_measures_and_draws(ignorant: Path, tmp_path: Path) -> None:
    process = start(ignorant, tmp_path, '--limit', '5')
    out, _ = process.communicate(timeout=180)
    summary = json.loads((tmp_path / 'summary.json').read_text())
    # Without training it does not arrive, and says so by its status.
    assert process.returncode == 1, out
    assert summary['arrived'] is False
    assert summary['outcome'] in ('timeout', 'wrong_beacon')
    assert summary['commands'] > 20
    assert summary['latency_ms']['count'] > 20
    assert summary['latency_ms']['p50'] > 0
    assert min(summary['received'].values()) > 0
    assert (tmp_path / 'episode.png').stat().st_size > 10_000
    assert (tmp_path / 'episode.mp4').stat().st_size > 50_000
    assert 'm to go' in out
    assert nodes_of(tmp_path) == []


def test_ctrl_c_ends_the_nodes_too(ignorant: Path, tmp_path: Path) -> None:
    process = start(ignorant, tmp_path, '--no-video')
    assert process.stdout is not None
    seen = ''
    deadline = time.monotonic() + 90
    while 'm to go' not in seen and time.monotonic() < deadline:
        seen += process.stdout.readline()
    assert len(nodes_of(tmp_path)) == 3  # the simulator, the policy, and the demo that logs them
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130, out
    assert out.splitlines()[-1] == 'liquidspike: interrupted'
    assert nodes_of(tmp_path) == []
    assert not (tmp_path / 'summary.json').exists()


def test_a_node_that_cannot_start_is_reported(tmp_path: Path) -> None:
    process = start(tmp_path / 'no_model', tmp_path / 'out')
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    (line,) = [line for line in out.splitlines() if line.startswith('liquidspike: ')]
    assert 'policy_node' in line
    assert 'no_model' in line
    assert nodes_of(tmp_path) == []


SHIPPED = Path(__file__).parents[2] / 'models' / 'beacon'


@pytest.mark.skipif(not SHIPPED.is_dir(), reason='test_package.py demands that it is shipped')
def test_the_shipped_policy_arrives(tmp_path: Path) -> None:
    """What `make demo` promises, with its own seed and model."""
    command = [sys.executable, '-m', 'liquidspike_ros.cli', 'demo', '--output', str(tmp_path)]
    result = subprocess.run([*command, '--no-video'], cwd=SHIPPED.parents[1], text=True,
                            capture_output=True, timeout=200, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['arrived'] is True
    assert summary['commands'] > 20
