"""One tick as a robot takes it: no gradients, few rows, on the CPU.

The values are those of ``strategies`` and ``side_by_side``. At a batch of one the calls cost more
than what they compute, so here stand only those that cannot be left out, on weights laid out for
few rows. ``native_tick`` does the same for one row in a single call, where it can. ``M`` modalities
come first in every shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..cfc_sequence import solve_heads
from ..spike_rates import held_rates
from .state import State
from .tick_weights import (
    AttentionWeights,
    CoreWeights,
    EarlyWeights,
    EncoderWeights,
    LiquidWeights,
    TickWeights,
    VoteWeights,
)


class Tick(NamedTuple):
    """What a tick works on.

    Attributes:
        features: Preprocessed ``[B, input_dim]`` by modality; None if not there at all.
        present: ``[M, B, 1]`` bool; None if everything is there.
        shares: Weight of each modality ``[M, B, 1]``: 0 where absent, sums to 1 over M. None if
            everything is there.
        dt: Seconds, a number or ``[B, 1]``.
    """

    features: Mapping[str, Tensor | None]
    present: Tensor | None
    shares: Tensor | None
    dt: Tensor | float


class Ticked(NamedTuple):
    """What it makes of it.

    Attributes:
        output: ``[B, output_dim]``.
        tokens: Features of the modalities ``[M, B, E]``, if asked for.
        rates: Spike rates ``[populations, B, N]``.
        attention: ``[B, heads, M, M]``, if there is any and it was asked for.
        state: Afterwards.
    """

    output: Tensor
    tokens: Tensor | None
    rates: Tensor
    attention: Tensor | None
    state: State


def lean(like: Tensor) -> bool:
    """Whether single ticks of a network with parameters like this may run here."""
    return (not torch.is_grad_enabled() and like.is_cpu and like.dtype in _PRECISIONS
            and not torch.compiler.is_compiling() and not torch.is_autocast_enabled('cpu'))


_PRECISIONS = (torch.float32, torch.float64)


def run_tick(w: TickWeights, tick: Tick, state: State, insight: bool) -> Ticked:
    """Late, hybrid or hierarchical fusion, as the weights have it.

    Args:
        w: Weights of the strategy.
        tick: What is there.
        state: Before.
        insight: Whether the tokens are wanted even if nothing follows on them.
    """
    rates, hidden, encoders = encode_tick(w.encoders, tick, state['encoders'])
    after: State = {'encoders': encoders}
    tokens = attended = attention = output = None
    if insight or w.core is not None:
        tokens = attended = w.encoders.readout(hidden)
    for level in w.levels:
        assert attended is not None
        attended, attention = _attend(level, attended, tick.present)
    if w.core is not None:
        assert attended is not None
        shares = w.shares if tick.shares is None else tick.shares
        output, memory = _core(w.core, attended, shares, tick.dt, state)
        after |= memory
    if w.votes is not None:
        voted = _vote(w.votes, hidden, tick.shares)
        output = voted if output is None else output + voted
    assert output is not None
    if attention is not None and insight:
        attention = attention.unflatten(0, (-1, w.levels[-1].num_heads))
    return Ticked(output=output, tokens=tokens, rates=rates, attention=attention, state=after)


def run_early_tick(w: EarlyWeights, tick: Tick, state: State) -> Ticked:
    """Early fusion; arguments as those of ``run_tick``."""
    like, batch = w.absent, state['shared']['hx'].shape[0]
    x = torch.stack([like.new_zeros(batch, w.adapters.inputs) if value is None else value
                     for value in tick.features.values()])
    if w.norm_eps is not None:
        x = torch.layer_norm(x, x.shape[-1:], eps=w.norm_eps)
    # 1 for every present modality to begin with, whatever the subset.
    adapted = w.adapters(x)
    if tick.present is None or tick.shares is None:
        adapted *= w.factors
    else:
        adapted *= tick.shares * tick.present.sum(0)
        adapted = torch.where(tick.present, adapted, w.absent)
    everything = adapted.transpose(0, 1).reshape(batch, -1)
    rates, hidden, after = encode_tick(
        w.shared, Tick(features={'shared': everything}, present=None, shares=None, dt=tick.dt),
        state)
    fused = functional.silu(w.first(w.shared.readout(hidden)), inplace=True)
    return Ticked(output=w.last(fused)[0], tokens=adapted, rates=rates, attention=None,
                  state=dict(after))


def encode_tick(
    w: EncoderWeights, tick: Tick, states: Mapping[str, Mapping[str, Tensor]]
) -> tuple[Tensor, Tensor, dict[str, State]]:
    """Spike rates ``[M, B, N]``, hidden states ``[M, B, H]`` and the states by modality."""
    names, width = tuple(tick.features), w.current.inputs
    membrane = torch.stack([states[name]['membrane'] for name in names])
    x = torch.stack([membrane.new_zeros(membrane.shape[1], width) if value is None else value
                     for value in tick.features.values()])
    if w.norm_eps is not None:
        x = torch.layer_norm(x, (width,), eps=w.norm_eps)
    drive = w.current(x)
    if tick.present is not None:
        drive = torch.where(tick.present, drive, w.silent)
    rates = held_rates(drive.sigmoid_(), membrane, w.beta, w.threshold, w.one, w.steps, w.scratch)
    hidden = _flow(w.liquid, rates, torch.stack([states[name]['hx'] for name in names]), tick.dt)
    after: dict[str, State] = {
        name: {'membrane': potential, 'hx': hx}
        for name, potential, hx in zip(names, _apart(membrane), _apart(hidden), strict=True)}
    return rates, hidden, after


def _apart(stacked: Tensor) -> Iterable[Tensor]:
    """``[M, B, N]`` by modality, each to be written to by whoever gets it."""
    if stacked.is_inference():  # and thus never seen by autograd, which forbids it of such views
        return stacked.unbind(0)
    return map(stacked.select, repeat(0), range(len(stacked)))


def _flow(w: LiquidWeights, x: Tensor, hx: Tensor, dt: Tensor | float) -> Tensor:
    """Hidden states ``[M, B, H]`` after a tick with input ``[M, B, I]``."""
    values, heads = buffers = w.scratch.take(hx, partial(_heads, w, hx))
    w.heads(w.first(torch.cat([x, hx], -1)).tanh_(), out=values)
    result = solve_heads(heads, dt * w.dt_scale, w.gated)
    w.scratch.put_back(hx, buffers)
    return result


def _heads(w: LiquidWeights, hx: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Memory for the four heads together, and the same one by one."""
    values = w.heads.results(hx.shape[1])
    return values, values.chunk(4, -1)


