"""A CfC over a whole sequence as one autograd node, for several equal cells side by side.

``liquid`` states the equations; here they are for one backbone layer with a tanh, whose two
constants are taken into the weights by the caller::

    z = tanh(drive[t] + W · h)
    s, e, a, b = V · z + v,   s = tanh(s),  e = tanh(e),  g = σ(a · t + b)
    h = s + (e − s) · g            ('no_gate': s + e · g)

Shapes: ``M`` cells, ``T`` ticks, ``B`` rows, ``U`` backbone units, ``H`` hidden units. All factors
of the backward pass that do not depend on later ticks are computed for all ticks at once, so that
walking back through time takes two products and two multiplications a tick.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..double_backward import by_elementary_operators, differentiated_again
from ..products import COLUMNS


def _walk(
    drive: Tensor, hx: Tensor, recurrent: Tensor, heads: Tensor, bias: Tensor, spans: Tensor,
    gated: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states ``[T, M, B, H]``, backbone ``[T, M, B, U]``, heads ``[T, M, B, 4, H]``.

    The heads are left as s, e, a and g: a is what the gradient of the timespans needs.
    """
    ticks, cells, rows, _ = drive.shape
    units = hx.shape[-1]
    hidden = hx.new_empty(ticks, cells, rows, units)
    backbone = torch.empty_like(drive, memory_format=torch.contiguous_format)
    solved = hx.new_empty(ticks, cells, rows, 4 * units)
    recurrent_t, heads_t = recurrent.mT, heads.mT
    for step, z, values, h, span in zip(drive.unbind(0), backbone.unbind(0), solved.unbind(0),
                                        hidden.unbind(0), spans.unbind(0), strict=True):
        if COLUMNS and rows == 1:  # see ``products``
            torch.baddbmm(step.mT, recurrent, hx.mT, out=z.mT)
            torch.baddbmm(bias.mT, heads, z.tanh_().mT, out=values.mT)
        else:
            torch.baddbmm(step, hx, recurrent_t, out=z).tanh_()
            torch.baddbmm(bias, z, heads_t, out=values)
        solve(values, span, gated, h)
        hx = h
    return hidden, backbone, solved.unflatten(-1, (4, units))


def solve(
    values: Tensor, span: Tensor, gated: bool, out: Tensor | None = None
) -> Tensor:
    """The cell at the end of a timespan, without gradients.

    Args:
        values: Outputs of the four heads ``[M, B, 4 H]``; become s, e, a and g.
        span: Scaled timespan ``[B, 1]``.
        gated: False for the mode 'no_gate'.
        out: Where the result is to go.

    Returns:
        Hidden state ``[M, B, H]``.
    """
    start, end, time_a, gate = values.chunk(4, -1)
    start.tanh_()
    end.tanh_()
    gate.addcmul_(time_a, span).sigmoid_()
    if gated:
        return torch.lerp(start, end, gate, out=out)
    return torch.addcmul(start, end, gate, out=out)


def interpolate(values: Tensor, span: Tensor, gated: bool) -> Tensor:
    """What ``solve`` gives, by operators that autograd sees; ``values [..., 4 H]`` stay."""
    ends, times = values.chunk(2, -1)
    start, end = torch.tanh(ends).chunk(2, -1)
    time_a, time_b = times.chunk(2, -1)
    gate = torch.sigmoid(torch.addcmul(time_b, time_a, span))
    return torch.lerp(start, end, gate) if gated else torch.addcmul(start, end, gate)


