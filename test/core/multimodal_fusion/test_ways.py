"""A module is what its layers compute, whatever somebody does to them, and however it runs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils import parametrizations, prune

from liquidspike_ros.core.deployment import deploy
from liquidspike_ros.core.multimodal_fusion import MultiModalFusionNetwork

STRATEGIES = ('early', 'late', 'hybrid', 'hierarchical')
LAYERS = ('norm', 'current', 'population', 'liquid', 'liquid.backbone', 'liquid.backbone.0',
          'liquid.heads', 'readout', 'dropout')
BEHIND = {'early': ('adapters.eye.1', 'head', 'head.layers.0'),
          'late': ('heads.eye', 'heads.ear.layers.2'),
          'hybrid': ('heads.eye.layers.0', 'attention', 'attention.projection', 'attention.output',
                     'attention.norm', 'core', 'core.projection', 'core.memory.heads',
                     'core.head.layers.1'),
          'hierarchical': ('levels.0.projection', 'core.memory', 'core.head')}


def build(strategy='hybrid', seed=0, dropout=0.0, **arguments) -> MultiModalFusionNetwork:
    torch.manual_seed(seed)
    modality = arguments.pop('modality', {})
    configs = {
        name: {'type': 'custom', 'input_dim': 8, 'encoder_dim': 6, 'liquid_units': 5,
               'spiking_units': 7, 'num_spike_steps': 4, 'dropout': dropout,
               'preprocessing': nn.Identity()} | modality
        for name in ('eye', 'ear')}
    memory = 5 if strategy in ('hybrid', 'hierarchical') else 0
    return MultiModalFusionNetwork(configs, strategy, 10, 2, 3, memory_units=memory,
                                   **arguments).double().eval()


def inputs(rows=1, seed=1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, 8, generator=generator, dtype=torch.float64)
            for name in ('eye', 'ear')}


def encoder(model: MultiModalFusionNetwork) -> nn.Module:
    return model.fusion.shared if hasattr(model.fusion, 'shared') else model.fusion.encoders['eye']


def watched(strategy: str) -> list[str]:
    prefix = 'shared' if strategy == 'early' else 'encoders.eye'
    return [prefix, *(f'{prefix}.{layer}' for layer in LAYERS), *BEHIND[strategy]]


@pytest.mark.parametrize('gradients', [False, True])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_layer_calls_its_hooks(strategy, gradients):
    model, called = build(strategy), set()
    for name in watched(strategy):
        model.fusion.get_submodule(name).register_forward_hook(
            lambda *_, name=name: called.add(name))
    with torch.set_grad_enabled(gradients):
        model(inputs())
    assert called == set(watched(strategy))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_hook_on_one_layer_alone_fires_and_its_result_counts(strategy):
    for name in watched(strategy):
        model = build(strategy)
        wanted, doubled = model(inputs()).detach(), []
        layer = model.fusion.get_submodule(name)
        layer.register_forward_hook(lambda *_, seen=doubled: seen.append(True))
        torch.testing.assert_close(model(inputs()).detach(), wanted)
        assert doubled
        handle = layer.register_forward_pre_hook(
            lambda module, given: (torch.full_like(given[0], 3.0), *given[1:]))
        changed = model(inputs()).detach()
        assert name.endswith('dropout') or not torch.equal(changed, wanted)
        handle.remove()


def same(one: MultiModalFusionNetwork, other: MultiModalFusionNetwork, rows=3) -> None:
    """Both give the same values, states and gradients."""
    results = []
    for model in (one, other):
        given = inputs(rows)
        given['eye'].requires_grad_()
        output, state = model.step(given, present=torch.tensor(
            [[True, True], [False, True], [True, False]]))
        loss = output.square().sum() + sum(
            value.sum() for entry in state.get('encoders', state).values()
            for value in entry.values())
        results.append((output, torch.autograd.grad(loss, given['eye'])[0]))
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_layer_by_layer_gives_what_side_by_side_gives(strategy):
    plain, called = build(strategy), build(strategy)
    for module in called.fusion.modules():
        module.register_forward_hook(lambda *_: None)
    assert plain.way() == 'side by side'
    assert called.way().startswith('layer by layer: ')
    assert 'has hooks' in called.way()
    same(plain, called)


class Adapted(nn.Module):
    """A low-rank adapter around a layer, as PEFT builds it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(2, base.in_features, dtype=torch.float64))
        self.up = nn.Parameter(torch.randn(base.out_features, 2, dtype=torch.float64))

    weight = property(lambda self: self.base.weight)
    bias = property(lambda self: self.base.bias)

    def forward(self, x):
        return self.base(x) + x @ self.down.T @ self.up.T

    def merged(self) -> nn.Linear:
        result = copy.deepcopy(self.base)
        result.weight.data += (self.up @ self.down).detach()
        return result


