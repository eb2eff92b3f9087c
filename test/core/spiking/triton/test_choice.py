"""Kernels or plain path, with a stand-in for the kernels: needs neither Triton nor a GPU."""

from __future__ import annotations

import sys
import threading
import warnings

import pytest
import torch
from torch import Tensor

from liquidspike_ros.core.spiking.lif import plain_sequence
from liquidspike_ros.core.spiking.population import leaky_sequence, LIFPopulation
from liquidspike_ros.core.spiking.rates import spike_rates
from liquidspike_ros.core.spiking.surrogates import spike_gradient
from liquidspike_ros.core.spiking.triton import choice
from liquidspike_ros.core.spiking.triton.choice import triton_rates, triton_sequence, Verdict
from liquidspike_ros.core.spiking.triton.lif import Population, Variant

ATAN = spike_gradient('atan')


class StandIn:
    """Does what the kernels do, by elementary operators, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.spoil = lambda out, after: (out, after)

    def __call__(self, population: Population, variant: Variant, finished=None):
        self.calls += 1
        groups = []
        for group in range(population.membrane.shape[0]):
            current, membrane, beta, threshold = (
                value.select(-3 if k < 2 else 0, group) for k, value in enumerate(population))
            groups.append(plain_sequence(
                current.transpose(0, 1).to(torch.float32), membrane, beta, threshold,
                variant.num_steps, spike_gradient(variant.surrogate.name)))
        spikes, after = (torch.stack(parts) for parts in zip(*groups, strict=True))
        out = spikes.permute(2, 0, 1, 3)
        if variant.rates:
            out = out.unflatten(0, (-1, variant.num_steps)).mean(1)
        if finished is not None and out.requires_grad:
            out.register_hook(lambda _: finished())
        return self.spoil(out, after)


@pytest.fixture
def kernels(monkeypatch):
    """A process with kernels for the CPU, which has found out nothing yet."""
    stand_in = StandIn()
    monkeypatch.setattr(choice, 'DEVICES', ('cpu',))
    monkeypatch.setattr(choice, 'verdict', Verdict())
    monkeypatch.setattr(choice, 'run', stand_in)
    return stand_in


def drawn(*shape: int, wide: tuple[int, ...] | None = None) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    wide = shape[-1:] if wide is None else wide
    return (torch.rand(4, *shape), torch.randn(shape), torch.rand(wide), torch.rand(wide) + 0.5)


@pytest.mark.parametrize(
    ('shape', 'wide'),
    [((5,), (5,)), ((3, 5), (1,)), ((3, 5), (3, 5)), ((3, 5), (3, 1)), ((2, 3, 5), (2, 1, 5)),
     ((2, 3, 4, 5), (3, 1, 5)), ((2, 3, 5), ())],
)
def test_shapes_go_in_and_come_back_as_the_plain_path_has_them(kernels, shape, wide):
    results = []
    for function in (triton_rates, spike_rates):
        leaves = [value.requires_grad_() for value in drawn(*shape, wide=wide)]
        rates, after = function(*leaves, 3, ATAN)
        (rates.sin().sum() + after.square().sum()).backward()
        results.append([rates, after, *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(*results)
    assert choice.verdict.off is None


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('units', [16, 128, 256])
def test_spikes_in_half_precision_do_not_make_right_gradients_look_wrong(kernels, dtype, units):
    """What falls on parameters in single precision has come through spikes in half of it."""
    kernels.spoil = lambda out, after: (out.to(dtype), after)
    current, membrane, beta, threshold = drawn(3, units, wide=(units,))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert triton_rates(current.to(dtype), membrane, beta.requires_grad_(), threshold, 3, ATAN)
        assert triton_sequence(current.to(dtype).transpose(0, 1), membrane, beta, threshold, 1,
                               ATAN)


def test_a_kind_of_call_is_proven_once_and_then_served(kernels):
    arguments = drawn(3, 5)
    expected = leaky_sequence(arguments[0].transpose(0, 1), *arguments[1:], 2, ATAN)
    for calls in (2, 3):
        got = triton_sequence(arguments[0].transpose(0, 1), *arguments[1:], 2, ATAN)
        assert kernels.calls == calls
        torch.testing.assert_close(got, expected)
    with torch.inference_mode():
        triton_sequence(arguments[0].transpose(0, 1), *arguments[1:], 2,
                        spike_gradient('sigmoid'))
    assert kernels.calls == 5  # another surrogate is another kind


def raises(out: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    raise RuntimeError('no C compiler found')


def a_silent_neuron(out: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    first = out.detach().amax((0, 1, 2), keepdim=True).cumsum(-1) == 1
    return torch.where(first, 0.0, out), after


def no_gradient(out: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    return out.detach(), after


def poisoned(out: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    return out, after * float('nan')


def steep(out: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    return out + 0.1 * (after - after.detach()).unsqueeze(0), after


@pytest.mark.parametrize(
    ('spoil', 'told'),
    [(raises, 'RuntimeError: no C compiler found'),
     (a_silent_neuron, 'spikes: off by 1 of its range'),
     (no_gradient, 'gradient of current: off by'), (poisoned, 'potential: off by nan'),
     (steep, 'gradient of current: off by')],
)
@pytest.mark.parametrize('function', [triton_rates, triton_sequence])
def test_broken_kernels_are_found_told_of_once_and_never_used(kernels, spoil, told, function):
    kernels.spoil = spoil
    leaves = [value.requires_grad_() for value in drawn(4, 5)]
    with pytest.warns(RuntimeWarning, match=f'Triton LIF kernels: switched off .*{told}'):
        assert function(*leaves, 2, ATAN) is None
    calls = kernels.calls
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert function(*leaves, 2, spike_gradient('sigmoid')) is None
    assert kernels.calls == calls


def test_what_the_kernels_do_not_cover_takes_the_plain_path(kernels, monkeypatch):
    current, membrane, beta, threshold = drawn(3, 5)
    surrogate = torch.nn.Softplus()
    assert triton_rates(current, membrane, beta, threshold, 2, surrogate) is None
    doubles = [value.double() for value in drawn(3, 5)]
    assert triton_rates(*doubles, 2, ATAN) is None
    assert triton_rates(current, membrane, beta.double(), threshold, 2, ATAN) is None
    assert triton_rates(current[:0], membrane, beta, threshold, 2, ATAN) is None
    assert triton_rates(current, membrane[:1], beta, threshold, 2, ATAN) is None
    monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
    assert triton_rates(current, membrane, beta, threshold, 2, ATAN) is None
    assert kernels.calls == 0


def test_a_cpu_never_asks(monkeypatch):
    monkeypatch.setattr(choice, '_run', raises)
    arguments = drawn(3, 5)
    assert triton_rates(*arguments, 2, ATAN) is None


def test_fake_tensors_take_the_plain_path(kernels):
    from torch._subclasses.fake_tensor import FakeTensorMode

    mode = FakeTensorMode()
    fakes = [mode.from_tensor(value) for value in drawn(3, 5)]
    with mode:
        assert triton_rates(*fakes, 2, ATAN) is None
    assert kernels.calls == 0


def test_during_capture_only_calls_that_ran_before_are_served(kernels, monkeypatch):
    capturing = False
    monkeypatch.setattr(choice, '_capturing', lambda _: capturing)
    with torch.no_grad():
        capturing = True
        assert triton_rates(*drawn(3, 5), 2, ATAN) is None
        assert kernels.calls == 0  # no proof either
        capturing = False
        triton_rates(*drawn(3, 5), 2, ATAN)
        capturing = True
        calls = kernels.calls
        assert triton_rates(*drawn(3, 5), 2, ATAN) is not None
        assert triton_rates(*drawn(4, 5), 2, ATAN) is None
        assert kernels.calls == calls + 1


def test_during_capture_a_training_step_needs_a_backward_pass_before(kernels, monkeypatch):
    capturing = False
    monkeypatch.setattr(choice, '_capturing', lambda _: capturing)
    leaves = [value.requires_grad_() for value in drawn(3, 5)]
    rates, _ = triton_rates(*leaves, 2, ATAN)
    capturing = True
    assert triton_rates(*leaves, 2, ATAN) is None
    rates.sum().backward()
    assert triton_rates(*leaves, 2, ATAN) is not None


def test_while_one_thread_proves_another_takes_the_plain_path(kernels):
    inside, go_on, results = threading.Event(), threading.Event(), []

    def slow(out, after):
        inside.set()
        assert go_on.wait(20)
        return out, after

    kernels.spoil = slow
    prover = threading.Thread(target=lambda: results.append(triton_rates(*drawn(3, 5), 2, ATAN)))
    prover.start()
    assert inside.wait(20)
    assert triton_rates(*drawn(3, 5), 2, ATAN) is None
    go_on.set()
    prover.join(20)
    assert results[0] is not None


@pytest.mark.parametrize('guard', [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_first_call_may_come_under_any_grad_mode(kernels, guard):
    with guard(), torch.autocast('cpu', torch.bfloat16):
        assert triton_rates(*drawn(3, 5), 2, ATAN) is not None
    leaves = [value.requires_grad_() for value in drawn(3, 5)]
    assert triton_rates(*leaves, 2, ATAN)[0].requires_grad
    assert choice.verdict.off is None


def test_the_random_numbers_of_the_user_are_left_alone(kernels):
    arguments = drawn(3, 5)
    before = torch.get_rng_state()
    triton_rates(*arguments, 2, ATAN)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_environment_switches_off(monkeypatch):
    monkeypatch.setattr(choice, 'find_spec', lambda _: object())
    assert choice._at_start() is None
    monkeypatch.setenv('LIQUIDSPIKE_TRITON', '0')
    assert choice._at_start() == 'LIQUIDSPIKE_TRITON=0 is set'
    monkeypatch.delenv('LIQUIDSPIKE_TRITON')
    monkeypatch.setattr(choice, 'find_spec', lambda _: None)
    assert choice._at_start() == 'triton is not installed'


@pytest.fixture
def drawing(monkeypatch, tmp_path):
    """A process that Mesa's LLVM is loaded in, and Triton is not."""
    maps = tmp_path / 'maps'
    maps.write_text('7f01-7f02 r-xp 0 08:01 12 /usr/lib/x86_64-linux-gnu/libc.so.6\n'
                    '7f03-7f04 r-xp 0 08:01 13 /usr/lib/x86_64-linux-gnu/libLLVM-15.so.1\n'
                    '7f05-7f06 rw-p 0 00:00 0 [heap]\n')
    monkeypatch.setattr(choice, 'Path', lambda _: maps)
    monkeypatch.setattr(choice, 'find_spec', lambda _: object())
    monkeypatch.delitem(sys.modules, 'triton', raising=False)
    return maps


