from __future__ import annotations

import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import pytest

from liquidspike_ros.demo.processes import Children, DemoError, free_domain

STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(60)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (print('zeros sent', flush=True), sys.exit(0)))
print('ready', flush=True)
time.sleep(60)
"""


@pytest.fixture
def modules(tmp_path: Path) -> dict[str, str]:
    """An environment in which the little programs can be run as modules."""
    for name, source in {'stubborn': STUBBORN, 'polite': POLITE, 'broken': '1 / 0'}.items():
        (tmp_path / f'{name}_program.py').write_text(source)
    return {**os.environ, 'PYTHONPATH': str(tmp_path)}


def wait_for(path: Path, words: str, timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while words not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'


def test_a_node_may_say_its_last_words(tmp_path: Path, modules: dict[str, str]) -> None:
    with Children(tmp_path, modules) as children:
        child = children.start('polite', 'polite_program')
        wait_for(child.log, 'ready')
        assert child.processor_time() > 0
    assert child.process.returncode == 0
    assert 'zeros sent' in child.log.read_text()


def test_a_node_that_will_not_end_is_ended(tmp_path: Path, modules: dict[str, str]) -> None:
    children = Children(tmp_path, modules)
    child = children.start('stubborn', 'stubborn_program')
    wait_for(child.log, 'ready')
    children.stop(patience=0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_nodes_end_when_something_goes_wrong(tmp_path: Path, modules: dict[str, str]) -> None:
    with pytest.raises(ZeroDivisionError), Children(tmp_path, modules) as children:
        child = children.start('polite', 'polite_program')
        wait_for(child.log, 'ready')
        _ = 1 / 0
    assert not alive(child.process.pid)


def test_a_node_that_ended_is_named_with_its_last_words(
    tmp_path: Path, modules: dict[str, str]
) -> None:
    with Children(tmp_path, modules) as children:
        child = children.start('policy_node', 'broken_program')
        child.process.wait(10)
        with pytest.raises(DemoError, match=r'policy_node ended with status 1: ZeroDivisionError'):
            children.check()


def test_nodes_die_with_a_killed_demo(tmp_path: Path, modules: dict[str, str]) -> None:
    code = (
        'import os, sys, time\n'
        'from pathlib import Path\n'
        'from liquidspike_ros.demo.processes import Children\n'
        f'children = Children(Path({str(tmp_path)!r}), os.environ)\n'
        "print(children.start('polite', 'polite_program').process.pid, flush=True)\n"
        'time.sleep(60)\n'
    )
    repository = str(Path(__file__).parents[2])
    environment = {**modules, 'PYTHONPATH': f'{modules["PYTHONPATH"]}:{repository}'}
    parent = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True,
                              env=environment)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_for(tmp_path / 'polite.log', 'ready')
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)


def test_a_domain_in_use_is_left_alone() -> None:
    taken = free_domain()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(('', 7400 + 250 * taken + 10))
        assert free_domain() != taken
        with pytest.raises(DemoError, match=f'from {taken} to {taken} is in use'):
            free_domain(taken, taken)
