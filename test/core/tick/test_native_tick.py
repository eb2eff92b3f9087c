"""Single ticks of a batch of one run in C; nobody may see a difference but in time."""

from __future__ import annotations

import copy
import itertools
import pickle
import platform

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from liquidspike_ros.core import products
from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork
from liquidspike_ros.core.tick import native, native_tick
from liquidspike_ros.core.tick.native import library

pytestmark = pytest.mark.skipif(native.kernels() is None, reason=f'no C code: {native.reason()}')

NAMES = ('eye', 'ear', 'skin')
STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
SUBSETS = [subset for count in (1, 2, 3) for subset in itertools.combinations(NAMES, count)]
# Neither multiples of what the C code takes at a time, nor large enough for threads; then both.
SIZES = {
    'odd': {'input_dim': 5, 'encoder_dim': 6, 'liquid_units': 4, 'spiking_units': 7, 'heads': 3,
            'fusion_dim': 10, 'outputs': 2},
    'large': {'input_dim': 130, 'encoder_dim': 128, 'liquid_units': 65, 'spiking_units': 67,
              'heads': 4, 'fusion_dim': 192, 'outputs': 17},
}


def build(
    strategy='hybrid', size='odd', memory=4, modality=None, names=NAMES, dt_scale=15.0
) -> MultiModalFusionNetwork:
    torch.manual_seed(3)
    sizes = dict(SIZES[size])
    heads, fusion_dim, outputs = (sizes.pop(key) for key in ('heads', 'fusion_dim', 'outputs'))
    configs = {
        name: {'type': 'custom', 'num_spike_steps': 5, 'dropout': 0.2,
               'preprocessing': nn.Tanh()} | sizes | (modality or {})
        for name in names
    }
    if strategy in ('early', 'late'):
        memory = 0
    model = MultiModalFusionNetwork(configs, strategy, fusion_dim, heads, outputs,
                                    memory_units=memory, dt_scale=dt_scale).eval()
    with torch.no_grad():  # every parameter counts
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def in_c(monkeypatch):
    """Counts the ticks of deployed copies that ran in C, as True, and in torch, as False."""
    ticks = []

    def counted(run):
        def count(*arguments):
            result = run(*arguments)
            if result is not None:
                ticks.append(True)
            return result

        return count

    unroll = MultiModalFusionNetwork.unroll

    def in_torch(self, *arguments, **options):
        if self.deployed.frozen:
            ticks.append(False)
        return unroll(self, *arguments, **options)

    monkeypatch.setattr(MultiModalFusionNetwork, 'unroll', in_torch)
    for kind in (native_tick.NativeTick, native_tick.NativeEarlyTick):
        monkeypatch.setattr(kind, '__call__', counted(kind.__call__))
    return ticks


def inputs(size='odd', names=NAMES, batch=1):
    return {name: torch.randn(batch, SIZES[size]['input_dim']) for name in names}


def double(value):
    if isinstance(value, dict):
        return {key: double(entry) for key, entry in value.items()}
    return value.double() if isinstance(value, torch.Tensor) else value


def oracle(model, given, state, dt, present, threshold=1.0):
    """The usual way in double precision, with all thresholds moved by a factor."""
    exact = copy.deepcopy(model).double()
    for name, value in itertools.chain(exact.named_parameters(), exact.named_buffers()):
        if name.endswith('threshold'):
            value.detach().mul_(threshold)
    dt = double(dt)
    return exact.step(double(given), double(state), dt, present, return_info=True)


def flat(state):
    for value in state.values():
        yield from flat(value) if isinstance(value, dict) else (value,)


def check(model, draw, dt=0.05, present=None, state=None):
    """A tick in C gives what the usual way gives, on inputs where rounding fires no spike."""
    for _ in range(9):
        given = draw()
        usual = oracle(model, given, state, dt, present)
        rates = [[*oracle(model, given, state, dt, present, factor)[2].spike_rates.values()]
                 for factor in (1 - 1e-5, 1 + 1e-5)]
        if all(torch.equal(low, high) for low, high in zip(*rates, strict=True)):
            break
    else:
        raise AssertionError('expected inputs that do not end at the threshold')
    deployed = deploy(model)
    with torch.no_grad():
        done = deployed.step(given, state, dt, present, return_info=True)
        lean = deployed.step(given, state, dt, present)
    for mine, wanted in [(done[0], usual[0]), *zip(flat(done[1]), flat(usual[1]), strict=True)]:
        torch.testing.assert_close(mine.double(), wanted, rtol=1e-4, atol=1e-5)
    assert torch.equal(lean[0], done[0])
    assert all(map(torch.equal, flat(lean[1]), flat(done[1])))
    for key in ('features', 'attention', 'weights', 'spike_rates', 'present'):
        mine, wanted = getattr(done[2], key), getattr(usual[2], key)
        torch.testing.assert_close(double(mine), double(wanted), rtol=1e-4, atol=1e-5, msg=key)
    return done


