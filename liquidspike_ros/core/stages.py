"""Training in stages: parts of a model by name, to freeze and to learn at rates of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn, Tensor

from .liquid import CfC, LTC, WiredCfC
from .multimodal_fusion import MultiModalFusionNetwork
from .spiking.population import LIFPopulation

# Their own parameters are decays, time constants, reversal potentials and conductances.
_CELLS = (CfC, LTC, WiredCfC, LIFPopulation)
PARTS = ('encoders', 'fusion')


def freeze(model: nn.Module, *parts: str, frozen: bool = True) -> int:
    """Keep parts of a model as they are while the rest learns.

    Frozen means frozen: no gradients, and dropout and running statistics as in evaluation, also
    after ``model.train()``. Freezing twice changes nothing; what did not learn before does not
    learn after it is thawed.

    Args:
        model: A ready-made model or a ``MultiModalFusionNetwork``, changed in place.
        parts: ``'encoders'`` (preprocessors and encoders of all modalities), ``'fusion'``
            (everything behind the encoders), the name of a modality (its preprocessor, encoder and
            head), or the path of a module, such as ``'network.fusion.core'``.
        frozen: False thaws the parts.

    Returns:
        How many parameters changed.

    Raises:
        ValueError: Unknown part.
    """
    changed = 0
    for part in parts:
        for module in _modules(model, part):
            changed += _freeze(module) if frozen else _thaw(module)
    model.train(model.training)
    return changed


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float = 0.0,
    rates: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Groups for an optimiser of ``torch.optim``, of all parameters that learn.

    Only matrices decay: no biases, gains, or parameters of the cells and neurons themselves (time
    constants, reversal potentials, betas), which decay would pull towards values without meaning.

    Args:
        model: A ready-made model or a ``MultiModalFusionNetwork``.
        learning_rate: Of everything that ``rates`` does not name.
        weight_decay: Of what decays.
        rates: Learning rates by part, see ``freeze``. A parameter in several parts goes by the
            first.

    Returns:
        Dicts with ``name``, ``params``, ``lr`` and ``weight_decay``, none empty.

    Raises:
        ValueError: Unknown part.
    """
    decaying = {id(value) for value in decayed(model)}
    named: dict[str, tuple[float, list[nn.Parameter]]] = {}
    taken: set[int] = set()
    for part, rate in [*(rates or {}).items(), ('', learning_rate)]:
        owned = _modules(model, part) if part else [model]
        found = [value for module in owned for value in module.parameters()
                 if value.requires_grad and id(value) not in taken]
        values = list({id(value): value for value in found}.values())
        taken |= {id(value) for value in values}
        named[part or 'rest'] = rate, values
    groups = []
    for name, (rate, values) in named.items():
        for decay, chosen in ((weight_decay, [v for v in values if id(v) in decaying]),
                              (0.0, [v for v in values if id(v) not in decaying])):
            if chosen:
                groups.append({'name': f'{name}{"" if decay else ", no decay"}', 'params': chosen,
                               'lr': rate, 'weight_decay': decay})
    return groups


def decayed(model: nn.Module) -> list[Tensor]:
    """Parameters for weight decay: matrices, but for those of cells and neurons."""
    return [value for module in model.modules() if not isinstance(module, _CELLS)
            for value in module._parameters.values() if value is not None and value.ndim >= 2]


def _freeze(module: nn.Module) -> int:
    learning = [value for value in module.parameters() if value.requires_grad]
    for part in module.modules():
        own = [name for name, value in part._parameters.items()
               if value is not None and value.requires_grad]
        part.__dict__.setdefault('frozen', []).extend(own)
    module.requires_grad_(False)
    return len(learning)


def _thaw(module: nn.Module) -> int:
    changed = 0
    for part in module.modules():
        for name in part.__dict__.pop('frozen', ()):
            part._parameters[name].requires_grad_(True)  # type: ignore[union-attr]
            changed += 1
    return changed


def _modules(model: nn.Module, part: str) -> Iterator[nn.Module]:
    """The modules of a part."""
    network = model if isinstance(model, MultiModalFusionNetwork) else getattr(
        model, 'network', None)
    if isinstance(network, MultiModalFusionNetwork):
        fusion = network.fusion
        if part == 'encoders':
            for name in network.modalities:
                yield from _of_modality(model, network, name, head=False)
            yield from (module for name, module in fusion.named_children()
                        if name in ('shared', 'tokens'))
            return
        if part == 'fusion':
            yield from (module for name, module in fusion.named_children()
                        if name not in ('encoders', 'shared', 'adapters', 'tokens'))
            return
        if part in network.modalities:
            yield from _of_modality(model, network, part, head=True)
            return
    paths = dict(model.named_modules())
    if part not in paths or not part:
        names = network.modalities if isinstance(network, MultiModalFusionNetwork) else ()
        raise ValueError(f'part: got {part!r}, expected one of {", ".join([*PARTS, *names])}, or '
                         'the path of a module')
    yield paths[part]


def _of_modality(
    model: nn.Module, network: MultiModalFusionNetwork, name: str, head: bool
) -> Iterator[nn.Module]:
    yield network.preprocessors[name]
    for place, module in getattr(model, 'outside', {}).items():  # looked at outside the network
        if module == name:
            yield model.get_submodule(place)
    for place in ('encoders', 'adapters', *(('heads',) if head else ())):
        held = getattr(network.fusion, place, None)
        if held is not None and name in held:
            yield held[name]
