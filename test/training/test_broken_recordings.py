"""Whatever stands in a recording, the result is one line: nothing is raised, nothing hangs."""

from __future__ import annotations

from pathlib import Path
import random
import shutil
from typing import Any

import pytest

from liquidspike_ros.robot import RobotSpec
from liquidspike_ros.training import dataset
from liquidspike_ros.training.bags import find_bags
from liquidspike_ros.training.configuration import DataConfig
from liquidspike_ros.training.dataset import convert
from liquidspike_ros.training.survey import survey_bag

KINDS: dict[str, dict[str, Any]] = {
    'mcap': {}, 'chunks': {'compressed': True}, 'file': {'compressed': 'file'},
    'db3': {'storage': 'sqlite3'}, 'messages': {'storage': 'sqlite3', 'compressed': 'message'},
}


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 5, 100])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)):]


def overwrite(data: bytearray, chance: random.Random) -> None:
    begin, size = chance.randrange(len(data)), chance.randrange(1, 2000)
    data[begin:begin + size] = chance.choice([chance.randbytes(size), bytes(size)])


def repeat(data: bytearray, chance: random.Random) -> None:
    begin, size = chance.randrange(len(data)), chance.randrange(1, 2000)
    data[begin:begin] = data[begin:begin + size]


def spoil_start(data: bytearray, chance: random.Random) -> None:
    for _ in range(8):
        data[chance.randrange(min(len(data), 200))] = chance.randrange(256)


@pytest.mark.parametrize('damage', [flip, cut, overwrite, repeat, spoil_start])
@pytest.mark.parametrize('kind', KINDS)
def test_a_damaged_recording_gives_one_line(make_bag: Any, robot: RobotSpec, tmp_path: Path,
                                            kind: str, damage: Any) -> None:
    whole = make_bag('whole', seconds=0.4, **KINDS[kind])
    for seed in range(6):
        chance = random.Random(seed)
        bag = tmp_path / f'bag_{seed}'
        shutil.copytree(whole, bag)
        file = chance.choice(sorted(bag.iterdir()))
        data = bytearray(file.read_bytes())
        damage(data, chance)
        file.write_bytes(data)
        for found in find_bags([bag]):
            line = convert(found, robot, DataConfig(), tmp_path).line
            assert line.isprintable(), line
            assert ': used, ' in line or ': not used (' in line
            # Damage is known as such; a fault of the reader would show its class.
            assert 'Error:' not in line, line
            assert 'error:' not in line, line


def test_info_never_raises_either(make_bag: Any, robot: RobotSpec) -> None:
    for seed in range(8):
        bag = make_bag(f'bag_{seed}', seconds=0.4, storage=('mcap', 'sqlite3')[seed % 2])
        file = next(path for path in bag.iterdir() if path.suffix != '.yaml')
        data = bytearray(file.read_bytes())
        flip(data, random.Random(seed))
        overwrite(data, random.Random(seed))
        file.write_bytes(data)
        survey = survey_bag(bag, robot, DataConfig())
        assert survey.unused.isprintable()
        assert all(problem.isprintable() for problem in survey.problems)


def test_one_that_cannot_be_held_in_memory_is_left_out(make_bag: Any, robot: RobotSpec,
                                                       tmp_path: Path, monkeypatch: Any) -> None:

    def too_much(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(dataset, 'bag_to_sequence', too_much)
    result = convert(make_bag(seconds=1), robot, DataConfig(), tmp_path)
    assert 'memory' in result.fatal