def random_state(model, size):
    with torch.no_grad():
        return model.unroll({name: value.unsqueeze(1) for name, value in inputs(size).items()})[1]


@pytest.mark.parametrize('columns', [False, True])
@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_tick_in_c_gives_what_the_usual_way_gives(strategy, size, columns, in_c, monkeypatch):
    monkeypatch.setattr(products, 'COLUMNS', columns)
    model = build(strategy, size)
    state = random_state(model, size)
    for subset in SUBSETS:
        check(model, lambda subset=subset: inputs(size, subset), state=state)
    for dt in (0.0, 1, torch.rand(1), torch.tensor(0.1)):
        check(model, lambda: inputs(size), dt)
    assert in_c == [True] * 2 * (len(SUBSETS) + 4)


@pytest.mark.parametrize('count', [1, 4, 7, 9])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_any_number_of_modalities_and_timespan_units(strategy, count, in_c):
    names = tuple('abcdefghi'[:count])
    model = build(strategy, modality={'encoder_dim': 18}, names=names, dt_scale=40.0)
    for subset in (names, names[:1], names[1:]):
        if subset:
            check(model, lambda subset=subset: inputs(names=subset))
    assert all(in_c)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_what_is_masked_is_not_looked_at(strategy, in_c):
    model = build(strategy)
    state = random_state(model, 'odd')
    for present in ([True, False, True], [False, True, False], [True, True, True]):
        def draw(present=present):
            return {name: value if here else value * torch.nan
                    for (name, value), here in zip(inputs().items(), present, strict=True)}

        output = check(model, draw, present=torch.tensor([present]), state=state)[0]
        assert torch.isfinite(output).all()
    strided = torch.tensor([[True, True, False, True, True, True]])[:, ::2]  # True, False, True
    check(model, inputs, present=strided, state=state)
    with torch.no_grad():  # nothing at all: the state goes on
        output, after = deploy(model).step(inputs(), state,
                                           present=torch.zeros(1, 1, dtype=torch.bool).expand(1, 3))
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(value).all() for value in flat(after))
    assert all(in_c)


@pytest.mark.parametrize('modality', [
    {'preprocessing': None},
    {'backbone_options': {'mode': 'no_gate', 'activation': 'tanh'}},
    {'beta': 0.5},
])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_all_kinds_of_encoders_that_run_side_by_side(strategy, modality, in_c):
    model = build(strategy, modality=modality, memory=0)
    check(model, inputs)
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if name.endswith('threshold'):
            value.detach().uniform_(0.5, 1.5)
    check(model, inputs, state=random_state(model, 'odd'))
    assert in_c == [True] * 4


@pytest.mark.parametrize('broken', [torch.nan, torch.inf, -torch.inf, 1e30])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_sensor_that_gives_no_sound_numbers_is_seen_in_the_state(strategy, broken, in_c):
    model, given = build(strategy, modality={'preprocessing': nn.Identity()}), inputs()
    given['ear'][0, 2] = broken
    with torch.no_grad():  # the output may be finite: a potential that is NaN fires no spike
        _, state = deploy(model).step(given)
    assert any(torch.isnan(value).any() for value in flat(state))
    assert in_c == [True]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_features_that_are_all_equal_have_no_variance_however_large(strategy, in_c):
    model = build(strategy, 'large', modality={'preprocessing': nn.Identity()})
    check(model, lambda: {name: torch.full((1, 130), 1e4 + torch.rand(()).item())
                          for name in NAMES})
    assert in_c == [True] * 2