@pytest.mark.parametrize('layer', ['current', 'readout', 'liquid.heads', 'liquid.backbone.0'])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_adapters_count_and_learn(strategy, layer):
    model = build(strategy)
    owner, _, name = layer.rpartition('.')
    holder = encoder(model).get_submodule(owner)
    setattr(holder, name, Adapted(getattr(holder, name)))
    merged = copy.deepcopy(model)
    holder = encoder(merged).get_submodule(owner)
    setattr(holder, name, getattr(holder, name).merged())
    assert merged.way() == 'side by side'
    assert 'Adapted' in model.way()
    same(model, merged)
    model(inputs(2)).sum().backward()
    assert encoder(model).get_submodule(layer).up.grad.any()


BACKBONES = ('cfc', 'ltc', 'ncp', 'ncp_ltc')


@pytest.mark.parametrize('mixed', [False, True])
@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_layer_of_every_backbone_calls_its_hooks(strategy, backbone, mixed):
    model, called = build(strategy, modality=backbone_of(backbone, mixed)), set()
    containers = (nn.ModuleDict, nn.ModuleList, nn.ParameterDict)
    names = {name for name, part in model.named_modules()
             if name and not isinstance(part, containers)}
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda *_, name=name: called.add(name))
    model(inputs())
    assert called == names


