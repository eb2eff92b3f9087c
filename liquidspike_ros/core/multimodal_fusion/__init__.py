"""Spiking, liquid encoders for each modality and four ways to fuse them.

Reads top-down: ``config`` (what a modality is), ``encoder`` (preprocessor -> spikes -> liquid
cell), ``attention``, ``strategies`` (early, late, hybrid, hierarchical), ``network`` (forward,
step, unroll), ``state`` (the nested dict of tensors that is the memory).
"""

from __future__ import annotations

from .attention import CrossModalAttentionFusion
from .config import FusionStrategy, ModalityConfig, ModalityType
from .encoder import ModalityEncoder
from .info import FusionInfo
from .network import MultiModalFusionNetwork
from .state import detach_state, reset_state, State

__all__ = [
    'CrossModalAttentionFusion',
    'FusionInfo',
    'FusionStrategy',
    'ModalityConfig',
    'ModalityEncoder',
    'ModalityType',
    'MultiModalFusionNetwork',
    'State',
    'detach_state',
    'reset_state',
]