def test_kernels_are_not_asked_for_where_importing_them_would_crash(kernels, drawing):
    with pytest.warns(RuntimeWarning, match='libLLVM-15.so.1 is loaded already .* import triton '
                                            'before anything that draws'):
        assert triton_rates(*drawn(3, 5), 2, ATAN) is None
    assert kernels.calls == 0


@pytest.mark.parametrize('change', [
    lambda monkeypatch, maps: monkeypatch.setitem(sys.modules, 'triton', object()),
    lambda monkeypatch, maps: maps.write_text('7f01-7f02 r-xp 0 08:01 12 /usr/lib/libc.so.6\n'),
    lambda monkeypatch, maps: maps.unlink(),
], ids=['triton came first', 'nothing draws', 'not Linux'])
def test_otherwise_they_are(kernels, drawing, change, monkeypatch):
    change(monkeypatch, drawing)
    assert triton_rates(*drawn(3, 5), 2, ATAN) is not None


@pytest.mark.gpu
def test_a_population_on_a_gpu_is_served_by_kernel():
    """What the kernels were written for, as a user would call it."""
    pytest.importorskip('triton')
    population = LIFPopulation(64, learn_threshold=True).cuda()
    current = torch.rand(3, 5, 64, device='cuda', requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        spikes, _ = population(current, torch.zeros(3, 64, device='cuda'), 4)
        spikes.sum().backward()
    assert choice.verdict.off is None
    assert any(variant.num_steps == 4 for variant, *_ in choice.verdict.proven)
    assert current.grad.abs().sum() > 0


@pytest.mark.gpu
def test_a_cuda_graph_holds_the_kernels_and_replays_them():
    pytest.importorskip('triton')
    current, *others = (value.cuda() for value in drawn(4, 3, 64, wide=(4, 1, 64)))
    original = current.clone()
    with torch.inference_mode():
        expected = spike_rates(current, *others, 32, ATAN)  # proves them, before the capture
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = spike_rates(current, *others, 32, ATAN)
        assert choice.verdict.off is None
        current.zero_()
        graph.replay()
        silent = captured[0].clone()
        current.copy_(original)
        graph.replay()
    assert not torch.equal(silent, expected[0])
    assert all(map(torch.equal, captured, expected))


@pytest.mark.gpu
def test_the_first_call_may_be_inside_a_capture(monkeypatch):
    current, *others = (value.cuda() for value in drawn(3, 48))
    steps = 29  # a kind that nothing else here has proven
    with torch.inference_mode():
        with monkeypatch.context() as patch:
            patch.setattr(choice.verdict, 'off', 'the plain path warms up')
            spike_rates(current, *others, steps, ATAN)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = spike_rates(current, *others, steps, ATAN)
        assert not any(variant.num_steps == steps for variant, *_ in choice.verdict.proven)
        graph.replay()
        torch.testing.assert_close(captured, spike_rates(current, *others, steps, ATAN))
