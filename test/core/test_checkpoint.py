from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
import pickle

from hypothesis import given, HealthCheck, settings, strategies
import pytest
import safetensors.torch
import torch

from liquidspike_ros.core import checkpoint
from liquidspike_ros.core.checkpoint import CheckpointError, from_pretrained, save_pretrained
from liquidspike_ros.core.multimodal_applications import (
    AudioVideoModel,
    RobotMultiSensorModel,
    TriModalModel,
)


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
        ('no config', 'no config.json inside, expected a checkpoint'),
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


SMALL = {'encoder_dim': 8, 'liquid_units': 4, 'spiking_units': 6, 'num_spike_steps': 2,
         'fusion_dim': 8, 'audio_mels': 8}
HEARING = [
    (RobotMultiSensorModel, {'camera_size': None, 'audio_channels': 2}),
    (TriModalModel, {'image_size': (3, 16, 16), 'text_vocab_size': 5, 'num_classes': 3,
                     'vision_architecture': 'simple'}),
    (AudioVideoModel, {'video_frames': 2, 'num_classes': 3, 'video_architecture': 'frame',
                       'frame_architecture': 'simple'}),
]


@pytest.mark.parametrize(('kind', 'arguments'), HEARING)
def test_a_new_model_attends_and_comes_back_so(tmp_path, kind, arguments):
    original = kind(**SMALL | arguments)
    ways = {key: value for key, value in original.config.items() if key in kind.earlier}
    assert set(ways.values()) == {'attention'}
    assert ways.keys() == kind.earlier.keys()
    save_pretrained(original, tmp_path)
    loaded, _ = from_pretrained(tmp_path)
    assert loaded.config == original.config
    assert same(original, loaded)


@pytest.mark.parametrize(('kind', 'arguments'), HEARING)
def test_a_config_from_before_there_was_a_choice_means_the_last_state(tmp_path, kind, arguments):
    torch.manual_seed(0)
    original = kind(**SMALL | arguments | dict(kind.earlier))
    save_pretrained(original, tmp_path)
    stored = json.loads((tmp_path / 'config.json').read_text())['config']
    edit(tmp_path, config={key: value for key, value in stored.items() if key not in kind.earlier})
    loaded, _ = from_pretrained(tmp_path)
    assert same(original, loaded)
    # What it would be saved as says so from now on.
    assert loaded.config == original.config
    assert loaded.config['audio_pooling'] == 'last'


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


@pytest.mark.parametrize('step', range(6))
@pytest.mark.parametrize('next_step', range(7))
def test_power_loss_at_any_moment_leaves_one_whole_checkpoint(
    saved, monkeypatch, step, next_step
):
    """Every system call of a save, and then of the next, is the last: no clean-up runs."""
    finished = save_until(monkeypatch, step, 1, saved)
    assert finished == (step >= 5)
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


@pytest.fixture
def builds_nothing(monkeypatch):
    def build(*_):
        raise AssertionError('the model was built')

    monkeypatch.setattr(checkpoint._Plan, 'build', build)


