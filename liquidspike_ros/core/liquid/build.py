"""A liquid cell by name, as ``ModalityConfig.backbone`` names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..sizes import LARGEST, require_size
from .cfc import CfC
from .ltc import LTC
from .mixed_memory import LiquidLayer
from .wired import auto_ncp, WiredCfC

LiquidCell = CfC | LTC | WiredCfC | LiquidLayer

_WIRING = ('outputs', 'sparsity', 'seed')
_LTC = ('ode_unfolds', 'epsilon', 'input_mapping', 'output_mapping')
_LAYER = ('mixed_memory', 'proj_size')
# Which options each backbone takes, besides those of LiquidLayer.
OPTIONS: dict[str, tuple[str, ...]] = {
    'cfc': ('mode', 'backbone_units', 'backbone_layers', 'activation'),
    'ltc': _LTC,
    'ncp': (*_WIRING, 'mode'),
    'ncp_ltc': (*_WIRING, *_LTC),
}
BACKBONES = tuple(OPTIONS)


def check_options(backbone: str, options: Mapping[str, Any]) -> None:
    """Check the names and sizes of a backbone's options.

    Raises:
        ValueError: Names the first unknown one and lists the known, or a size out of range.
    """
    known = (*OPTIONS[backbone], *_LAYER)
    for name in options:
        if name not in known:
            raise ValueError(f'backbone_options: got unknown key {name!r} for backbone '
                             f'{backbone!r}, expected keys among {", ".join(known)}')
    for name in LARGEST.keys() & options.keys():
        if options[name] is not None:  # None leaves it to the cell
            require_size(name, options[name], least=int(name not in ('backbone_layers', 'seed')))


def build_liquid(
    backbone: str,
    input_size: int,
    units: int,
    *,
    dt_scale: float = 15.0,
    backend: str = 'fused',
    options: Mapping[str, Any] | None = None,
) -> LiquidCell:
    """Build a liquid cell.

    Args:
        backbone: ``'cfc'``, ``'ltc'`` (both fully connected), ``'ncp'`` (CfC along an AutoNCP
            wiring) or ``'ncp_ltc'`` (LTC along one).
        input_size: Width of the input.
        units: Width of the liquid state.
        dt_scale: Timespan units per second.
        backend: ``'fused'`` or ``'reference'``.
        options: Further arguments: ``mode``, ``backbone_units``, ``backbone_layers`` and
            ``activation`` of ``CfC``; ``ode_unfolds``, ``epsilon``, ``input_mapping`` and
            ``output_mapping`` of ``LTC``; ``outputs``, ``sparsity`` and ``seed`` of ``auto_ncp``;
            ``mixed_memory`` and ``proj_size`` of ``LiquidLayer``.

    Raises:
        ValueError: An unknown backbone or option, or one out of range.
    """
    if backbone not in OPTIONS:
        raise ValueError(f'backbone: got {backbone!r}, expected one of {", ".join(BACKBONES)}')
    given = dict(options or {})
    check_options(backbone, given)
    layer = {name: given.pop(name) for name in _LAYER if name in given}
    wiring = {name: given.pop(name) for name in _WIRING if name in given}
    width: Any = auto_ncp(units, **wiring) if backbone in ('ncp', 'ncp_ltc') else units
    kind: Callable[..., CfC | LTC | WiredCfC] = {
        'cfc': CfC, 'ltc': LTC, 'ncp': WiredCfC, 'ncp_ltc': LTC}[backbone]
    cell = kind(input_size, width, dt_scale=dt_scale, backend=backend, **given)
    return LiquidLayer(cell, **layer) if layer else cell
