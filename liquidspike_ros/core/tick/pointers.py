"""The weights of a tick as the C code of ``native`` takes them: pointers to what is laid out."""

from __future__ import annotations

import torch

from .native import structures
from .native.plain_memory import FEW, Kept, NotPlain
from .weights import (
    AffineWeights,
    AttentionWeights,
    CoreWeights,
    EarlyWeights,
    EncoderWeights,
    LiquidWeights,
)


class Pointers(Kept):
    """Makes structures of weights, and keeps alive what they point to.

    The C code knows no other sizes than those of the weights themselves, so all of them have to
    fit each other. Every method raises ``NotPlain`` where they do not: torch then says what is
    wrong, or spreads what is smaller.
    """

    def affine(
        self, w: AffineWeights, layers: int, inputs: int, outputs: int | None = None
    ) -> structures.Affine:
        """Layers of these sizes, any ``outputs`` if None; if these are few, laid out once more."""
        outputs = w.outputs if outputs is None else outputs
        few = outputs < FEW
        weight = (self.to(w.weight.mT, layers, outputs, inputs) if few else
                  self.to(w.weight, layers, inputs, outputs))
        return structures.Affine(weight, self.to(w.bias, layers, 1, outputs), layers, inputs,
                                 outputs, few)

    def liquid(
        self, w: LiquidWeights, cells: int, inputs: int, units: int
    ) -> structures.Liquid:
        """Liquid cells side by side."""
        first = self.affine(w.first, cells, inputs + units)
        return structures.Liquid(first, self.affine(w.heads, cells, first.outputs, 4 * units),
                                 w.dt_scale, w.gated)

    def encoders(self, w: EncoderWeights, cells: int, inputs: int) -> structures.Encoders:
        """Encoders side by side."""
        if w.steps < 1:
            raise NotPlain
        neurons, units = w.current.outputs, w.readout.inputs
        row = cells, 1, neurons
        return structures.Encoders(
            self.affine(w.current, cells, inputs), self.affine(w.readout, cells, units),
            self.liquid(w.liquid, cells, neurons, units), self.to(w.silent, *row),
            self.to(w.beta, *row), self.to(w.threshold, *row), w.steps, _eps(w.norm_eps))

    def attention(self, w: AttentionWeights, cells: int, width: int) -> structures.Attention:
        """One level of attention."""
        gain, shift, eps = w.norm
        gain = w.output.bias.new_ones(width) if gain is None else gain
        shift = w.output.bias.new_zeros(width) if shift is None else shift
        return structures.Attention(
            self.affine(w.projection, 3 * w.num_heads, width, w.head_dim),
            self.affine(w.output, 1, w.num_heads * w.head_dim, width), self.to(gain, width),
            self.to(shift, width), self.to(w.groups, cells, cells, dtype=torch.bool),
            w.num_heads, eps)

    def core(self, w: CoreWeights, width: int) -> structures.Core:
        """What stands behind the attention."""
        fused, units = w.projection.outputs, memory_units(w)
        memory = (structures.Liquid() if w.memory is None else
                  self.liquid(w.memory, 1, fused, units))
        return structures.Core(self.affine(w.projection, 1, width), memory,
                               self.head(w.first, w.last, 1, fused + units))

    def head(
        self, first: AffineWeights, last: AffineWeights, layers: int, inputs: int,
        outputs: int | None = None,
    ) -> structures.Head:
        """Two layers with a SiLU between, any ``outputs`` if None."""
        hidden = self.affine(first, layers, inputs)
        return structures.Head(hidden, self.affine(last, layers, hidden.outputs, outputs))

    def adapters(self, w: EarlyWeights, cells: int) -> structures.Adapters:
        """What stands before the shared encoder of early fusion."""
        return structures.Adapters(
            self.affine(w.adapters, cells, w.adapters.inputs),
            self.to(w.absent, cells, 1, w.adapters.outputs), _eps(w.norm_eps))


def memory_units(w: CoreWeights | None) -> int:
    """Units of the joint memory; 0 if there is none."""
    return 0 if w is None or w.memory is None else w.memory.heads.outputs // 4


def _eps(norm_eps: float | None) -> float:
    return -1.0 if norm_eps is None else norm_eps
