"""Spiking, liquid encoders for each modality and four ways to fuse them.

Reads top-down: ``config`` (what a modality is), ``encoder`` (preprocessor -> spikes -> liquid
cell), ``attention``, ``strategies`` (early, late, hybrid, hierarchical), ``network`` (forward,
step, unroll), ``state`` (the nested dict of tensors that is the memory). Beside it for training:
``alignment`` (streams of different rates), ``auxiliary`` (a head per modality).
"""

from __future__ import annotations

from ..state import detach_state, reset_state, State
from .alignment import TemporalAligner
from .attention import CrossModalAttentionFusion
from .auxiliary import UnimodalHeads
from .config import FusionStrategy, ModalityConfig, ModalityType
from .encoder import ModalityEncoder
from .info import FusionInfo
from .network import MultiModalFusionNetwork

__all__ = [
    'CrossModalAttentionFusion',
    'FusionInfo',
    'FusionStrategy',
    'ModalityConfig',
    'ModalityEncoder',
    'ModalityType',
    'MultiModalFusionNetwork',
    'State',
    'TemporalAligner',
    'UnimodalHeads',
    'detach_state',
    'reset_state',
]
