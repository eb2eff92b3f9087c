"""Spiking, liquid encoders for each modality and four ways to fuse them.

Reads top-down:

- ``config``: what a modality is; ``network``: forward, and ``stepping``: step and unroll, on
  ``inputs`` as given; ``info``: what it says about itself.
- ``encoder``: preprocessor (``preprocess``, ``absent``) -> spikes -> liquid cell; ``encode``:
  several at once, equal ones ``side_by_side``, others (``coded``) alone; ``encoder_parts``: what
  both see of an encoder.
- ``strategies``: ``early``, ``late``, ``hybrid``, ``hierarchical``, on ``batch`` (what goes in and
  out), ``encoded_fusion`` (what the last three share), ``attention`` and ``heads``.
- ``tick_layout``: the weights of all that for single ticks in C.

Beside it for training: ``alignment`` (streams of different rates), ``auxiliary`` (a head per
modality).
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