class _CfCSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, hx: Tensor, recurrent: Tensor, heads: Tensor, bias: Tensor,
        spans: Tensor, gated: bool,
    ) -> Tensor:
        hidden, backbone, solved = _walk(drive, hx, recurrent, heads, bias, spans, gated)
        ctx.save_for_backward(drive, hx, recurrent, heads, bias, spans, hidden, backbone, solved)
        ctx.gated = gated
        return hidden

    @staticmethod
    def backward(ctx: Any, grad_hidden: Tensor) -> tuple[Any, ...]:
        *inputs, hidden, backbone, solved = ctx.saved_tensors
        if differentiated_again(grad_hidden):
            return by_elementary_operators(
                partial(_plain_walk, gated=ctx.gated), tuple(inputs), (grad_hidden,), ctx, 1)
        _, hx, recurrent, heads, _, spans = inputs
        factors, slope = _factors(solved, spans, ctx.gated), 1 - backbone.square()
        grad_z, earlier = torch.empty_like(backbone), None
        grads, targets = grad_hidden.unbind(0), grad_z.unbind(0)
        later = grads[-1]
        for tick in range(len(grads) - 1, -1, -1):
            grad_heads = factors[tick].mul_(later.unsqueeze(-2)).flatten(-2)
            torch.bmm(grad_heads, heads, out=targets[tick]).mul_(slope[tick])
            if tick:
                later = torch.baddbmm(grads[tick - 1], targets[tick], recurrent)
        if ctx.needs_input_grad[1]:
            earlier = torch.bmm(targets[0], recurrent)
        # The factors are now the gradients of the four heads.
        before = torch.cat([hx.unsqueeze(0), hidden[:-1]])
        grad_recurrent = torch.bmm(_cells_first(grad_z).mT, _cells_first(before))
        all_heads = _cells_first(factors.flatten(-2))
        grad_weight = torch.bmm(all_heads.mT, _cells_first(backbone))
        grad_spans = None
        if ctx.needs_input_grad[5]:
            grad_spans = (factors[..., 3, :] * solved[..., 2, :]).sum((1, 3)).unsqueeze(-1)
        return (grad_z, earlier, grad_recurrent, grad_weight, all_heads.sum(1, keepdim=True),
                grad_spans, None)


def _plain_walk(
    drive: Tensor, hx: Tensor, recurrent: Tensor, heads: Tensor, bias: Tensor, spans: Tensor,
    gated: bool,
) -> Tensor:
    """Hidden states of ``_walk``, by operators that autograd sees."""
    hidden = []
    for step, span in zip(drive.unbind(0), spans.unbind(0), strict=True):
        z = torch.tanh(torch.baddbmm(step, hx, recurrent.mT))
        hx = interpolate(torch.baddbmm(bias, z, heads.mT), span, gated)
        hidden.append(hx)
    return torch.stack(hidden)


def _factors(solved: Tensor, spans: Tensor, gated: bool) -> Tensor:
    """Derivatives of h by the inputs of the four heads, ``[T, M, B, 4, H]``."""
    start, end, _, gate = solved.unbind(-2)
    result = torch.empty_like(solved)
    by_start, by_end, by_time, by_offset = result.unbind(-2)
    torch.addcmul(torch.ones_like(start), start, start, value=-1, out=by_start)
    torch.addcmul(gate, gate * end, end, value=-1, out=by_end)
    if gated:
        by_start.mul_(1 - gate)
        torch.mul(end - start, gate * (1 - gate), out=by_offset)
    else:
        torch.mul(end, gate * (1 - gate), out=by_offset)
    torch.mul(by_offset, spans.unsqueeze(1), out=by_time)
    return result


def _cells_first(value: Tensor) -> Tensor:
    """``[T, M, B, X]`` -> ``[M, T·B, X]``."""
    return value.transpose(0, 1).flatten(1, 2)


def cfc_sequence(
    drive: Tensor, hx: Tensor, recurrent: Tensor, heads: Tensor, bias: Tensor, spans: Tensor,
    gated: bool = True,
) -> Tensor:
    """Walk ``M`` equal cells through ``T`` ticks.

    Args:
        drive: The input's share of the first layer with its bias, ``[T, M, B, U]``.
        hx: Hidden state before the first tick ``[M, B, H]``.
        recurrent: The hidden state's share of the first layer ``[M, U, H]``.
        heads: Weights of s, e, a, b ``[M, 4 H, U]``.
        bias: Their biases ``[M, 1, 4 H]``.
        spans: Scaled timespans ``[T, B, 1]``.
        gated: False for the mode 'no_gate'.

    Returns:
        Hidden states ``[T, M, B, H]``.
    """
    drive = drive.to(hx.dtype)  # under autocast the recurrence keeps the precision of its state
    if not torch.is_grad_enabled():
        return _walk(drive, hx, recurrent, heads, bias, spans, gated)[0]
    return _CfCSequence.apply(drive, hx, recurrent, heads, bias, spans, gated)
