"""A signal asks a node to end, and breaks off work that cannot look whether it was asked."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from liquidspike_ros.nodes.process import contained


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    with contained('it', []) as (_, stop):
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.set
    assert stop.code == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_breaks_off_a_block_that_does_not_look(
        number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    reached = []
    with contained('it', [], raising=True) as (_, stop):
        try:
            signal.raise_signal(number)
            reached.append('the next line')
        finally:
            signal.raise_signal(number)  # delivered twice, it does not disturb the tidying up
            reached.append('tidied up')
    assert reached == ['tidied up']
    assert stop.code == 1
    assert capsys.readouterr().err == 'it: error: interrupted\n'


ROOT = Path(__file__).parents[2]
SEGMENT = """
import os
from pathlib import Path
from rclpy.node import Node
from liquidspike_ros.nodes.process import contained
with contained('it', []) as (context, _):
    node = Node('it', context=context)
    names = {line.split()[-1] for line in Path('/proc/self/maps').read_text().splitlines()
             if '/dev/shm/fastdds_' in line and 'port' not in line}
    print(max(os.stat(name).st_size for name in names))
    node.destroy_node()
"""


def largest_segment(**environment: str) -> int:
    """Bytes of the largest piece of shared memory that a process of ours has."""
    result = subprocess.run(
        [sys.executable, '-c', SEGMENT], capture_output=True, text=True, timeout=60,
        env={**{k: v for k, v in os.environ.items() if 'DEFAULT_PROFILES' not in k},
             'PYTHONPATH': str(ROOT), 'ROS_DOMAIN_ID': str(1 + os.getpid() % 100), **environment})
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


@pytest.mark.dds
@pytest.mark.skipif(not Path('/dev/shm').is_dir(), reason='needs shared memory')
@pytest.mark.parametrize('range_', ['LOCALHOST', 'SUBNET'])
def test_a_process_of_ours_has_room_for_camera_frames(range_: str) -> None:
    assert largest_segment(ROS_AUTOMATIC_DISCOVERY_RANGE=range_) >= 8 * 2**20


@pytest.mark.dds
@pytest.mark.skipif(not Path('/dev/shm').is_dir(), reason='needs shared memory')
def test_the_profile_that_a_user_named_stays(tmp_path: Path) -> None:
    own = tmp_path / 'own.xml'
    own.write_text((ROOT / 'config' / 'fastdds.xml').read_text().replace('8388608', '2097152'))
    size = largest_segment(FASTDDS_DEFAULT_PROFILES_FILE=str(own))
    assert 2 * 2**20 <= size < 4 * 2**20
