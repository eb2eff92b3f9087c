"""The weights of a tick as the C code of ``native`` takes them: pointers to what is laid out."""

from __future__ import annotations

import torch
from torch import Tensor

from ..native import structures
from ..products import Affine
from .tick_weights import (
    AttentionWeights,
    CoreWeights,
    EarlyWeights,
    EncoderWeights,
    LiquidWeights,
)

FEW = 16  # outputs: fewer than that are computed one by one instead of side by side


class NotPlain(Exception):
    """The weights are not what the C code can read."""


class Pointers:
    """Makes structures of weights, and keeps alive what they point to."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def to(self, value: Tensor | None) -> int | None:
        """Where the numbers stand, one after the other; None for None.

        Raises:
            NotPlain: They are not single precision (or bool) on the CPU.
        """
        if value is None:
            return None
        if value.dtype not in (torch.float32, torch.bool) or not value.is_cpu:
            raise NotPlain
        value = value.detach().contiguous()
        self._kept.append(value)
        return value.data_ptr()

    def affine(self, w: Affine) -> structures.Affine:
        """Layers; if they have few outputs, laid out once more."""
        if w.columns:
            raise NotPlain
        layers, inputs, outputs = w.weight.shape
        few = outputs < FEW
        return structures.Affine(self.to(w.weight.mT if few else w.weight), self.to(w.bias),
                                 layers, inputs, outputs, few)

    def liquid(self, w: LiquidWeights) -> structures.Liquid:
        """Liquid cells side by side."""
        return structures.Liquid(self.affine(w.first), self.affine(w.heads), w.dt_scale, w.gated)

    def encoders(self, w: EncoderWeights) -> structures.Encoders:
        """Encoders side by side."""
        return structures.Encoders(
            self.affine(w.current), self.affine(w.readout), self.liquid(w.liquid),
            self.to(w.silent), self.to(w.beta), self.to(w.threshold), w.steps, _eps(w.norm_eps))

    def attention(self, w: AttentionWeights) -> structures.Attention:
        """One level of attention."""
        gain, shift, eps = w.norm
        return structures.Attention(self.affine(w.projection), self.affine(w.output),
                                    self.to(gain), self.to(shift), self.to(w.groups),
                                    w.num_heads, eps)

    def core(self, w: CoreWeights) -> structures.Core:
        """What stands behind the attention."""
        memory = structures.Liquid() if w.memory is None else self.liquid(w.memory)
        return structures.Core(self.affine(w.projection), memory, self.head(w.first, w.last))

    def head(self, first: Affine, last: Affine) -> structures.Head:
        """Two layers with a SiLU between."""
        return structures.Head(self.affine(first), self.affine(last))

    def adapters(self, w: EarlyWeights) -> structures.Adapters:
        """What stands before the shared encoder of early fusion."""
        return structures.Adapters(self.affine(w.adapters), self.to(w.absent), _eps(w.norm_eps))


def _eps(norm_eps: float | None) -> float:
    return -1.0 if norm_eps is None else norm_eps
