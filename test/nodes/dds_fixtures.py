"""Fixtures over real DDS: a fake robot here, nodes of ours in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dds_harness import environment, FakeRobot, make_checkpoint, Process, ROBOT_FILE, ros_node
import pytest
from warm_start import Nursery


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


@pytest.fixture(scope='session')
def nursery() -> Iterator[Nursery | None]:
    """Starts nodes that need not load torch first; None where it cannot."""
    nursery = Nursery(environment())
    yield nursery if nursery.usable else None
    nursery.close()


@pytest.fixture
def start(nursery: Nursery | None) -> Iterator[Callable[..., Process]]:
    """Start nodes of ours: start('policy_node', '--ros-args', …); ``fresh``: as a user does."""
    running: list[Process] = []

    def make(module: str, *arguments: str, fresh: bool = False) -> Process:
        running.append(Process(module, *arguments, nursery=None if fresh else nursery))
        return running[-1]

    yield make
    for process in running:
        process.close()


@pytest.fixture
def start_policy(start: Callable[..., Process], checkpoint: Path) -> Callable[..., Process]:
    """Start the policy node with parameters as keywords (a__b is a.b)."""

    def make(*, fresh: bool = False, **parameters: Any) -> Process:
        values = {'model': checkpoint, **parameters}
        arguments = []
        for name, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ['-p', f'{name.replace("__", ".")}:={text}']
        return start('policy_node', '--ros-args', '--params-file', str(ROBOT_FILE), *arguments,
                     fresh=fresh)

    return make
