"""The pages of docs/ name what is there: tests, commands and the parameters' defaults."""

from __future__ import annotations

from pathlib import Path
import re
import shlex

import pytest

from liquidspike_ros.cli.program import parse
from liquidspike_ros.control.safety import SafetyGate, STATES
from liquidspike_ros.robot import load_robot

ROOT = Path(__file__).parents[1]
SAFETY = (ROOT / 'docs/safety.md').read_text()
TUTORIAL = (ROOT / 'docs/tutorial.md').read_text()


def commands(page: str) -> list[str]:
    """The lines of the page's shell blocks."""
    return [line for block in re.findall(r'^```sh\n(.*?)^```', page, re.M | re.S)
            for line in block.splitlines()]


@pytest.mark.parametrize(('path', 'name'), re.findall(r'([\w/]+\.py)::(\w+)', SAFETY))
def test_every_test_that_holds_a_fault_is_there(path: str, name: str) -> None:
    assert f'def {name}(' in (ROOT / 'test' / path).read_text()


def test_the_safety_page_has_every_state() -> None:
    assert set(re.findall(r'^\| ([A-Z]{2,}) \|', SAFETY, re.M)) == set(STATES)


@pytest.mark.parametrize(('robot', 'column'), [('beacon', 1), ('turtlebot4', 2)])
def test_the_times_of_the_safety_page_are_those_of_the_robot_files(
        robot: str, column: int) -> None:
    spec = load_robot(ROOT / f'config/robots/{robot}.yaml')
    gate, command = SafetyGate(spec), spec.command
    braking = max(max(abs(low), abs(high)) / slope for low, high, slope in zip(
        command.lower, command.upper, command.stop_deceleration, strict=True))
    rows = {cells[0]: cells[1 + column] for cells in (
        [cell.strip() for cell in line.strip('|').split(' | ')]
        for line in SAFETY.splitlines() if re.match(r'\| [TBWS] \|', line))}
    wanted = {'T': spec.period, 'B': braking, 'W': gate.watchdog_timeout,
              'S': gate.silence_timeout}
    assert rows == {name: f'{seconds:.3f} s' for name, seconds in wanted.items()}


@pytest.mark.parametrize('line', [line for line in commands(TUTORIAL)
                                  if line.startswith('liquidspike ')])
def test_every_command_of_the_tutorial_is_understood(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    assert parse(arguments).run is not None


def test_every_file_that_the_tutorial_runs_is_there() -> None:
    named = re.findall(r'^python (\S+)', '\n'.join(commands(TUTORIAL)), re.M)
    assert len(set(named)) == 3
    assert all((ROOT / name).is_file() for name in named)


def test_the_tutorials_robot_file_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r'^```yaml\n(.*?)^```', TUTORIAL, re.M | re.S)
    (tmp_path / 'my_robot.yaml').write_text(example)
    assert list(load_robot(tmp_path / 'my_robot.yaml').sensors) == ['camera', 'lidar']
