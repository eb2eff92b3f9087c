"""Fixtures over real DDS: a fake robot here, nodes of ours in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dds_harness import FakeRobot, make_checkpoint, Process, ROBOT_FILE, ros_node
import pytest


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained policy for the robot of config/robots/beacon.yaml."""
    return make_checkpoint(tmp_path_factory.mktemp('model') / 'tiny')


@pytest.fixture
def node() -> Iterator[Any]:
    with ros_node('test_robot') as node:
        yield node


@pytest.fixture
def robot(node: Any) -> Iterator[FakeRobot]:
    """All sensors publishing."""
    robot = FakeRobot(node)
    robot.start()
    yield robot
    robot.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Start nodes of ours: start('policy_node', '--ros-args', …)."""
    running: list[Process] = []

    def make(module: str, *arguments: str) -> Process:
        running.append(Process(module, *arguments))
        return running[-1]

    yield make
    for process in running:
        process.close()


@pytest.fixture
def start_policy(start: Callable[..., Process], checkpoint: Path) -> Callable[..., Process]:
    """Start the policy node with parameters as keywords (a__b is a.b)."""

    def make(**parameters: Any) -> Process:
        values = {'model': checkpoint, **parameters}
        arguments = []
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ['-p', f'{name.replace("__", ".")}:={text}']
        return start('policy_node', '--ros-args', '--params-file', str(ROBOT_FILE), *arguments)

    return make