@pytest.mark.parametrize('strategy', ['hybrid', 'hierarchical'])
def test_nobody_looks_at_what_is_masked_whatever_they_hold(strategy, in_c):
    model, state = build(strategy), random_state(build(strategy), 'odd')
    state['encoders']['eye']['hx'].fill_(torch.nan)
    with torch.no_grad():
        info = deploy(model).step(inputs(), state, present=torch.tensor([[False, True, True]]),
                                  return_info=True)[2]
    assert (info.attention[..., 0] == 0).all()
    assert in_c == [True]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_neither_threads_nor_the_build_change_a_bit(strategy, in_c, monkeypatch):
    threads, machine = torch.get_num_threads(), platform.machine()
    best = library.variant_for(torch.backends.cpu.get_cpu_capability(), machine)
    variants = {'avx512': ['avx512', 'avx2'], 'avx2': ['avx2'], 'plain': ['plain']}[str(best)]
    results = []
    try:
        for variant in variants:
            monkeypatch.setattr(library, 'variant_for', lambda *_, variant=variant: variant)
            opened, why = library.find_library()
            assert opened is not None, why
            monkeypatch.setattr(native_tick, 'kernels', lambda opened=opened: opened)
            model = deploy(build(strategy, 'large'))
            torch.manual_seed(4)
            given = [inputs('large') for _ in range(3)]
            for count in (1, 2, 5):
                torch.set_num_threads(count)
                state = None
                with torch.no_grad():
                    for features in given:
                        output, state = model.step(features, state)
                results.append([output, *flat(state)])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))
    assert in_c == [True] * 9 * len(variants)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_deployed_copy_stays_as_it_was_made(strategy, in_c):
    model, given = build(strategy), inputs()
    deployed = deploy(model)
    with torch.no_grad():
        before, _ = deployed.step(given)
        for parameter in model.parameters():
            parameter.mul_(1.3)
        assert torch.equal(deployed.step(given)[0], before)
        assert not torch.equal(deploy(model).step(given)[0], before)
    with pytest.raises(RuntimeError, match='deploy it again'):
        deployed.load_state_dict(model.state_dict())
    assert in_c == [True] * 3


def test_a_copy_and_a_pickle_run_on_weights_of_their_own(in_c):
    model, given = deploy(build()), inputs()
    with torch.no_grad():
        before, _ = model.step(given)
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for parameter in model.parameters():
            parameter.zero_()
        model.step(given)
        del model
        for other in copies:
            assert torch.equal(other.step(given)[0], before)
    assert all(in_c)


def test_what_is_not_for_the_c_code_runs_in_torch(in_c):
    model, given = build(), inputs()
    state, deployed = random_state(model, 'odd'), deploy(model)
    with torch.no_grad():
        deployed.step(given, state)
        deployed.step(inputs(batch=2))
        deploy(model.double()).step(double(given), double(state))
        assert model.way() == 'side by side'
        assert deployed.way() == 'in C'
    deployed.step(given, state)  # with gradients
    assert in_c == [True, False, False, False]


def encoders(model):
    return [*getattr(model.fusion, 'encoders', {}).values()] or [model.fusion.shared]


def put(modules, name, make):
    for module in modules:
        setattr(module, name, make())


# The C code takes sizes as they are: what torch spreads or refuses, it must never see.
MISFITS = {
    'one beta for all neurons': ('late', lambda m: put(
        [e.population for e in encoders(m)], 'beta', lambda: nn.Parameter(torch.tensor([0.5])))),
    'one threshold for all neurons': ('hybrid', lambda m: put(
        [e.population for e in encoders(m)], 'threshold', lambda: torch.tensor([0.6]))),
    'one absent current': ('late', lambda m: put(
        encoders(m), 'absent', lambda: nn.Parameter(torch.tensor([0.5])))),
    'one number for a token': ('early', lambda m: m.fusion.tokens.update(
        {name: nn.Parameter(torch.ones(1)) for name in NAMES})),
    'one logit': ('hybrid', lambda m: put(
        [m], 'modality_logits', lambda: nn.Parameter(torch.zeros(1)))),
    'one row of groups': ('hierarchical', lambda m: put(
        [m.fusion], 'groups', lambda: torch.tensor([[[True, False, True]]] * 2))),
    'groups that are not bool': ('hierarchical', lambda m: put(
        [m.fusion], 'groups', m.fusion.groups.float)),
    'a threshold that is bool': ('late', lambda m: put(
        [e.population for e in encoders(m)], 'threshold', lambda: torch.arange(7) < 5)),
    'a norm too narrow': ('hybrid', lambda m: put(
        [m.fusion.attention], 'norm', lambda: nn.LayerNorm(3))),
    'a readout too narrow': ('hierarchical', lambda m: put(
        encoders(m), 'readout', lambda: nn.Linear(4, 5))),
    'a readout too wide': ('late', lambda m: put(
        encoders(m), 'readout', lambda: nn.Linear(9, 6))),
    'more currents than neurons': ('late', lambda m: put(
        encoders(m), 'current', lambda: nn.Linear(5, 50))),
    'more inputs than features': ('late', lambda m: (
        put(encoders(m), 'current', lambda: nn.Linear(5000, 7)),
        put(encoders(m), 'norm', lambda: nn.LayerNorm(5000)))),
    'a backbone too narrow': ('late', lambda m: put(
        [e.liquid.backbone for e in encoders(m)], '0', lambda: nn.Linear(11, 17))),
    'heads of more units': ('late', lambda m: put(
        [e.liquid for e in encoders(m)], 'heads', lambda: nn.Linear(128, 20))),
    'a wider memory': ('hybrid', lambda m: put(
        [m.fusion.core.memory], 'heads', lambda: nn.Linear(128, 32))),
    'a projection too wide': ('hybrid', lambda m: put(
        [m.fusion.core], 'projection', lambda: nn.Linear(6, 11))),
    'a head with one output more': ('hybrid', lambda m: put(
        [m.fusion.core.head.layers], '2', lambda: nn.Linear(5, 3))),
    'a shared encoder with more inputs': ('early', lambda m: (
        put([m.fusion.shared], 'current', lambda: nn.Linear(999, 21)),
        put([m.fusion.shared], 'norm', lambda: nn.LayerNorm(999)))),
    'an adapter more': ('early', lambda m: (
        m.fusion.adapters.update({'more': copy.deepcopy(m.fusion.adapters['eye'])}),
        m.fusion.tokens.update({'more': nn.Parameter(torch.zeros(6))}))),
    'fewer features than inputs': ('late', lambda m: m.feature_dims.update(
        dict.fromkeys(NAMES, 3))),
    'no spike step': ('late', lambda m: put(encoders(m), 'num_spike_steps', int)),
}


