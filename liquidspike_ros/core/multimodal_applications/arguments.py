"""The arguments that every ready-made model takes for its encoders and their fusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..multimodal_fusion import FusionStrategy


class EncoderArguments(TypedDict, total=False):
    """Keyword arguments of every ready-made model; ``ModalityConfig`` says more about most.

    Attributes:
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        num_attention_heads: Heads of cross-modal attention (hybrid, hierarchical).
        encoder_dim: Width of preprocessed and encoded features.
        liquid_units: Liquid units per encoder, and of the joint memory.
        spiking_units: Neurons per modality.
        num_spike_steps: Spike steps per input: per tick of a robot, per word of a caption.
        beta: Initial membrane decay per spike step.
        backbone: Liquid cell: ``'cfc'``, ``'ltc'``, ``'ncp'`` or ``'ncp_ltc'``.
        backbone_options: Further arguments of the liquid cells, such as ``{'mixed_memory': True}``.
        coding: How features reach the neurons: ``'direct'``, ``'rate'``, ``'latency'`` or
            ``'delta'``; see ``spiking.coding``.
        spiking_options: Further arguments of the neurons, such as ``{'reset': 'zero'}``.
        dropout: Dropout of encoded features.
        modality_dropout: Chance that a modality is dropped while training: one for all, or one by
            name.
        backend: ``'fused'``, or ``'reference'`` for the stock snntorch and ncps cells.
    """

    fusion_strategy: FusionStrategy | str
    num_attention_heads: int
    encoder_dim: int
    liquid_units: int
    spiking_units: int
    num_spike_steps: int
    beta: float
    backbone: str
    backbone_options: Mapping[str, Any] | None
    coding: str
    spiking_options: Mapping[str, Any] | None
    dropout: float
    modality_dropout: float | Mapping[str, float]
    backend: str


DEFAULTS: EncoderArguments = {
    'fusion_strategy': 'hybrid', 'num_attention_heads': 8, 'encoder_dim': 512,
    'liquid_units': 256, 'spiking_units': 128, 'num_spike_steps': 32, 'beta': 0.95,
    'backbone': 'cfc', 'backbone_options': None, 'coding': 'direct', 'spiking_options': None,
    'dropout': 0.1, 'modality_dropout': 0.0, 'backend': 'fused',
}
