"""What decides the way: whether weights may be read directly, or the layers have to be called.

Encoders of equal size run side by side on stacked weights, and single ticks of a deployed copy in
C. Both read the weights of layers without calling them. That is allowed only where nobody can
tell: for layers of exactly the types that are built here, without hooks, parametrisations or
adapters. Everything else calls its layers, one after the other.
"""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torch.nn.modules import module as torch_module

BACKENDS = ('fused', 'reference')
_OURS = __package__ + '.'
_TORCH = frozenset({
    nn.Linear, nn.LayerNorm, nn.Identity, nn.Dropout, nn.Sequential, nn.ModuleDict, nn.ModuleList,
    nn.ParameterDict, nn.SiLU, nn.Tanh, nn.ReLU, nn.GELU})
_HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')
_PLAIN = (nn.Parameter, Tensor)


def transformed() -> bool:
    """Whether a transform of ``torch.func`` is active (``grad``, ``vmap``, ``jvp``, …)."""
    return bool(torch._C._are_functorch_transforms_active())


def elementary() -> bool:
    """Whether only elementary operators will do: exports, traces and transforms see no others."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing() or transformed()


def why_call(module: nn.Module, inside: bool = True) -> str:
    """Why the layers of ``module`` have to be called; '' where their weights may be read instead.

    Args:
        module: What is looked at.
        inside: Whether everything in it is looked at as well.
    """
    if elementary():
        return 'an export, a trace or a transform of torch.func is active'
    if torch_module._has_any_global_hook():
        return 'a hook on all modules'
    for name, part in module.named_modules() if inside else [('', module)]:
        if reason := _why_call(part):
            return f'{name or type(part).__name__}: {reason}'
    return ''


def require_plain_layers(cell: nn.Module, library: str) -> None:
    """Refuse a cell whose layers do more than hold weights, for code that only reads them.

    Args:
        cell: Run by upstream code from its weights.
        library: Whose code that is.

    Raises:
        NotImplementedError: Names the layer and what is special about it.
    """
    if elementary():  # whose stand-ins for tensors are no change of the layers
        return
    for name, part in cell.named_modules():
        if name and (reason := _why_call(part)):
            raise NotImplementedError(f"backend: got 'reference' with {name}: {reason}, which "
                                      f"{library}'s cells do not take, expected 'fused'")


def _why_call(part: nn.Module) -> str:
    held = part.__dict__
    kind = type(part)
    if kind not in _TORCH and not kind.__module__.startswith(_OURS):
        return f'got a {kind.__name__}'
    if any(map(held.get, _HOOKS)):
        return 'has hooks'
    if 'forward' in held:
        return 'its forward was replaced'
    for name, value in held['_parameters'].items():
        if type(value) not in _PLAIN and not (value is None and kind is nn.LayerNorm):
            return f'{name} is {"none" if value is None else type(value).__name__}'
    return ''