def outcomes(model):
    torch.manual_seed(1)
    width = model.feature_dims['eye']
    for names in (NAMES[:2], NAMES):
        try:
            with torch.no_grad():
                yield model.step({name: torch.randn(1, width) for name in names})[0]
        except (RuntimeError, ValueError, LookupError) as error:
            yield str(error)


@pytest.mark.filterwarnings('ignore:An output with one or more elements was resized')
@pytest.mark.parametrize('misfit', MISFITS)
def test_weights_that_do_not_fit_each_other_are_left_to_torch(misfit, in_c, monkeypatch):
    strategy, change = MISFITS[misfit]
    model = build(strategy)
    change(model)
    got = [*outcomes(deploy(model))]
    assert not any(in_c)
    monkeypatch.setattr(native_tick, 'takes', lambda like: False)
    for mine, wanted in zip(got, outcomes(deploy(model)), strict=True):
        assert type(mine) is type(wanted)
        assert mine == wanted if isinstance(mine, str) else torch.equal(mine, wanted)


@pytest.mark.parametrize('options', [{'bias': False}, {'elementwise_affine': False}])
@pytest.mark.parametrize('strategy', ['hybrid', 'hierarchical'])
def test_attention_with_a_norm_of_fewer_weights(strategy, options, in_c):
    model = build(strategy)
    for level in getattr(model.fusion, 'levels', None) or [model.fusion.attention]:
        level.norm = nn.LayerNorm(6, **options)
    check(model, inputs)
    assert in_c == [True] * 2


class Elsewhere(torch.Tensor):
    """A tensor without memory of its own, as quantised weights are."""

    @staticmethod
    def __new__(cls, value):
        return torch.Tensor._make_wrapper_subclass(cls, value.shape, dtype=value.dtype)

    def __init__(self, value) -> None:
        self.value = value

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        args, kwargs = torch.utils._pytree.tree_map_only(
            cls, lambda it: it.value, (args, kwargs or {}))
        return torch.utils._pytree.tree_map_only(
            torch.Tensor, cls, function(*args, **kwargs))