@pytest.mark.parametrize(('changes', 'said'), [
    ({'num_spike_steps': 10**9}, r'config: .*num_spike_steps: got 1000000000, .* 4096\]'),
    ({'num_spike_steps': 1e9}, r'num_spike_steps: got 1000000000\.0, expected a whole number'),
    ({'num_spike_steps': True}, 'num_spike_steps: got True'),
    ({'num_spike_steps': -1}, 'num_spike_steps: got -1'),
    ({'num_attention_heads': 10**6}, 'num_attention_heads: got 1000000'),
    ({'liquid_units': 10**9}, 'liquid_units: got 1000000000'),
    ({'liquid_units': 60_000}, r'network\..*: got .*, expected torch.float32 of shape'),
    ({'liquid_units': 8000, 'backbone': 'ltc'}, r'config\.liquid_units: got 8000, expected fewer'),
    ({'liquid_units': 4000, 'backbone': 'ncp'}, r'config\.liquid_units: got 4000, expected fewer'),
    ({'liquid_units': 16, 'spiking_units': 10**6, 'backbone': 'ncp_ltc'}, 'liquid_units: got 16'),
    ({'encoder_dim': 60_000}, 'expected torch.float32 of shape .*60000'),
    ({'camera_size': [3, 10**9, 10**9]}, 'camera_size: got 1000000000'),
    ({'camera_size': [3, 72, 96], 'camera_architecture': 'resnet'}, r'got .*, expected torch'),
    ({'audio_mels': 10**9, 'audio_channels': 2}, 'audio_mels: got 1000000000'),
    ({'backbone_options': {'backbone_layers': 10**9}}, 'backbone_layers: got 1000000000'),
    ({'backbone_options': [1]}, 'config: '),
    ({'fusion_strategy': {'a': 1}}, 'fusion_strategy: got'),
    ({'backbone': ['cfc']}, 'backbone: got'),
    ({'control_rate': '15'}, "dt_scale: got '15'"),
    ({'modality_dropout': 'all'}, 'config: '),
    ({'beta': 'x' * 10**6}, 'beta: got'),
])
def test_a_configuration_beyond_its_weights_builds_nothing(saved, builds_nothing, changes, said):
    edit(saved, config=json.loads((saved / 'config.json').read_text())['config'] | changes)
    with pytest.raises(CheckpointError, match=said) as caught:
        from_pretrained(saved)
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(('text', 'said'), [
    ('[' * 100_000, 'nested too deep'),
    ('{"format": 1, "format": 2}', "the key 'format' is there twice"),
    ('{"a": NaN}', 'got NaN, expected finite numbers'),
    ('{"a": 1e400}', 'got 1e400'),
    ('{"a": ' + '1' * 400 + '}', 'got a number of 400 characters'),
    ('{"a": [' + '[],' * 500_000 + '[]]}', 'more than 400,000 values'),
    ('{"format": "a", "model_class": 7, "x": "' + '\\u001b' * 99 + '"}', 'model_class: got 7'),
    (' ' * 20_000_000, 'too large, expected at most'),
])
def test_no_text_of_config_json_does_more_than_be_refused(saved, text, said):
    (saved / 'config.json').write_text(text)
    with pytest.raises(CheckpointError, match=said) as caught:
        from_pretrained(saved)
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize('name', ['config.json', 'model.safetensors', 'model.safetensors.new'])
def test_what_is_no_file_is_refused_in_its_place(saved, not_a_file, name):
    if name.endswith('.new'):
        (saved / 'model.safetensors').unlink()
    (saved / name).unlink(missing_ok=True)
    os.rename(not_a_file, saved / name)
    with pytest.raises(CheckpointError) as caught:
        from_pretrained(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize('name', ['config.json.new', 'model.safetensors.new'])
def test_saving_does_not_write_into_what_is_no_file(saved, tmp_path, name):
    os.mkfifo(saved / name)
    save_pretrained(model(1), saved)
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    (saved / name).symlink_to(victim)
    save_pretrained(model(2), saved)
    assert same(from_pretrained(saved)[0], model(2))
    assert victim.read_text() == 'mine'


def test_weights_larger_than_any_model_are_refused_by_their_size(saved):
    with (saved / 'model.safetensors').open('r+b') as file:
        file.truncate(1 << 40)
    with pytest.raises(CheckpointError, match='got 1,099,511,627,776 bytes, expected at most'):
        from_pretrained(saved)


def test_more_weights_than_the_header_names_are_refused(saved):
    with (saved / 'model.safetensors').open('r+b') as file:
        file.truncate(1 << 30)
    with pytest.raises(CheckpointError, match=r'got 1,073,741,824 bytes, expected .* by its h'):
        from_pretrained(saved)


def test_an_old_weights_file_of_another_shape_does_not_hide_the_pending_one(saved, tmp_path):
    save_pretrained(model(1, fusion_strategy='late'), tmp_path / 'other')
    os.rename(saved / 'model.safetensors', saved / 'model.safetensors.new')
    os.rename(tmp_path / 'other' / 'model.safetensors', saved / 'model.safetensors')
    assert same(from_pretrained(saved)[0], model(0))


SHIPPED = Path(__file__).parents[2] / 'models' / 'beacon'


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=strategies.floats(0, 1), removed=strategies.integers(0, 30),
       added=strategies.text('[]{}:",0123456789einf \n\x1b\0', max_size=8))
def test_any_change_of_the_shipped_config_is_read_or_refused(
    tmp_path, place, removed, added
):
    text, folder = (SHIPPED / 'config.json').read_text(), tmp_path / 'it'
    if not folder.exists():
        folder.mkdir()
        (folder / 'model.safetensors').symlink_to(SHIPPED / 'model.safetensors')
    at = int(place * 6000)  # format, model and robot; the history behind them is free
    (folder / 'config.json').write_text(text[:at] + added + text[at + removed:])
    with contextlib.suppress(CheckpointError):
        from_pretrained(folder)
