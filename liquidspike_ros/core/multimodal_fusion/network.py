"""The multimodal network: one code path for one tick from rest, a live tick and a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
import math
from typing import Any

import torch
from torch import nn, Tensor

from ...untrusted.text import brief
from ..computed_buffers import register_constant
from ..derived_weights import DerivedWeights
from ..dispatch import elementary, why_call
from ..liquid import timespans_like
from ..sizes import is_number, require_size
from ..state import check_state, map_state, State
from ..tick import native
from ..tick.native.plain_memory import is_watched
from ..tick.native_tick import native_tick, NativeEarlyTick, NativeTick, TickInput
from .absent import without_effect
from .batch import Fused, FusionInput, FusionSizes
from .config import FusionStrategy, ModalityConfig, parse_enum, parse_modalities
from .encoder import ModalityEncoder
from .info import FusionInfo
from .inputs import dropout_rates, given_inputs
from .preprocess import preprocess
from .side_by_side import why_alone
from .stepping import Inputs, Stepping
from .strategies import STRATEGIES


class MultiModalFusionNetwork(Stepping):
    """Fuses any number of modalities; any subset of them may be there at any tick.

    The module holds weights only. What it remembers (membrane potentials, liquid states) is a
    nested dict of tensors that goes in and comes out of ``step`` and ``unroll``.

    Args:
        modality_configs: By name, each a ``ModalityConfig`` or its dict form.
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        fusion_dim: Width of the fused features.
        num_attention_heads: Heads of cross-modal attention; any number.
        output_dim: Width of the output.
        memory_units: Units of a joint liquid memory behind the attention (hybrid, hierarchical);
            early fusion has its memory in the shared encoder, late fusion none by design.
        modality_dropout: While training, the chance that a modality is absent for a whole call, per
            row: one number for all, or one per name. One modality always stays.
        dt_scale: Timespan units per second: the control rate in Hz.
        backend: ``'fused'``, or ``'reference'`` for the stock snntorch and ncps cells.

    Raises:
        ValueError: Names the argument or key, what was got and what was expected.
    """

    def __init__(
        self,
        modality_configs: Mapping[str, ModalityConfig | Mapping[str, Any]],
        fusion_strategy: FusionStrategy | str = FusionStrategy.HYBRID,
        fusion_dim: int = 512,
        num_attention_heads: int = 8,
        output_dim: int = 512,
        *,
        memory_units: int = 0,
        modality_dropout: float | Mapping[str, float] = 0.0,
        dt_scale: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        configs = parse_modalities(modality_configs)
        strategy = parse_enum('fusion_strategy', fusion_strategy, FusionStrategy)
        for name, value in (('fusion_dim', fusion_dim), ('output_dim', output_dim),
                            ('num_attention_heads', num_attention_heads)):
            require_size(name, value)
        remembers = strategy in (FusionStrategy.HYBRID, FusionStrategy.HIERARCHICAL)
        if not (is_number(dt_scale) and 0 < dt_scale <= 1e6):
            raise ValueError(f'dt_scale: got {brief(dt_scale)}, expected a number above 0, '
                             f'at most 1e6')
        require_size('memory_units', memory_units, least=0)
        if memory_units and not remembers:
            raise ValueError(f'memory_units: got {memory_units!r} with {strategy.value} fusion, '
                             f'expected at least 0, and 0 with early and late fusion')
        self.modalities = tuple(configs)
        self.fusion_strategy: FusionStrategy = strategy
        self.feature_dims = {name: config.input_dim for name, config in configs.items()}
        rates = dropout_rates(modality_dropout, self.modalities)
        self.drops_modalities = any(rates)
        self.modality_dropout: Tensor
        register_constant(self, 'modality_dropout', partial(torch.tensor, rates))
        self.preprocessors = nn.ModuleDict({
            name: config.preprocessing or nn.Identity() for name, config in configs.items()
        })
        self.modality_logits = nn.Parameter(torch.zeros(len(configs)))
        sizes = FusionSizes(
            fusion_dim=int(fusion_dim), output_dim=int(output_dim), memory_units=int(memory_units),
            num_attention_heads=int(num_attention_heads), dt_scale=float(dt_scale), backend=backend,
        )
        self.fusion = STRATEGIES[strategy](configs, sizes)
        self.deployed = DerivedWeights()  # of the tick in C; frozen by ``deploy``

    def forward(
        self,
        inputs: Mapping[str, Tensor | None],
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """One tick from rest.

        Args:
            inputs: ``[B, …]`` by modality; leave out, or give None, what is not there.
            return_modality_features: Also return info, with the encoded features.
            return_attention_maps: Also return info, with the attention maps.

        Returns:
            Output ``[B, output_dim]``, or ``(output, info)``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        output, _, info = self.step(inputs, return_info=True)
        if not (return_modality_features or return_attention_maps):
            return output
        return output, FusionInfo(
            modalities=info.modalities,
            features=info.features if return_modality_features else {},
            attention=info.attention if return_attention_maps else None,
            weights=info.weights,
            spike_rates=info.spike_rates,
            present=info.present,
        )

    def _step(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        tick = self._native_tick()
        if tick is not None:
            done = self._tick(tick, inputs, state, dt, present, return_info)
            if done is not None:
                return done
        given = {name: value.unsqueeze(1)
                 for name, value in given_inputs(inputs, self.modalities, 1).items()}
        if present is not None and not isinstance(present, Tensor):
            raise ValueError(f'present: got {type(present).__name__}, expected a torch.Tensor')
        mask = None if present is None else present.unsqueeze(1)
        output, after, info = self.unroll(given, state, dt, mask, return_info=True)
        if return_info:
            return output[:, 0], after, info.tick(0)
        return output[:, 0], after

    def way(self) -> str:
        """How calls without gradients run, and why not faster.

        ``'in C'``: single ticks of one row, of a copy from ``deploy``. ``'side by side'``: encoders
        of equal size as one, on stacked weights. ``'layer by layer: …'``: some encoders call each
        of their layers, with the reason by encoder.
        """
        if self._native_tick() is not None:
            return 'in C'
        encoders: dict[str, Any] = dict(getattr(self.fusion, 'encoders', None) or
                                        {'shared': getattr(self.fusion, 'shared', None)})
        reasons = {name: why_alone(encoder) for name, encoder in encoders.items()
                   if isinstance(encoder, ModalityEncoder)}
        called = [f'{name}: {reason}' for name, reason in reasons.items() if reason]
        return f'layer by layer: {"; ".join(called)}' if called else 'side by side'

    def native_reason(self) -> str:
        """Why single ticks of one row do not run in C when gradients are off; '' if they do."""
        like = self.modality_logits
        if not native.takes(like):
            return native.reason() or (f'got weights in {like.dtype} on {like.device}, '
                                        f'expected torch.float32 on cpu')
        if not self.deployed.frozen:
            return 'got a model that may change, expected a copy from deploy'
        if self._laid_out() is not None:
            return ''
        reason = why_call(self.fusion)
        return (f'got layers that have to be called ({reason})' if reason else
                'got encoders that differ, or of a kind with no such code, or weights that do not '
                'fit each other, expected CfC cells of equal size with directly coded inputs')

    @property
    def native(self) -> NativeTick | NativeEarlyTick | None:
        """Single ticks in C of a deployed copy; None where there are none."""
        return self._laid_out() if self.deployed.frozen else None

    def _laid_out(self) -> NativeTick | NativeEarlyTick | None:
        def build() -> NativeTick | NativeEarlyTick | None:
            if not native.takes(self.modality_logits):
                return None
            try:
                w = self.fusion.tick_weights(self.modality_logits)
            except (RuntimeError, ValueError, IndexError):
                return None  # weights do not fit each other: the layers say which
            return None if w is None else native_tick(w)

        return self.deployed.get('tick', build)

    def _native_tick(self) -> NativeTick | NativeEarlyTick | None:
        """Single ticks in C, where this is a deployed copy and nothing but a result is wanted."""
        if (not self.deployed.frozen or torch.is_grad_enabled() or self.training
                or torch.compiler.is_compiling() or torch.is_autocast_enabled('cpu')
                or elementary() or is_watched()):
            return None
        return self._laid_out()

    def _tick(
        self, tick: NativeTick | NativeEarlyTick, inputs: Mapping[str, Tensor | None],
        state: State | None, dt: Tensor | float, present: Tensor | None, return_info: bool,
    ) -> Any:
        """``step`` of one row in C; None if that is not for the C code."""
        given = given_inputs(inputs, self.modalities, 1)
        if len(next(iter(given.values()))) != 1:
            return None
        mask = self._tick_presence(given, present)
        features: dict[str, Tensor | None] = dict.fromkeys(self.modalities)
        for name, value in given.items():
            row = None if mask is None else mask[:, self.modalities.index(name)]
            features[name] = self._features(name, value, row)
        if state is None:
            state = self.init_state(1)
        else:
            check_state(state, tick.nested_sizes, 1)
        weights = None if mask is None else self._weights(mask)
        ticked = tick(TickInput(
            features=features, shares=None if weights is None else weights.t().unsqueeze(-1),
            present=None if mask is None else mask.t().unsqueeze(-1),
            dt=dt if isinstance(dt, float) and 0.0 <= dt < math.inf else
            timespans_like(dt, 1, 1, self.modality_logits)[:, 0]), state, return_info)
        if ticked is None:
            return None
        if ticked.tokens is None or not return_info:
            return ticked.output, ticked.state
        shape = (1, len(self.modalities))
        if weights is None:  # a copy, since later ticks read the shares
            weights = tick.shares.view(-1).expand(shape).clone()
        return ticked.output, ticked.state, FusionInfo(
            modalities=self.modalities,
            features=dict(zip(self.modalities, ticked.tokens, strict=True)),
            attention=ticked.attention, weights=weights,
            spike_rates=dict(zip(ticked.state.get('encoders', ticked.state), ticked.rates,
                                 strict=True)),
            present=torch.ones(shape, dtype=torch.bool) if mask is None else mask)

    def _unroll(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        given = given_inputs(inputs, self.modalities, 2)
        batch, ticks = next(iter(given.values())).shape[:2]
        mask, complete = self._presence(given, present, (batch, ticks))
        preprocessed: dict[str, Tensor | None] = {
            name: None if name in given or not torch.is_grad_enabled() else
            self._left_out(name, batch, ticks) for name in self.modalities}
        for name, value in given.items():
            rows = None if complete else mask[..., self.modalities.index(name)].flatten()
            preprocessed[name] = self._features(name, value.flatten(0, 1), rows
                                                ).unflatten(0, (batch, ticks))
        if state is None:
            state = self.init_state(batch)
        else:
            check_state(state, self.state_sizes, batch)
        weights = self._weights(None if complete else mask).expand(mask.shape)
        spans = timespans_like(dt, batch, ticks, self.modality_logits)
        fused: Fused = self.fusion(
            FusionInput(features=preprocessed, present=mask, weights=weights, dt=spans,
                  complete=complete), state
        )
        if not return_info:
            return fused.output, fused.state
        features = fused.encoded.features if fused.features is None else fused.features
        info = FusionInfo(modalities=self.modalities, features=features,
                          attention=fused.attention, weights=weights,
                          spike_rates=fused.encoded.spike_rates, present=mask)
        return fused.output, fused.state, info

    @property
    def state_sizes(self) -> dict[str, Any]:
        """Units of each entry of the state, nested as the state is."""
        return self.fusion.state_sizes

    def init_state(
        self,
        batch_size: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        """A state at rest (zeros), on the device and in the dtype of the weights by default."""
        like = self.modality_logits
        device, dtype = device or like.device, dtype or like.dtype
        return map_state(lambda size: torch.zeros(batch_size, size, device=device, dtype=dtype),
                         self.state_sizes)

    def _features(self, name: str, rows: Tensor, present: Tensor | None) -> Tensor:
        """Features ``[R, input_dim]`` of a modality, in the precision of the weights."""
        features = preprocess(name, self.preprocessors[name], rows, present,
                              self.feature_dims[name])
        wanted = self.modality_logits.dtype
        if features.dtype != wanted and not torch.is_autocast_enabled(features.device.type):
            raise ValueError(f'{name}: got preprocessed features of {features.dtype}, expected '
                             f'{wanted} like the weights')
        return features

    def _left_out(self, name: str, batch: int, ticks: int) -> Tensor:
        """Features ``[B, T, input_dim]`` in place of a modality that is not given, to be masked.

        Its weights get gradients of zero all the same.
        """
        like = self.modality_logits
        return without_effect(like.new_zeros(batch, ticks, self.feature_dims[name]),
                              self.preprocessors[name])

    def _presence(
        self, given: Mapping[str, Tensor], present: Tensor | None, leading: tuple[int, ...]
    ) -> tuple[Tensor, bool]:
        """What is there ``[B, M]`` or ``[B, T, M]``, and whether that is known to be everything."""
        # Built on the device: a copy from the host would stall it at every tick.
        device = self.modality_logits.device
        shape = (*leading, len(self.modalities))
        if present is not None and (present.dtype != torch.bool or present.shape != shape):
            raise ValueError(f'present: got {present.dtype} of shape {tuple(present.shape)}, '
                             f'expected torch.bool of shape {shape}')
        mask = torch.ones(shape, dtype=torch.bool, device=device) if present is None else present
        if len(given) < len(self.modalities):
            mask = mask.clone()
            for index, name in enumerate(self.modalities):
                if name not in given:
                    mask[..., index] = False
        if self.training and self.drops_modalities:
            draw = torch.rand(leading[0], 1, len(self.modalities), device=device)
            kept = mask & (draw >= self.modality_dropout)
            mask = torch.where(kept.any(-1, keepdim=True), kept, mask)
            return mask, False
        # With gradients the masks stay, so that every weight gets one: zero, where not used.
        if torch.is_grad_enabled() or len(given) < len(self.modalities):
            return mask, False
        # To look at a tensor stalls a device and has no meaning in a graph that is being traced.
        visible = (mask.device.type == 'cpu' and not torch.compiler.is_compiling()
                   and not elementary())
        return mask, present is None or (visible and bool(mask.all()))

    def _tick_presence(
        self, given: Mapping[str, Tensor], present: Tensor | None
    ) -> Tensor | None:
        """What is there ``[1, M]``; None if everything is, the usual case."""
        if present is None and len(given) == len(self.modalities):
            return None
        mask, complete = self._presence(given, present, (1,))
        return None if complete else mask

    def _weights(self, mask: Tensor | None) -> Tensor:
        """Softmax of the learned logits over the present modalities; zeros if there is none.

        Of the shape of ``there``, or ``[M]`` if everything is there (None).
        """
        logits: Tensor = self.modality_logits
        if mask is None:
            return logits.softmax(-1)
        logits = torch.where(mask, logits, torch.finfo(logits.dtype).min)
        return torch.where(mask, logits.softmax(-1), 0.0)