@pytest.mark.parametrize('mixed', [False, True])
@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_linear_layer_of_every_backbone_can_be_pruned_and_trained(strategy, backbone, mixed):
    plain = build(strategy, modality=backbone_of(backbone, mixed))
    for name, part in plain.named_modules():
        if not isinstance(part, nn.Linear):
            continue
        pruned, expected = copy.deepcopy(plain), copy.deepcopy(plain)
        layer = pruned.get_submodule(name)
        prune.l1_unstructured(layer, 'weight', 0.5)
        with torch.no_grad():
            expected.get_submodule(name).weight.copy_(layer.weight)
        same(pruned, expected)
        sequence = {key: value.unsqueeze(1).expand(-1, 3, -1) for key, value in inputs(2).items()}
        for _ in range(2):  # a second backward pass meets what the first one freed
            pruned.unroll(sequence)[0].sum().backward()
        assert layer.weight_orig.grad.any(), name


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_fused_reference_and_deployed_copy_agree(strategy, backbone):
    models = [build(strategy, modality=backbone_of(backbone), backend=backend).float()
              for backend in ('fused', 'reference')]
    models[1].load_state_dict(models[0].state_dict())
    gradients = []
    for model in models:
        values = {name: value.float() for name, value in inputs(2).items()}
        model(values).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        for rows in (1, 2):
            values = {name: value.float() for name, value in inputs(rows).items()}
            fused, reference, deployed = (model(values) for model in (
                *models, deploy(models[0])))
            torch.testing.assert_close(reference, fused, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(deployed, fused, rtol=1e-5, atol=1e-5)


def backbone_of(backbone: str, mixed: bool = False) -> dict:
    options = {'backbone_options': {'mixed_memory': True}} if mixed else {}
    return {'backbone': backbone, 'liquid_units': 10} | options


@pytest.mark.parametrize('change', [
    lambda layer: parametrizations.weight_norm(layer),
    lambda layer: parametrizations.spectral_norm(layer),
    lambda layer: parametrizations.orthogonal(layer),
    lambda layer: torch.nn.utils.weight_norm(layer),
    lambda layer: prune.l1_unstructured(layer, 'weight', 0.5),
], ids=['weight norm', 'spectral norm', 'orthogonal', 'weight norm by hook', 'pruning'])
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_parametrised_and_pruned_weights_count_and_train(strategy, change):
    model = build(strategy)
    change(encoder(model).current)
    plain = build(strategy)
    with torch.no_grad():
        model(inputs())
        encoder(plain).current.weight.copy_(encoder(model).current.weight)
    same(model, plain)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(inputs(4)).square().sum().backward()
        optimiser.step()


@pytest.mark.filterwarnings('ignore')
@pytest.mark.skipif('none' in torch.backends.quantized.supported_engines[-1:],
                    reason='no engine for quantised layers')
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_dynamically_quantised_models_run_on_their_quantised_layers(strategy):
    model = build(strategy).float()
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    given = {name: value.float() for name, value in inputs(2).items()}
    called = []
    encoder(quantised).readout.register_forward_hook(lambda *_: called.append(True))
    with torch.no_grad():
        got, wanted = quantised(given), model(given)
    assert called
    assert not torch.equal(got, wanted)
    assert (got - wanted).abs().max() < 0.2 * wanted.abs().max() + 0.1


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_replaced_forward_a_subclass_and_a_hook_on_all_modules_count(strategy):
    model, wanted = build(strategy), build(strategy)(inputs())

    class Louder(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    encoder(model).readout.__class__ = Louder
    assert not torch.allclose(model(inputs()), wanted)
    model = build(strategy)
    layer = encoder(model).readout
    layer.forward = lambda x: 2 * nn.functional.linear(x, layer.weight, layer.bias)
    assert not torch.allclose(model(inputs()), wanted)
    called = []
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, *_: called.append(module))
    try:
        model = build(strategy)
        torch.testing.assert_close(model(inputs()), wanted)
    finally:
        handle.remove()
    assert encoder(model).liquid.heads in called


@pytest.mark.parametrize('gradients', [False, True])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_dropout_switched_on_by_itself_drops(strategy, gradients):
    model = build(strategy, dropout=0.5)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.set_grad_enabled(gradients):
        assert not torch.equal(model(inputs()), model(inputs()))
    with torch.no_grad():  # a deployed copy is for inference
        deployed = deploy(model)
        assert torch.equal(deployed(inputs()), deployed(inputs()))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_every_write_to_weights_is_seen_at_once(strategy):
    model = build(strategy)
    writes = [
        lambda: model.modality_logits.data.__setitem__(1, 2.0),
        lambda: encoder(model).population.beta.data[:5].fill_(0.2),
        lambda: encoder(model).population.threshold.data[:3].fill_(0.3),
        lambda: encoder(model).current.bias.data[:-1].add_(1.0),
        lambda: encoder(model).current.bias.detach().numpy().__setitem__(slice(0, 4), 2.0),
        lambda: encoder(model).liquid.heads.weight.data.__setitem__((0, 0), 10.0)]
    with torch.no_grad():
        model(inputs())
        for write in writes:
            write()
            got = model(inputs())
            torch.testing.assert_close(got, copy.deepcopy(model)(inputs()), rtol=0, atol=0)


def test_a_trace_follows_the_weights():
    class Ticking(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, eye, ear):
            return self.model({'eye': eye, 'ear': ear})

    model = build()
    with torch.no_grad():
        traced = torch.jit.trace(Ticking(model), tuple(inputs().values()), check_trace=False)
        encoder(model).readout.weight.mul_(2.0)
        torch.testing.assert_close(traced(*inputs().values()), model(inputs()))


def parameters(model):
    return {name: value.detach() for name, value in model.named_parameters()}


def loss_of(model):
    return lambda values, given: functional_call(model, values, (given,)).square().sum()


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_functional_gradients_are_those_of_autograd(strategy):
    model, given = build(strategy), inputs(3)
    found = grad(loss_of(model))(parameters(model), given)
    model(given).square().sum().backward()
    for name, value in model.named_parameters():
        if value.requires_grad:
            torch.testing.assert_close(found[name], value.grad)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_gradients_per_sample(strategy):
    model, given = build(strategy), inputs(3)
    one = lambda values, row: loss_of(model)(  # noqa: E731
        values, {name: value[None] for name, value in row.items()})
    found = vmap(grad(one), in_dims=(None, 0))(parameters(model), given)
    for row in range(3):
        wanted = grad(one)(parameters(model), {name: value[row] for name, value in given.items()})
        torch.testing.assert_close({name: value[row] for name, value in found.items()}, wanted)


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_an_ensemble_at_once(strategy):
    models = [build(strategy, seed=seed) for seed in range(3)]
    stacked = {name: torch.stack([parameters(model)[name] for model in models])
               for name in parameters(models[0])}
    with torch.no_grad():
        given = inputs(2)
        found = vmap(lambda values: functional_call(models[0], values, (given,)))(stacked)
        torch.testing.assert_close(found, torch.stack([model(given) for model in models]))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_forward_and_vectorised_derivatives(strategy):
    model, given = build(strategy), inputs(2)

    def of_eye(eye):
        return model({'eye': eye, 'ear': given['ear']})

    tangent = torch.randn_like(given['eye'])
    wanted = torch.autograd.functional.jacobian(of_eye, given['eye'])
    forward = jvp(of_eye, (given['eye'],), (tangent,))[1]
    torch.testing.assert_close(forward, torch.einsum('aobi,bi->ao', wanted, tangent))
    torch.testing.assert_close(
        torch.autograd.functional.jacobian(of_eye, given['eye'], vectorize=True), wanted)


@pytest.mark.parametrize('options', [{}, {'spiking_options': {'reset': 'zero'}},
                                     {'spiking_options': {'surrogate': 'sigmoid'}}])
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_gradients_of_gradients_are_those_of_the_reference(strategy, options):
    penalties = []
    for backend in ('fused', 'reference'):
        model = build(strategy, backend=backend, modality=options)
        eye = inputs(3)['eye'].requires_grad_()
        output = model({'eye': eye, 'ear': inputs(3)['ear']})
        (slope,) = torch.autograd.grad(output.sum(), eye, create_graph=True)
        slope.square().sum().backward()
        penalties.append((slope.detach(), eye.grad, encoder(model).current.weight.grad))
    torch.testing.assert_close(*penalties)


def test_what_the_upstream_cells_cannot_do_is_named():
    model = build(backend='reference')
    with pytest.raises(NotImplementedError, match="'reference' under a transform"):
        grad(loss_of(model))(parameters(model), inputs())


@pytest.mark.parametrize(('backbone', 'layer'), [
    ('cfc', 'heads'), ('cfc', 'backbone.0'), ('ncp', 'layer_1.cell.heads')])
def test_what_the_reference_would_not_notice_is_refused_by_name(backbone, layer):
    model = build('late', backend='reference', modality=backbone_of(backbone))
    encoder(model).liquid.get_submodule(layer).register_forward_hook(lambda *_: None)
    with pytest.raises(NotImplementedError, match=f"'reference' with {layer}: has hooks, which nc"):
        model(inputs())
