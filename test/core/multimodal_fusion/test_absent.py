"""What is not there leaves no trace, and no parameter without a gradient."""

from __future__ import annotations

import copy
import os
from pathlib import Path
import subprocess
import sys

import pytest
import torch
from torch import nn
import torch.distributed

from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork

STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')


def build(strategy: str = 'hybrid', layer: str = 'linear') -> MultiModalFusionNetwork:
    torch.manual_seed(5)
    layers = {'linear': lambda: nn.Sequential(nn.Linear(8, 8), nn.Tanh()),
              'batch norm': lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))}
    configs = {
        name: {'type': 'custom', 'input_dim': 8, 'encoder_dim': 6, 'liquid_units': 4,
               'spiking_units': 7, 'num_spike_steps': 3, 'dropout': 0.0,
               'preprocessing': layers[layer]()} for name in ('eye', 'ear')}
    return MultiModalFusionNetwork(configs, strategy, 10, 2, 3)


def inputs(rows: int) -> dict[str, torch.Tensor]:
    return {name: torch.randn(rows, 8) for name in ('eye', 'ear')}


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_absent_rows_leave_no_trace_in_batch_statistics(strategy):
    model = build(strategy, 'batch norm').train()
    alone, given = copy.deepcopy(model), inputs(5)
    given['eye'][3:] = torch.nan
    present = torch.tensor([[True, True]] * 3 + [[False, True]] * 2)
    output, _ = model.step(given, present=present)
    alone.step({name: value[:3] for name, value in given.items()})
    norms = [each.preprocessors['eye'][1] for each in (model, alone)]
    torch.testing.assert_close(norms[0].running_mean, norms[1].running_mean)
    torch.testing.assert_close(norms[0].running_var, norms[1].running_var)
    assert torch.isfinite(output).all()

def test_outputs_of_the_rows_that_are_there_do_not_move():
    model = build('late', 'batch norm').train()
    model.preprocessors['ear'] = nn.Identity()
    alone, given = copy.deepcopy(model), inputs(5)
    present = torch.tensor([[True, True]] * 3 + [[False, True]] * 2)
    output, _ = model.step(given, present=present)
    wanted, _ = alone.step({name: value[:3] for name, value in given.items()})
    torch.testing.assert_close(output[:3], wanted)


def test_a_batch_without_any_such_row_changes_no_statistics():
    model = build(layer='batch norm').train()
    before = copy.deepcopy(model.preprocessors['eye'].state_dict())
    output, _ = model.step(inputs(4), present=torch.tensor([[False, True]] * 4))
    output.sum().backward()
    torch.testing.assert_close(model.preprocessors['eye'].state_dict(), before)
    assert not model.preprocessors['eye'][0].weight.grad.any()


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_modality_left_out_has_gradients_of_zero_whatever_it_holds(strategy):
    model = build(strategy)
    with torch.no_grad():
        model.preprocessors['ear'][0].weight.fill_(torch.nan)
    model({'eye': torch.randn(3, 8)}).sum().backward()
    missing = [name for name, value in model.named_parameters()
               if value.requires_grad and value.grad is None]
    assert not missing
    assert all(torch.isfinite(value.grad).all() for value in model.parameters()
               if value.requires_grad)
    assert not any(value.grad.any() for value in model.preprocessors['ear'].parameters())


def test_frozen_parameters_stay_without_gradients():
    model = build()
    model.preprocessors['ear'].requires_grad_(False)
    model({'eye': torch.randn(3, 8)}).sum().backward()
    assert all(value.grad is None for value in model.preprocessors['ear'].parameters())


def _train(number: str, store: str) -> None:
    os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    rank = int(number)
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'file://{store}', rank=rank, world_size=2)
    model = nn.parallel.DistributedDataParallel(build())
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for step in range(3):
        torch.manual_seed(10 * rank + step)
        given = inputs(3)
        if (step + rank) % 2:
            del given['ear']
        optimiser.zero_grad()
        model(given).square().sum().backward()
        optimiser.step()
    mine = torch.cat([value.detach().flatten() for value in model.parameters()])
    both = [torch.empty_like(mine) for _ in range(2)]
    torch.distributed.all_gather(both, mine)
    assert torch.equal(*both)
    torch.distributed.barrier()
    # Without the interpreter's last steps, in which gloo's threads abort now and then.
    os._exit(0)


@pytest.mark.skipif(not torch.distributed.is_available(), reason='torch without distributed')
def test_ranks_may_lack_different_modalities(tmp_path: Path):
    ranks = [subprocess.Popen([sys.executable, '-c', 'import runpy, sys; '
                               "runpy.run_path(sys.argv[1])['_train'](*sys.argv[2:])",
                               __file__, str(rank), str(tmp_path / 'store')],
                              stderr=subprocess.PIPE, text=True) for rank in range(2)]
    said = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
