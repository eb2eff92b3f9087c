from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
import pickle

import pytest
import safetensors.torch
import torch

from liquidspike_ros.core import checkpoint
from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained, save_pretrained
from liquidspike_ros.core.multimodal_applications import RobotMultiSensorModel


def model(seed: int = 0, **arguments) -> RobotMultiSensorModel:
    torch.manual_seed(seed)
    settings = {'encoder_dim': 8, 'liquid_units': 4, 'spiking_units': 6, 'num_spike_steps': 2}
    return RobotMultiSensorModel(None, 5, 8, 2, **settings | arguments)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_pretrained(model(), tmp_path / 'it', {'trained on': 'nothing'})
    return tmp_path / 'it'


def edit(directory: Path, **changes) -> None:
    path = directory / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite(directory: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Put other weights in place, with the hash that goes with them."""
    data = safetensors.torch.save(tensors)
    (directory / 'model.safetensors').write_bytes(data)
    edit(directory, sha256=checkpoint.hashlib.sha256(data).hexdigest())


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((directory / 'model.safetensors').read_bytes())


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize('strategy', ['early', 'late', 'hybrid', 'hierarchical'])
def test_what_is_saved_comes_back(tmp_path, strategy):
    original = model(fusion_strategy=strategy, modality_dropout={'sensors': 0.1}, control_rate=20.0)
    save_pretrained(original, tmp_path, {'episodes': 3})
    loaded, metadata = from_pretrained(tmp_path)
    assert same(original, loaded)
    assert metadata == {'episodes': 3}
    assert loaded.config == original.config
    assert not loaded.training
    readings = torch.randn(2, 3, 5)
    torch.testing.assert_close(loaded.unroll({'sensors': readings})[0],
                               original.eval().unroll({'sensors': readings})[0], rtol=0, atol=0)


def test_a_folder_holds_two_files_that_no_pickle_touches(saved):
    assert sorted(path.name for path in saved.iterdir()) == ['config.json', 'model.safetensors']
    document = json.loads((saved / 'config.json').read_text())
    assert document.keys() == {'format', 'model_class', 'config', 'sha256', 'metadata'}
    assert document['metadata'] == {'trained on': 'nothing'}


def test_other_files_of_the_folder_stay(saved):
    (saved / 'README.md').write_text('how it was made')
    save_pretrained(model(1), saved)
    assert (saved / 'README.md').read_text() == 'how it was made'
    assert same(from_pretrained(saved)[0], model(1))


def broken(directory: Path, how: str) -> None:
    config, data = directory / 'config.json', directory / 'model.safetensors'
    tensors = weights(directory)
    first = min(tensors)
    match how:
        case 'no folder':
            for path in directory.iterdir():
                path.unlink()
            directory.rmdir()
        case 'no config':
            config.unlink()
        case 'no weights':
            data.unlink()
        case 'truncated weights':
            data.write_bytes(data.read_bytes()[:-100])
        case 'flipped bit':
            content = bytearray(data.read_bytes())
            content[-1] ^= 1
            data.write_bytes(bytes(content))
        case 'empty weights':
            data.write_bytes(b'')
        case 'pickled weights':
            torch.save(tensors, data)
        case 'old pickled weights':
            data.write_bytes(pickle.dumps({'a': 1}))
        case 'hashed garbage':
            data.write_bytes(b'garbage')
            edit(directory, sha256=checkpoint.hashlib.sha256(b'garbage').hexdigest())
        case 'truncated config':
            config.write_text(config.read_text()[:-40])
        case 'binary config':
            config.write_bytes(bytes(range(256)))
        case 'list config':
            config.write_text('[]')
        case 'missing field':
            document = json.loads(config.read_text())
            del document['sha256']
            config.write_text(json.dumps(document))
        case 'other format':
            edit(directory, format='liquidspike_ros/2')
        case 'other class':
            edit(directory, model_class='os.system')
        case 'unknown argument':
            edit(directory, config=json.loads(config.read_text())['config'] | {'wings': 2})
        case 'wrong argument':
            edit(directory, config=json.loads(config.read_text())['config'] | {'beta': 3})
        case 'mistyped argument':
            edit(directory, config=json.loads(config.read_text())['config'] | {'encoder_dim': 'x'})
        case 'other size':
            edit(directory, config=json.loads(config.read_text())['config'] | {'action_dim': 3})
        case 'missing tensor':
            rewrite(directory, {key: value for key, value in tensors.items() if key != first})
        case 'extra tensor':
            rewrite(directory, tensors | {'zzz': torch.zeros(1)})
        case 'other dtype':
            rewrite(directory, tensors | {first: tensors[first].half()})
        case 'nan':
            rewrite(directory, tensors | {first: torch.full_like(tensors[first], float('nan'))})


@pytest.mark.parametrize(
    ('how', 'message'),
    [
        ('no folder', r'it: no such folder, expected one with config.json and model.safetensors'),
        ('no config', r'config\.json: No such file'),
        ('no weights', r'model\.safetensors: no such file'),
        ('truncated weights', r'model\.safetensors: sha256: got \w{12}…, expected \w{12}… as in'),
        ('flipped bit', r'model\.safetensors: sha256: got'),
        ('empty weights', r'model\.safetensors: sha256: got'),
        ('pickled weights', r'model\.safetensors: a pickle, expected safetensors'),
        ('old pickled weights', r'model\.safetensors: a pickle, expected safetensors'),
        ('hashed garbage', r'model\.safetensors: not safetensors'),
        ('truncated config', r'config\.json: not JSON'),
        ('binary config', r'config\.json: not JSON'),
        ('list config', r'config\.json: got list, expected an object'),
        ('missing field', r'config\.json: sha256: got None, expected a str'),
        ('other format', r"config\.json: format: got 'liquidspike_ros/2', expected 'liquidspike_r"),
        ('other class', r"config\.json: model_class: got 'os.system', expected one of Robot"),
        ('unknown argument', r'config\.json: config\.wings: unknown, expected among camera_size'),
        ('wrong argument', r'config\.json: config: beta: got 3'),
        ('mistyped argument', r'config\.json: config: '),
        ('other size', r'fusion\.head\.layers\.2\.\w+: got .* expected .*3'),
        ('missing tensor', r'model\.safetensors: network\.\S+: missing, expected shape'),
        ('extra tensor', r'model\.safetensors: zzz: unknown tensor'),
        ('other dtype', r'model\.safetensors: network\.\S+: got torch.float16 .* torch.float32'),
        ('nan', r'model\.safetensors: network\.\S+: got NaN or Inf'),
    ],
)
def test_every_damage_is_one_line_naming_the_file_and_field(saved, how, message):
    broken(saved, how)
    with pytest.raises(CheckpointError, match=message) as caught:
        from_pretrained(saved)
    assert '\n' not in str(caught.value)


class Killed(BaseException):
    pass


def save_until(monkeypatch, step: int, seed: int, directory: Path) -> bool:
    """Save, killed at the system call after ``step`` of them; whether it finished."""
    calls = 0

    def counted(function):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls > step:
                raise Killed
            return function(*arguments)
        return call

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(os, 'replace', counted(os.replace))
        patch.setattr(os, 'fsync', counted(os.fsync))
        save_pretrained(model(seed), directory)
        return True
    return False


@pytest.mark.parametrize('step', range(5))
@pytest.mark.parametrize('next_step', range(6))
def test_power_loss_at_any_moment_leaves_one_whole_checkpoint(
    saved, monkeypatch, step, next_step
):
    """Every system call of a save, and then of the next, is the last: no clean-up runs."""
    finished = save_until(monkeypatch, step, 1, saved)
    assert finished == (step >= 4)
    loaded, _ = from_pretrained(saved)
    assert same(loaded, model(1)) or (not finished and same(loaded, model(0)))
    save_until(monkeypatch, next_step, 2, saved)
    again, _ = from_pretrained(saved)
    assert same(again, loaded) or same(again, model(2))
    save_pretrained(model(3), saved)
    assert same(from_pretrained(saved)[0], model(3))
    assert sorted(path.name for path in saved.iterdir()) == ['config.json', 'model.safetensors']


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(saved, monkeypatch):
    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(CheckpointError, match='No space left on device'):
        save_pretrained(model(1), saved)
    monkeypatch.undo()
    assert same(from_pretrained(saved)[0], model(0))
    assert sorted(path.name for path in saved.iterdir()) == ['config.json', 'model.safetensors']


def test_weights_that_are_not_finite_are_not_saved(saved):
    sick = model(1)
    with torch.no_grad():
        next(sick.parameters())[...] = float('inf')
    with pytest.raises(CheckpointError, match=r'network\.\S+: got NaN or Inf'):
        save_pretrained(sick, saved)
    assert same(from_pretrained(saved)[0], model(0))


@pytest.mark.parametrize('metadata', [{'a': object()}, {'a': float('nan')}])
def test_metadata_json_cannot_hold_is_refused(saved, metadata):
    with pytest.raises(CheckpointError, match=r'config\.json: metadata: '):
        save_pretrained(model(1), saved, metadata)
    assert same(from_pretrained(saved)[0], model(0))


def test_another_module_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='got a Linear, expected one of RobotMultiSensorMod'):
        save_pretrained(torch.nn.Linear(1, 1), tmp_path)


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path):
    (tmp_path / 'it').write_text('')
    with pytest.raises(CheckpointError, match='it: '):
        save_pretrained(model(), tmp_path / 'it')
