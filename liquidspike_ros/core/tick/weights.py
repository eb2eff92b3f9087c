"""The weights of a tick, laid out for the C code: what each array holds, and its shape.

``multimodal_fusion.tick_layout`` makes them of the modules, once, for a deployed copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AffineWeights:
    """``M`` linear layers side by side."""

    weight: Tensor  # [M, I, O]
    bias: Tensor  # [M, 1, O]

    @property
    def inputs(self) -> int:
        """``I``."""
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        """``O``."""
        return self.weight.shape[2]


def laid_out(weight: Tensor, bias: Tensor) -> AffineWeights:
    """Lay out layers with weights ``[M, O, I]`` and biases ``[M, 1, O]``."""
    return AffineWeights(weight=weight.detach().mT.contiguous(), bias=bias.detach().contiguous())


@dataclass(frozen=True, kw_only=True)
class LiquidWeights:
    """``M`` liquid cells side by side; ``first`` sees input and hidden state at once."""

    first: AffineWeights
    heads: AffineWeights
    dt_scale: float
    gated: bool


@dataclass(frozen=True, kw_only=True)
class EncoderWeights:
    """``M`` encoders side by side."""

    norm_eps: float | None  # of a LayerNorm whose scale and shift are in ``current``; None: none
    current: AffineWeights
    silent: Tensor  # [M, 1, N]
    beta: Tensor  # [M, 1, N]
    threshold: Tensor | None  # [M, 1, N]; None where it is 1 throughout
    steps: int
    liquid: LiquidWeights
    readout: AffineWeights


@dataclass(frozen=True, kw_only=True)
class AttentionWeights:
    """One level of attention; the scale of the scores is in the queries."""

    projection: AffineWeights
    output: AffineWeights
    norm: tuple[Tensor, Tensor, float]
    num_heads: int
    head_dim: int
    groups: Tensor | None  # [M, M] who may attend to whom; None if everybody


@dataclass(frozen=True, kw_only=True)
class CoreWeights:
    """Projection, joint memory and head behind the attention."""

    projection: AffineWeights
    memory: LiquidWeights | None
    first: AffineWeights
    last: AffineWeights


@dataclass(frozen=True, kw_only=True)
class VoteWeights:
    """The modalities' own heads, from hidden state to output."""

    first: AffineWeights
    last: AffineWeights


@dataclass(frozen=True, kw_only=True)
class TickWeights:
    """All of a strategy."""

    encoders: EncoderWeights
    shares: Tensor  # [M, 1, 1] weight of each modality where all are there
    votes: VoteWeights | None
    levels: tuple[AttentionWeights, ...]
    core: CoreWeights | None
    state_sizes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EarlyWeights:
    """All of early fusion."""

    norm_eps: float | None  # of the adapters, as in ``EncoderWeights``
    adapters: AffineWeights
    absent: Tensor  # [M, 1, E]: what stands for an absent modality
    shares: Tensor  # [M, 1, 1] weight of each modality where all are there
    factors: Tensor  # [M, 1, 1]: shares times their number
    shared: EncoderWeights
    first: AffineWeights
    last: AffineWeights
    state_sizes: dict[str, Any]