def test_weights_without_memory_of_their_own_run_in_torch(in_c):
    model, given = build(), inputs()
    with torch.no_grad():
        wanted = deploy(model).step(given)[0]
        other = deploy(model)
        norm = other.fusion.attention.norm
        norm.weight = nn.Parameter(Elsewhere(norm.weight.detach()), requires_grad=False)
        got = other.step(given)[0]
    torch.testing.assert_close(getattr(got, 'value', got), wanted, rtol=1e-4, atol=1e-5)
    assert in_c == [True, False]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_memory_that_does_not_hold_the_values_is_not_read(strategy, in_c):
    model, given = deploy(build(strategy, modality={'preprocessing': nn.Identity()})), inputs()
    zeros = {name: torch._efficientzerotensor((1, 5)) for name in NAMES}
    with torch.no_grad():
        wanted = [model.step(values)[0] for values in (
            given, {name: torch.zeros(1, 5) for name in NAMES})]
        got = [model.step(values)[0] for values in (
            {name: torch._neg_view(-value) for name, value in given.items()}, zeros)]
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    assert in_c == [True, True, False, False]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_features_that_are_not_one_after_the_other(strategy, in_c):
    model = deploy(build(strategy, modality={'preprocessing': nn.Identity()}))
    wide = {name: torch.randn(5, 2).t()[:1] for name in NAMES}
    assert not any(value.is_contiguous() for value in wide.values())
    with torch.no_grad():
        strided = model.step(wide)[0]
        straight = model.step({name: value.contiguous() for name, value in wide.items()})[0]
    torch.testing.assert_close(strided, straight, rtol=1e-4, atol=1e-5)
    assert in_c == [False, True]


class Ticking(nn.Module):
    """A model in the form that tracers want."""

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model

    def forward(self, *values):
        return self.model.step(dict(zip(NAMES, values, strict=True)))[0]


@pytest.mark.filterwarnings('ignore')
def test_what_records_operator_calls_sees_them(in_c):
    module = Ticking(deploy(build()))
    first, second = ([*inputs().values()] for _ in range(2))
    with torch.no_grad():
        wanted = module(*second)
        recorded = make_fx(module)(*first)(*second)
        traced = torch.jit.trace(module, first, check_trace=False)(*second)
    for got in (recorded, traced):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    assert in_c[0]
    assert not any(in_c[1:])


def test_a_state_may_be_written_to_and_is_not_shared(in_c):
    model, given = deploy(build()), inputs()
    with torch.no_grad():
        _, state = model.step(given)
        kept = copy.deepcopy(state)
        model.step(given, state)  # reads the state, and leaves it as it is
    torch.testing.assert_close(state, kept)
    state['encoders']['eye']['membrane'].fill_(0.5)
    state['encoders']['eye']['hx'].requires_grad_().square().sum().backward()
    torch.testing.assert_close(state['encoders']['ear'], kept['encoders']['ear'])
    torch.testing.assert_close(state['memory'], kept['memory'])
    assert all(in_c)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_what_a_tick_tells_may_be_written_to(strategy, in_c, monkeypatch):
    model, given = deploy(build(strategy)), inputs()
    for native_kernels in (True, False):
        if not native_kernels:
            monkeypatch.setattr(native_tick, 'takes', lambda like: False)
            model = copy.deepcopy(model)
        with torch.no_grad():
            before, state, info = model.step(given, return_info=True)
            told = [*flat(state), info.weights, info.present, *info.features.values(),
                    *info.spike_rates.values()]
            for value in told if info.attention is None else [*told, info.attention]:
                value.zero_()
            assert torch.equal(model.step(given)[0], before)
    assert in_c == [True, True, False, False]


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_state_may_come_from_inference_mode_and_go_back_there(strategy, in_c):
    model, state = deploy(build(strategy)), None
    for mode in (torch.inference_mode, torch.no_grad, torch.inference_mode):
        with mode():
            output, state = model.step(inputs(), state)
    assert torch.isfinite(output).all()
    assert in_c == [True] * 3


def test_errors_name_what_is_wrong_before_any_c_code_runs(in_c):
    model = deploy(build())
    wrong = [
        ({'eye': torch.rand(1, 4)}, None, None, 'eye: got preprocessed'),
        ({}, None, None, 'inputs: got none'),
        (inputs(), {'encoders': {}}, None, 'state: got entries'),
        (inputs(), None, torch.ones(1, 2, dtype=torch.bool), 'present: got'),
    ]
    with torch.no_grad():
        for given, state, present, message in wrong:
            with pytest.raises(ValueError, match=message):
                model.step(given, state, present=present)
        for dt in (-1.0, float('nan')):
            with pytest.raises(ValueError, match='dt: got'):
                model.step(inputs(), dt=dt)
        state = model.init_state(1)
        state['memory']['hx'] = torch.zeros(1, 3)
        with pytest.raises(ValueError, match='memory'):
            model.step(inputs(), state)
    assert not in_c


def test_without_the_c_code_everything_runs_in_torch(monkeypatch, in_c):
    monkeypatch.setattr(native_tick, 'takes', lambda like: False)
    with torch.no_grad():
        output, _ = deploy(build()).step(inputs())
    assert torch.isfinite(output).all()
    assert in_c == [False]
