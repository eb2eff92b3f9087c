"""A population of leaky integrate-and-fire neurons as a module; ``lif`` has the equations."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor

from ..dispatch import BACKENDS, elementary, transformed
from .lif import leaky_sequence, plain_sequence, RESETS
from .surrogates import functional_spike, spike_gradient


class LIFPopulation(nn.Module):
    """``units`` leaky integrate-and-fire neurons; holds parameters, never state.

    Args:
        units: Number of neurons ``N``.
        beta: Initial decay per spike step, in [0, 1]; one learnable value per neuron.
        threshold: Firing threshold, the same for all neurons.
        surrogate: Name in ``SURROGATES``.
        learn_beta: Whether training changes ``beta``.
        learn_threshold: Whether training changes the threshold, then one per neuron.
        reset: What a spike does to the membrane, one step later: ``'subtract'`` the threshold,
            set it to ``'zero'``, or ``'none'``.
        backend: ``'fused'``, or ``'reference'`` for stock ``snntorch.Leaky`` (slow, for checks).

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        units: int,
        *,
        beta: float = 0.95,
        threshold: float = 1.0,
        surrogate: str = 'fast_sigmoid',
        learn_beta: bool = True,
        learn_threshold: bool = False,
        reset: str = 'subtract',
        backend: str = 'fused',
    ) -> None:
        super().__init__()
        if units < 1:
            raise ValueError(f'units: got {units!r}, expected at least 1')
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f'beta: got {beta!r}, expected a decay in [0, 1]')
        if not threshold > 0:
            raise ValueError(f'threshold: got {threshold!r}, expected a number above 0')
        if backend not in BACKENDS:
            raise ValueError(f'backend: got {backend!r}, expected one of {", ".join(BACKENDS)}')
        if reset not in RESETS:
            raise ValueError(f'reset: got {reset!r}, expected one of {", ".join(RESETS)}')
        spike_gradient(surrogate)
        self.units = units
        self.surrogate = surrogate
        self.reset = reset
        self.backend = backend
        self.beta = nn.Parameter(torch.full((units,), beta), requires_grad=learn_beta)
        self.threshold: Tensor
        thresholds = torch.full((units,), threshold)
        if learn_threshold:
            self.threshold = nn.Parameter(thresholds)
        else:
            self.register_buffer('threshold', thresholds)

    def forward(
        self, current: Tensor, membrane: Tensor, num_steps: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Spike over ``current [B, T, N]``; see ``leaky_sequence``."""
        beta, threshold = self.beta, self.threshold
        surrogate = spike_gradient(self.surrogate)
        if self.backend == 'reference':
            if transformed():
                raise NotImplementedError("backend: got 'reference' under a transform of "
                                          "torch.func, which snntorch's cells do not take, "
                                          "expected 'fused'")
            from .reference import leaky_reference

            return leaky_reference(current, membrane, beta, threshold, num_steps, surrogate,
                                   self.reset)
        if elementary():
            fire = functional_spike(self.surrogate) if transformed() else surrogate
            return plain_sequence(current, membrane, beta, threshold, num_steps, fire, self.reset)
        return leaky_sequence(current, membrane, beta, threshold, num_steps, surrogate, self.reset)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Accept the ``state_dict`` of a ``snntorch.Leaky`` with the same reset."""
        for name, expected in (('graded_spikes_factor', 1),
                               ('reset_mechanism_val', RESETS.index(self.reset))):
            value = state_dict.pop(prefix + name, None)
            if value is not None and bool((value != expected).any()):
                raise ValueError(f'{prefix}{name}: got {value.tolist()}, expected {expected}')
        for name in ('beta', 'threshold'):
            value = state_dict.get(prefix + name)
            if value is not None and value.numel() == 1:  # snntorch shares one among all neurons
                state_dict[prefix + name] = value.reshape(1).expand(self.units)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return (f'{self.units}, surrogate={self.surrogate!r}, reset={self.reset!r}, '
                f'backend={self.backend!r}')