def _attend(
    w: AttentionWeights, tokens: Tensor, present: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Tokens ``[M, B, E]`` and attention ``[B · heads, M, M]``."""
    count, batch, width = tokens.shape
    buffers = w.scratch.take(tokens, partial(_attention_memory, w, tokens))
    w.projection(tokens.reshape(1, count * batch, width).expand(3 * w.num_heads, -1, -1),
                 out=buffers.parts)
    query, key, value = buffers.heads if batch == 1 else _per_row(w, buffers.parts, count)
    scores = torch.bmm(query, key)
    allowed = w.groups if present is None else _allowed(present, w.groups)
    if allowed is None:
        attention = scores.softmax(-1)
    else:
        scores = scores.unflatten(0, (batch, w.num_heads))
        # The lowest finite score, not −inf: a row without any key would be NaN.
        scores = torch.where(allowed, scores, torch.finfo(scores.dtype).min)
        attention = torch.where(allowed, scores.softmax(-1), 0.0).flatten(0, 1)
    torch.bmm(attention, value, out=buffers.attended)
    attended = w.output(buffers.by_token.reshape(1, count * batch, -1))
    w.scratch.put_back(tokens, buffers)
    weight, bias, eps = w.norm
    tokens = torch.layer_norm(tokens + attended.reshape(tokens.shape), (width,), weight, bias, eps)
    return tokens, attention


class _Attention(NamedTuple):
    """Memory for one level of attention, and the views into it.

    Attributes:
        parts: Queries, keys and values of all heads ``[3 · heads, M · B, head_dim]``.
        heads: Queries, keys transposed, and values of a batch of one.
        attended: ``[B · heads, M, head_dim]``.
        by_token: The same as ``[M, B, heads, head_dim]``.
    """

    parts: Tensor
    heads: tuple[Tensor, Tensor, Tensor]
    attended: Tensor
    by_token: Tensor


def _attention_memory(w: AttentionWeights, tokens: Tensor) -> _Attention:
    count, batch, _ = tokens.shape
    parts = w.projection.results(count * batch)
    query, key, value = parts.chunk(3)
    attended = tokens.new_empty(batch * w.num_heads, count, w.head_dim)
    by_token = attended.unflatten(0, (batch, w.num_heads)).permute(2, 0, 1, 3)
    return _Attention(parts, (query, key.mT, value), attended, by_token)


def _per_row(w: AttentionWeights, parts: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys transposed, and values ``[B · heads, …]`` of more than one row."""
    parts = parts.unflatten(1, (count, -1)).unflatten(0, (3, w.num_heads))
    query, key, value = parts.permute(0, 3, 1, 2, 4).flatten(1, 2).unbind(0)
    return query, key.mT, value


def _allowed(present: Tensor, groups: Tensor | None) -> Tensor:
    """Who may attend to whom ``[B, 1, M or 1, M]``."""
    keys = present.permute(1, 2, 0).unsqueeze(1)
    return keys if groups is None else keys & groups


def _vote(w: VoteWeights, hidden: Tensor, shares: Tensor | None) -> Tensor:
    """Hidden states ``[M, B, H]`` to the weighted sum of the modalities' outputs ``[B, A]``."""
    opinions = functional.silu(w.first(hidden), inplace=True)
    if shares is not None:
        return (w.last(opinions) * shares).sum(0)
    return torch.addmm(w.joint_bias, opinions.transpose(0, 1).flatten(1), w.joint)


def _core(
    w: CoreWeights, tokens: Tensor, shares: Tensor, dt: Tensor | float, state: State
) -> tuple[Tensor, State]:
    """Output ``[B, output_dim]`` and the state of the joint memory."""
    pooled = (tokens * shares).sum(0, keepdim=True)
    fused = functional.silu(w.projection(pooled), inplace=True)
    memory: State = {}
    if w.memory is not None:
        hx = _flow(w.memory, fused, state['memory']['hx'].unsqueeze(0), dt)
        fused, memory = torch.cat([fused, hx], -1), {'memory': {'hx': hx[0]}}
    return w.last(functional.silu(w.first(fused), inplace=True))[0], memory
