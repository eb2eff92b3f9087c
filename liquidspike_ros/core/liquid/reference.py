"""The upstream liquid cells, run from our weights: what the fused code is checked against.

Slow and simple on purpose. ``backend='reference'`` of a model runs these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ncps.torch import CfCCell, LTCCell, WiredCfCCell
import torch
from torch import Tensor


class WiredCell(Protocol):
    """What is asked of an LTC or a wired CfC of ours: its options by name, and its weights."""

    def upstream_weights(self) -> dict[str, Tensor]:
        """The parameters under the names of ncps."""

    def __getattr__(self, name: str) -> Any: ...


def cfc_reference(
    arguments: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    inputs: Tensor,
    hx: Tensor,
    timespans: Tensor,
) -> tuple[Tensor, Tensor]:
    """A CfC over ``inputs [B, T, I]`` by stock ``ncps.torch.CfCCell``.

    Args:
        arguments: Constructor arguments of ``CfCCell``.
        weights: Its parameters under their upstream names; gradients flow to them.
        inputs: ``[B, T, I]``.
        hx: Hidden state ``[B, H]``.
        timespans: ``[B, T, 1]``, already scaled. Each step passes ``[B, 1]``: the sequence class
            of ncps 1.0.1 squeezes it to ``[B]``, which is wrong where ``B`` equals ``H``.
    """
    with torch.device('meta'):  # no initial values, so no random numbers are drawn
        cell = CfCCell(**arguments)
    outputs = []
    for x, span in zip(inputs.unbind(1), timespans.unbind(1), strict=True):
        _, hx = torch.func.functional_call(cell, dict(weights), (x, hx, span))
        outputs.append(hx)
    return torch.stack(outputs, 1), hx


def ltc_reference(
    cell: WiredCell, inputs: Tensor, hx: Tensor, timespans: Tensor
) -> tuple[Tensor, Tensor]:
    """An LTC over ``inputs [B, T, I]`` by stock ``ncps.torch.LTCCell``; NaN at a timespan of 0.

    Args:
        cell: Ours, for wiring, options and weights.
        inputs: ``[B, T, I]``.
        hx: Membranes ``[B, H]``.
        timespans: ``[B, T, 1]``, already scaled.
    """
    with torch.device('meta'):
        stock = LTCCell(
            cell.wiring, input_mapping=cell.input_mapping, output_mapping=cell.output_mapping,
            ode_unfolds=cell.ode_unfolds, epsilon=cell.epsilon, implicit_param_constraints=True,
        )
    # It computes from this dict, not from its attributes, so functional_call has no effect on it.
    stock._params = cell.upstream_weights()
    outputs = []
    for x, span in zip(inputs.unbind(1), timespans.unbind(1), strict=True):
        output, hx = stock(x, hx, span)
        outputs.append(output)
    return torch.stack(outputs, 1), hx


def wired_cfc_reference(
    cell: WiredCell, inputs: Tensor, hx: Tensor, timespans: Tensor
) -> tuple[Tensor, Tensor]:
    """A wired CfC over ``inputs [B, T, I]`` by stock ``ncps.torch.WiredCfCCell``.

    Args:
        cell: Ours, for wiring, mode and weights.
        inputs: ``[B, T, I]``.
        hx: State ``[B, units]``.
        timespans: ``[B, T, 1]``, already scaled.
    """
    with torch.random.fork_rng(devices=[]):  # its initial values are not used
        stock = WiredCfCCell(None, cell.wiring, cell.mode)
    weights, outputs = cell.upstream_weights(), []
    for x, span in zip(inputs.unbind(1), timespans.unbind(1), strict=True):
        output, hx = torch.func.functional_call(stock, weights, (x, hx, span))
        outputs.append(output)
    return torch.stack(outputs, 1), hx
