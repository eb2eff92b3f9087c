"""Only the training state of this very model is gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load, save
import torch
from torch import nn

from liquidspike_ros.training.configuration import TrainingError
from liquidspike_ros.training.resumption import FILE, load_progress, Progress, save_progress

PROGRESS = Progress(step=7, minutes=1.5, history=[{'epoch': 1.0, 'train_loss': 0.25}], best=0.25)


def made(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return model, optimiser


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_progress(tmp_path, *made(), PROGRESS)
    return tmp_path


def rewrite(folder: Path, change) -> None:
    path = folder / FILE
    tensors, progress = load(path.read_bytes()), PROGRESS.__dict__.copy()
    text = change(tensors, progress)
    path.write_bytes(save(tensors, metadata={
        'progress': json.dumps(progress) if text is None else text}))


def test_what_was_saved_comes_back(saved):
    model, optimiser = made(1)
    assert load_progress(saved, model, optimiser) == PROGRESS
    first, moments = made()
    assert torch.equal(model.weight, first.weight)
    assert torch.equal(optimiser.state_dict()['state'][0]['exp_avg'],
                       moments.state_dict()['state'][0]['exp_avg'])


@pytest.mark.parametrize(('change', 'said'), [
    (lambda t, p: t.__delitem__('model/bias'), 'model/bias: got None, expected torch.float32'),
    (lambda t, p: t.update({'model/bias': torch.zeros(3)}), r'model/bias: got .* of shape \(3,\)'),
    (lambda t, p: t.update({'x\x1b[2J': torch.zeros(1)}), r'x\\x1b\[2J: unknown tensor'),
    (lambda t, p: t.update({'optimiser/9/step': torch.zeros(1)}), 'optimiser/9/step: unknown'),
    (lambda t, p: t.update({'optimiser/0/exp_avg': torch.zeros(9)}), 'optimiser/0/exp_avg: got'),
    (lambda t, p: '[' * 5000, 'nested too deep'),
    (lambda t, p: 'nonsense', 'not JSON'),
    (lambda t, p: '[]', 'cannot resume'),
    (lambda t, p: '{"step": 1}', 'cannot resume'),
    (lambda t, p: p.update(step=-1), 'step: got -1'),
    (lambda t, p: p.update(step='x'), "step: got 'x'"),
    (lambda t, p: p.update(minutes=None), 'minutes: got None'),
    (lambda t, p: p.update(history=[1]), 'history: got'),
    (lambda t, p: p.update(history=[{'a': 'b'}]), 'history: got'),
    (lambda t, p: p.update(best=True), 'best: got True'),
    (lambda t, p: p.update(surprise=1), 'surprise'),
])
def test_another_state_is_refused_by_name(saved, change, said):
    rewrite(saved, change)
    with pytest.raises(TrainingError, match=said) as caught:
        load_progress(saved, *made())
    assert str(caught.value).startswith(f'{saved / FILE}: cannot resume (')
    assert len(str(caught.value)) <= 500


def test_what_is_no_file_is_refused(tmp_path, not_a_file):
    folder = tmp_path / 'last'
    folder.mkdir()
    not_a_file.rename(folder / FILE)
    with pytest.raises(TrainingError, match='cannot resume'):
        load_progress(folder, *made())


def test_saving_does_not_write_into_what_stands_in_the_way(saved, tmp_path):
    victim = tmp_path / 'victim'
    victim.write_text('mine')
    (saved / f'.{FILE}.partial').symlink_to(victim)
    save_progress(saved, *made(), PROGRESS)
    assert victim.read_text() == 'mine'
    assert load_progress(saved, *made()) == PROGRESS
