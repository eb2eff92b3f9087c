"""One training at a time in a folder, and no trained model lost unasked."""

from __future__ import annotations

from pathlib import Path
import signal
import subprocess
import sys
import textwrap

import pytest

from liquidspike_ros.training.configuration import TrainingError
from liquidspike_ros.training.output_folder import claimed, LOCK

HOLD = """
from pathlib import Path
import sys, time
from liquidspike_ros.training.output_folder import claimed
with claimed(Path(sys.argv[1])):
    print('held', flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, '-c', textwrap.dedent(HOLD), tmp_path / 'it'],
                               stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.wait()


def test_a_second_training_is_refused_with_the_process_of_the_first(tmp_path, holder):
    for options in ({}, {'resume': True}, {'overwrite': True}):
        with pytest.raises(TrainingError, match=f'process {holder.pid}') as caught, \
                claimed(tmp_path / 'it', **options):
            raise AssertionError('two at once')
        assert str(tmp_path / 'it') in str(caught.value)
        assert len(str(caught.value)) <= 500
    assert (tmp_path / 'it' / LOCK).exists()


def test_a_lock_dies_with_its_process(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / 'it' / LOCK).exists()
    with claimed(tmp_path / 'it'):
        pass
    assert not (tmp_path / 'it').exists() or not list((tmp_path / 'it').iterdir())


def test_within_one_process_too(tmp_path):
    with claimed(tmp_path), pytest.raises(TrainingError, match='another training'), \
            claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_folders_made_for_nothing_are_gone_again(tmp_path):
    with claimed(tmp_path / 'a' / 'b'):
        assert (tmp_path / 'a' / 'b' / LOCK).exists()
    assert not (tmp_path / 'a').exists()
    with claimed(tmp_path / 'a' / 'b'):
        (tmp_path / 'a' / 'b' / 'config.json').write_text('{}')
    assert [path.name for path in (tmp_path / 'a' / 'b').iterdir()] == ['config.json']


@pytest.mark.parametrize('name', ['config.json', 'model.safetensors', 'last/config.json'])
def test_a_trained_model_is_not_replaced_unasked(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('')
    with pytest.raises(TrainingError, match=f'holds a trained model .{name}.*--resume.*--overw'), \
            claimed(tmp_path):
        raise AssertionError('it would have been lost')
    for options in ({'resume': True}, {'overwrite': True}):
        with claimed(tmp_path, **options):
            assert path.exists()
    with pytest.raises(TrainingError, match='overwrite: got true together with resume'), \
            claimed(tmp_path, resume=True, overwrite=True):
        pass


def test_other_files_are_nobodys_concern(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with claimed(tmp_path):
        pass
    assert (tmp_path / 'notes.txt').read_text() == 'mine'


def test_what_is_no_folder_is_refused(not_a_file):
    if not_a_file.is_dir():
        not_a_file.rmdir()
        not_a_file.write_text('')
    with pytest.raises(TrainingError, match='expected a folder to write into'), \
            claimed(not_a_file):
        pass


def test_what_stands_in_place_of_the_lock_is_refused_without_waiting(tmp_path, not_a_file):
    folder = tmp_path / 'out'
    folder.mkdir()
    not_a_file.rename(folder / LOCK)
    fifo = (folder / LOCK).is_fifo() and not (folder / LOCK).is_symlink()
    if fifo:  # it can be locked as well as a file
        return
    with pytest.raises(TrainingError, match='expected a folder to write into'), claimed(folder):
        pass
