"""Liquid (continuous-time) cells: explicit state, irregular timespans in seconds.

Reads top-down: ``timespans`` (what every cell is given), ``cfc`` (closed form; ``cfc_sequence`` is
its walk through time), ``ltc`` (the differential equation itself), ``wired`` (NCP wirings),
``mixed_memory`` (an LSTM cell beside, a projection after), ``build`` (a cell by name),
``reference`` (the cells of ncps from the same weights).

Every cell is called alike: ``outputs [B, T, output_size], hx = cell(inputs [B, T, input_size],
hx [B, state_size] or None, timespans)``.
"""

from __future__ import annotations

from .build import BACKBONES, build_liquid, LiquidCell
from .cfc import ACTIVATIONS, CfC, HEADS, LeCunTanh, MODES
from .ltc import LTC
from .mixed_memory import LiquidLayer, LSTMMemory
from .timespans import checked_state, timespans_like
from .wired import auto_ncp, WiredCfC

__all__ = [
    'ACTIVATIONS',
    'BACKBONES',
    'HEADS',
    'LTC',
    'MODES',
    'CfC',
    'LSTMMemory',
    'LeCunTanh',
    'LiquidCell',
    'LiquidLayer',
    'WiredCfC',
    'auto_ncp',
    'build_liquid',
    'checked_state',
    'timespans_like',
]
