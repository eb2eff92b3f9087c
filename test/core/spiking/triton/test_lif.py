"""The kernels against the plain path in double precision.

Tests that run kernels need a GPU. Without one they run in Triton's interpreter where Triton is
installed: ``TRITON_INTERPRET=1 pytest test/core/test_triton_lif.py``, which the first test does.
What decides between kernels and plain path is tested in ``test_triton_choice``, without either.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st
import pytest
import torch
from torch import Tensor

from liquidspike_ros.core.spiking.population import leaky_sequence
from liquidspike_ros.core.spiking.rates import spike_rates
from liquidspike_ros.core.spiking.surrogates import spike_gradient, SURROGATES
from liquidspike_ros.core.spiking.triton import choice
from liquidspike_ros.core.spiking.triton.choice import prove, triton_rates, triton_sequence, Verdict
from liquidspike_ros.core.spiking.triton.lif import Population, Surrogate, Variant

INTERPRETED = os.environ.get('TRITON_INTERPRET') == '1'
DEVICE = 'cpu' if INTERPRETED else 'cuda'
HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason='this is what it starts')
def test_everything_below_in_the_interpreter():
    # The interpreter of older versions fails with numpy 2.4.
    pytest.importorskip('triton', minversion='3.7')
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:xdist', '-p', 'no:cacheprovider',
         __file__],
        env={**os.environ, 'TRITON_INTERPRET': '1'}, capture_output=True, text=True, timeout=280,
        check=False)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.fixture
def kernels(monkeypatch):
    """Kernels that are taken on the device under test, without a proof of theirs first."""
    pytest.importorskip('triton')
    monkeypatch.setattr(choice, 'DEVICES', (DEVICE,))
    monkeypatch.setattr(choice, 'verdict', Verdict())
    monkeypatch.setattr(choice, 'prove', lambda *_: True)


def runs_kernels(test):
    return pytest.mark.usefixtures('kernels')(test if INTERPRETED else pytest.mark.gpu(test))


class Case(NamedTuple):
    current: Tensor  # [T, …, N]
    membrane: Tensor
    beta: Tensor
    threshold: Tensor


def drawn(seed: int, ticks: int, *shape: int, parameters: tuple[int, ...] | None = None) -> Case:
    torch.manual_seed(seed)
    wide = shape[-1:] if parameters is None else parameters
    return Case(torch.rand(ticks, *shape) * 0.8, torch.randn(shape), torch.rand(wide),
                torch.rand(wide) * 0.6 + 0.7)


def nearest_tie(case: Case, steps: int) -> float:
    """How near any potential comes to its threshold, by the equations of ``spiking.lif``."""
    current, potential, beta, threshold = (value.double() for value in case)
    nearest = (potential - threshold).abs().min()
    for drive in current.repeat_interleave(steps, 0):
        potential = beta * potential + drive - (potential > threshold) * threshold
        nearest = torch.minimum(nearest, (potential - threshold).abs().min())
    return float(nearest)


def outcome(function, case: Case, steps: int, surrogate: str,
            learn: tuple[bool, ...] = (True,) * 4) -> list[Tensor]:
    """Values and gradients; spikes of a sequence time first, as rates are."""
    leaves = [value.clone().requires_grad_(wanted)
              for value, wanted in zip(case, learn, strict=True)]
    current, *others = leaves
    if function in (triton_sequence, leaky_sequence):
        current = current.transpose(0, 1)
    result = function(current, *others, steps, spike_gradient(surrogate))
    assert result is not None, 'the plain path was taken'
    out, after = result
    if function in (triton_sequence, leaky_sequence):
        out = out.transpose(0, 1)
    weight = torch.linspace(-1, 2, out.numel(), dtype=torch.float64).to(out).view(out.shape)
    ((out * weight).sum() + after.sin().sum()).backward()
    return [out.detach(), after.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def check(case: Case, steps: int, surrogate: str, *, rates: bool, limit: float = 1e-4,
          learn: tuple[bool, ...] = (True,) * 4) -> None:
    kernel, plain = (triton_rates, spike_rates) if rates else (triton_sequence, leaky_sequence)
    got = outcome(kernel, Case(*(value.to(DEVICE) for value in case)), steps, surrogate, learn)
    assert choice.verdict.off is None
    expected = outcome(plain, Case(*(value.double() for value in case)), steps, surrogate, learn)
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours.cpu().double(), theirs, rtol=limit,
                                   atol=limit * (float(theirs.abs().max()) + 0.01))


@runs_kernels
@settings(max_examples=25, deadline=None, suppress_health_check=['function_scoped_fixture'])
@given(seed=st.integers(0, 10_000), ticks=st.integers(1, 18), batch=st.integers(1, 5),
       units=st.integers(1, 140), steps=st.sampled_from([1, 3, 8]),
       surrogate=st.sampled_from(SURROGATES), rates=st.booleans())
def test_values_and_gradients_are_those_of_the_plain_path(
    seed, ticks, batch, units, steps, surrogate, rates
):
    case = drawn(seed, ticks, batch, units)
    assume(nearest_tie(case, steps) > 1e-5)
    check(case, steps, surrogate, rates=rates)


@runs_kernels
@pytest.mark.parametrize('surrogate', SURROGATES)
@pytest.mark.parametrize('rates', [True, False])
def test_every_surrogate_is_proven(surrogate, rates):
    function = spike_gradient(surrogate)
    variant = Variant(Surrogate.of(function), 3, rates, even=False, gradients=True, for_beta=True,
                      for_threshold=True, block_rows=2, block_cols=128)
    assert prove(variant, torch.device(DEVICE), (torch.float32,) * 4, function)


@runs_kernels
@pytest.mark.parametrize('steps', [1, 32, 33])
@pytest.mark.parametrize('rates', [True, False])
@pytest.mark.parametrize('ticks', [1, 8, 9])
def test_steps_that_fill_their_chunks_and_steps_that_do_not(ticks, steps, rates):
    seed = next(seed for seed in range(100) if nearest_tie(drawn(seed, ticks, 2, 17), steps) > 1e-5)
    check(drawn(seed, ticks, 2, 17), steps, 'atan', rates=rates)


@runs_kernels
@pytest.mark.parametrize(
    ('shape', 'parameters'),
    [((5,), (5,)), ((3, 5), (1,)), ((3, 5), (3, 5)), ((3, 5), (3, 1)), ((2, 3, 5), (2, 1, 5)),
     ((2, 3, 5), (5,)), ((2, 3, 4, 5), (3, 1, 5)), ((2, 3, 5), ())],
)
def test_beta_and_threshold_broadcast(shape, parameters):
    check(drawn(5, 4, *shape, parameters=parameters), 4, 'atan', rates=True)


@runs_kernels
@pytest.mark.parametrize('beta', [0.0, 1.0])
def test_beta_at_its_ends(beta):
    case = drawn(2, 5, 3, 20)
    check(case._replace(beta=torch.full((20,), beta)), 3, 'fast_sigmoid', rates=False)


@runs_kernels
@pytest.mark.parametrize('rates', [True, False])
@pytest.mark.parametrize('dtype', HALVES)
def test_half_precision_is_single_precision_rounded_once(dtype, rates):
    case = Case(*(value.to(dtype) for value in drawn(11, 6, 3, 33)))
    check(case, 5, 'atan', rates=rates, limit=2 * torch.finfo(dtype).eps)


@runs_kernels
@pytest.mark.parametrize('rates', [True, False])
def test_currents_of_autocast_may_be_in_half_the_precision_of_the_state(rates):
    case = drawn(7, 6, 3, 33)
    half = case._replace(current=case.current.half())
    with torch.autocast(DEVICE, torch.float16 if DEVICE == 'cuda' else torch.bfloat16):
        check(half, 5, 'atan', rates=rates, limit=2e-3)


@runs_kernels
def test_single_precision_spikes_are_bit_for_bit_those_of_the_plain_path():
    case = Case(*(value.to(DEVICE) for value in drawn(0, 40, 5, 130)))
    arguments = (case.current.transpose(0, 1), *case[1:], 2, spike_gradient('atan'))
    got = triton_sequence(*arguments)
    choice.verdict.off = 'for comparison'
    assert all(map(torch.equal, got, leaky_sequence(*arguments)))


@runs_kernels
@pytest.mark.parametrize('which', range(4))
def test_only_gradients_that_are_wanted_are_made(which):
    case = drawn(3, 4, 3, 6)
    check(case, 3, 'atan', rates=True, learn=tuple(k == which for k in range(4)))


@runs_kernels
def test_without_gradients_nothing_is_kept():
    case = Case(*(value.to(DEVICE) for value in drawn(1, 3, 2, 9)))
    with torch.inference_mode():
        rates, after = triton_rates(*case, 4, spike_gradient('atan'))
    expected = spike_rates(*(value.cpu().double() for value in case), 4, spike_gradient('atan'))
    torch.testing.assert_close((rates.cpu().double(), after.cpu().double()), expected)
    for value in case:
        value.requires_grad_()
    with torch.no_grad():
        rates, _ = triton_rates(*case, 4, spike_gradient('atan'))
    assert rates.grad_fn is None
    assert {variant.gradients for variant, _ in choice.verdict.ran} == {False}


@runs_kernels
def test_any_layout_of_inputs_and_gradients():
    case = Case(*(value.to(DEVICE) for value in drawn(4, 6, 4, 10)))
    odd = Case(
        case.current.permute(2, 0, 1).contiguous().permute(1, 2, 0),  # neurons far apart
        torch.cat([case.membrane] * 2, 1)[:, :10], case.beta.flip(0).flip(0), case.threshold)
    got, expected = (outcome(triton_rates, layout, 3, 'atan') for layout in (odd, case))
    assert all(map(torch.equal, got, expected))
    leaf = case.current[:1].clone().requires_grad_()
    spikes, _ = triton_sequence(leaf.expand(6, 4, 10).transpose(0, 1), *case[1:], 1,
                                spike_gradient('atan'))
    spikes.mean().backward()  # an expanded gradient, without memory of its own
    plain = case.current[:1].cpu().double().requires_grad_()
    spikes, _ = leaky_sequence(plain.expand(6, 4, 10).transpose(0, 1),
                               *(value.cpu().double() for value in case[1:]), 1,
                               spike_gradient('atan'))
    spikes.mean().backward()
    torch.testing.assert_close(leaf.grad.cpu().double(), plain.grad, rtol=1e-4, atol=1e-6)


@runs_kernels
def test_the_same_inputs_give_the_same_gradients_bit_for_bit():
    case = Case(*(value.to(DEVICE) for value in drawn(6, 12, 20, 40)))
    once, again = (outcome(triton_rates, case, 3, 'sigmoid') for _ in range(2))
    assert all(map(torch.equal, once, again))


@runs_kernels
def test_a_sequence_in_two_halves_with_the_state_handed_over():
    case = Case(*(value.to(DEVICE) for value in drawn(8, 10, 3, 12)))
    whole = outcome(triton_sequence, case, 2, 'atan')[0]
    function = spike_gradient('atan')
    first, state = triton_sequence(case.current[:3].transpose(0, 1), *case[1:], 2, function)
    second, _ = triton_sequence(case.current[3:].transpose(0, 1), state, *case[2:], 2, function)
    assert torch.equal(torch.cat([first, second], 1).transpose(0, 1), whole)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', [torch.float32, *HALVES])
def test_a_case_that_fills_a_gpu(dtype, kernels):
    case = Case(*(value.to(dtype) for value in drawn(1, 16, 48, 4096)))
    device = Case(*(value.cuda() for value in case))
    got = outcome(triton_sequence, device, 1, 'atan')
    singles = Case(*(value.float() for value in device))
    choice.verdict.off = 'for comparison'
    expected = outcome(leaky_sequence, singles, 1, 'atan')
    limit = max(1e-4, 4 * torch.finfo(dtype).eps)
    for ours, theirs in zip(got, expected, strict=True):
        # A tie or two may fall either way among millions of potentials.
        wrong = (ours.float() - theirs).abs() > limit * float(theirs.abs().max())
        assert wrong.float().mean() < 1e-3


@pytest.mark.gpu
@pytest.mark.slow
def test_more_neurons_than_32_bits_can_count(kernels):
    if torch.cuda.mem_get_info()[0] < 24e9:
        pytest.skip('needs 24 GB of GPU memory')
    ticks, batch, units = 33, 64, 1 << 20  # 2.2e9 currents
    current = torch.rand(batch, 1, units, device='cuda').half().expand(-1, ticks, -1).contiguous()
    state = torch.zeros(batch, units, device='cuda')
    beta, threshold = torch.full((units,), 0.9, device='cuda'), torch.ones(units, device='cuda')
    with torch.no_grad():
        _, after = triton_sequence(current, state, beta, threshold, 1, spike_gradient('atan'))
        _, last = triton_sequence(current[-1:], state[-1:], beta, threshold, 1,
                                  spike_gradient('atan'))
    assert torch.equal(after[-1:], last)


@pytest.mark.gpu
def test_streams_side_by_side_do_not_disturb_each_other(kernels):
    cases = [Case(*(value.cuda() for value in drawn(seed, 8, 16, 2048))) for seed in range(4)]
    expected = [outcome(triton_rates, case, 4, 'atan') for case in cases]
    streams = [torch.cuda.Stream() for _ in cases]
    torch.cuda.synchronize()
    results = []
    for _ in range(3):
        for case, stream in zip(cases, streams, strict=True):
            with torch.cuda.stream(stream):
                results.append(outcome(triton_rates, case, 4, 'atan'))
    torch.cuda.synchronize()
    for k, got in enumerate(results):
        assert all(map(torch.equal, got, expected[k % len(cases)]))


def test_parameters_are_grouped_by_what_they_vary_along():
    shape = (2, 3, 4, 5)
    for wide, groups in (((5,), 1), ((3, 1, 5), 6), ((2, 1, 1, 5), 2), ((4, 1), 24)):
        population = Population.arranged(*drawn(0, 2, *shape, parameters=wide))
        assert population.current.shape == (2, groups, 24 // groups, 5)
        assert population.beta.shape == (groups, 5)


def test_surrogates_of_snntorch_are_known_with_their_constants():
    from snntorch import surrogate

    assert all(Surrogate.of(spike_gradient(name)) for name in SURROGATES)
    assert Surrogate.of(surrogate.fast_sigmoid(slope=7)) == ('fast_sigmoid', 7.0, 0.0)
    assert Surrogate.of(surrogate.spike_rate_escape(2, 3)) == ('spike_rate_escape', 2.0, 3.0)
    assert Surrogate.of(surrogate.SSO()) is None  # draws random numbers
    assert Surrogate.of(torch.sigmoid) is None
