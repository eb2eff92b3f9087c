"""The programs of the nodes from their first second: help, wrong arguments, Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from liquidspike_ros.nodes import start
from liquidspike_ros.nodes.declarations import option_declarations, robot_declarations
from liquidspike_ros.nodes.policy_node import PolicyOptions
from liquidspike_ros.nodes.sim_node import SimOptions
from liquidspike_ros.nodes.train_node import TrainOptions

ROOT = Path(__file__).parents[2]
NODES = ('policy_node', 'sim_node', 'train_node')


def call(node: str, *arguments: str) -> int:
    return getattr(start, f'main_{node}')([node, *arguments])


@pytest.mark.parametrize('flag', [['--help'], ['-h'], ['--ros-args', '--help']])
@pytest.mark.parametrize('node', NODES)
def test_help_starts_nothing(capsys: pytest.CaptureFixture[str], node: str,
                             flag: list[str]) -> None:
    assert call(node, *flag) == 0
    shown = capsys.readouterr()
    assert shown.err == ''
    assert shown.out.startswith(f'usage: {node} ')
    assert f'ros2 run liquidspike_ros {node} --ros-args' in shown.out
    assert 'parameters' in shown.out


def test_help_may_be_cut_short() -> None:
    command = f'{sys.executable} -m liquidspike_ros.nodes.policy_node --help | head -1'
    shown = subprocess.run(['bash', '-c', command], cwd=ROOT, capture_output=True, text=True,
                           timeout=60, check=True)
    assert shown.stdout.startswith('usage: policy_node ')
    assert shown.stderr == ''


@pytest.mark.parametrize(('node', 'declarations'), [
    ('policy_node', option_declarations(PolicyOptions()) + robot_declarations()),
    ('sim_node', option_declarations(SimOptions())),
    ('train_node', option_declarations(TrainOptions()))])
def test_help_lists_every_parameter(capsys: pytest.CaptureFixture[str], node: str,
                                    declarations: list) -> None:
    assert call(node, '--help') == 0
    shown = capsys.readouterr().out
    words = shown.split()
    for item in declarations:
        assert item.name in words, item.name
        assert item.setting.text.split()[0] in shown


def test_help_of_the_policy_names_topics_and_services(capsys: pytest.CaptureFixture[str]) -> None:
    assert call('policy_node', '--help') == 0
    shown = capsys.readouterr().out
    for name in ('camera/image_raw', 'sensor_msgs/msg/LaserScan', 'cmd_vel', '/diagnostics',
                 '~/arm', 'std_srvs/srv/SetBool', '~/reset_state'):
        assert name in shown


@pytest.mark.parametrize('node', NODES)
@pytest.mark.parametrize(('arguments', 'said'), [
    (['fast'], 'fast: unknown argument'),
    (['--speed', '3'], '--speed: unknown argument'),
    (['-p', 'rate:=3.0'], '-p: ROS arguments stand after --ros-args'),
    (['rate:=3.0'], 'rate:=3.0: ROS arguments stand after --ros-args, a parameter as -p rate:=3.0'),
    (['--ros-args', '-p', 'rate'], '-p rate: wrong parameter override rule'),
    (['--ros-args', '--', 'fast'], 'fast: unknown argument'),
])
def test_wrong_arguments_are_one_line_and_status_2(
        capfd: pytest.CaptureFixture[str], node: str, arguments: list[str], said: str) -> None:
    assert call(node, *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f'{node}: error: {said}')
    assert f'(try: {node} --help)' in line


def test_wrong_ros_arguments_of_the_bag_player(capfd: pytest.CaptureFixture[str]) -> None:
    assert call('bag_player', 'bag', '--ros-args', '-r', 'scan') == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert '-r scan: wrong remap rule' in line


BEFORE_HEAVY = """
import sys
from liquidspike_ros.nodes.start import main_policy_node
code = main_policy_node(['policy_node', '--ros-args', '-p'])
assert code == 2, code
assert not {'torch', 'mujoco'} & set(sys.modules), 'loaded before the arguments were looked at'
"""


def test_wrong_arguments_are_refused_before_torch_is_loaded() -> None:
    subprocess.run([sys.executable, '-c', BEFORE_HEAVY], cwd=ROOT, check=True, timeout=60,
                   stderr=subprocess.DEVNULL)


# A library that takes its time to load, and interrupts the process meanwhile.
SLOW_LIBRARY = """
import os, signal, sys, types

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == {library!r}:
            try:
                os.kill(os.getpid(), {number})
                import time
                time.sleep(5)
            except BaseException:  # as libraries do that try an import
                pass

sys.meta_path.insert(0, Slow())
import runpy
sys.argv = {arguments!r}
runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(('library', 'arguments'), [
    ('rclpy', ['liquidspike_ros.nodes.policy_node']),
    ('torch', ['liquidspike_ros.nodes.policy_node']),
    ('mujoco', ['liquidspike_ros.nodes.sim_node']),
    ('torch', ['liquidspike_ros.nodes.train_node']),
    ('rosbags', ['liquidspike_ros.nodes.bag_player', 'bag']),
    ('liquidspike_ros.cli.program', ['liquidspike_ros.cli', 'version']),
    ('torch', ['liquidspike_ros.cli', 'train', 'bag', '-o', 'nowhere']),
    ('mujoco', ['liquidspike_ros.cli', 'evaluate', 'expert']),
])
def test_a_signal_while_libraries_load_is_quiet(
        tmp_path: Path, library: str, arguments: list[str], number: signal.Signals) -> None:
    code = SLOW_LIBRARY.format(library=library, number=int(number), arguments=arguments)
    ended = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, text=True, capture_output=True, timeout=60,
        check=False, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert 'Traceback' not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 1, ended.stderr
    # The command line leaves SIGTERM to the system, which ends it as quietly.
    assert ended.returncode in (128 + number, -number if number == signal.SIGTERM else 130)


LATE = """
import atexit, os, signal, sys, types
from liquidspike_ros.nodes import start

class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)  # when the interpreter has all but gone

sys.modules['liquidspike_ros.nodes.sim_node'] = types.SimpleNamespace(main=lambda args: {code})
late = Late()
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
sys.exit(start.main_sim_node(['sim_node']))
"""


@pytest.mark.parametrize('code', [0, 1])
def test_a_second_ctrl_c_on_the_way_out_does_not_change_the_exit_code(code: int) -> None:
    ended = subprocess.run([sys.executable, '-c', LATE.format(code=code)], cwd=ROOT, text=True,
                           capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (code, '')
