"""Checks of what a network is given."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..sizes import is_number


def given_inputs(
    inputs: Mapping[str, Tensor | None], modalities: tuple[str, ...], leading: int
) -> dict[str, Tensor]:
    """What is there of the inputs, checked.

    Args:
        inputs: By modality; None for what is not there.
        modalities: That the network has.
        leading: 1 for ``[B, …]``, 2 for ``[B, T, …]``.

    Raises:
        ValueError: Names the input, what was got and what was expected.
    """
    unknown = [name for name in inputs if name not in modalities]
    if unknown:
        raise ValueError(f'inputs: got {unknown[0]!r}, '
                         f'expected names among {", ".join(modalities)}')
    given = {name: value for name, value in inputs.items() if value is not None}
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise ValueError(f'{name}: got {type(value).__name__}, expected a torch.Tensor')
    if not given:
        raise ValueError(f'inputs: got none, expected at least one of '
                         f'{", ".join(modalities)}')
    first = next(iter(given))
    sizes = given[first].shape[:leading]
    for name, value in given.items():
        if value.dim() <= leading or value.shape[:leading] != sizes:
            raise ValueError(f'{name}: got leading sizes {tuple(value.shape[:leading])}, '
                             f'expected {tuple(sizes)} '
                             f'({", ".join(("batch", "ticks")[:leading])}) like {first}')
    if min(sizes) < 1:
        expected = ('[B, …] with at least one row B',
                    '[B, T, …] with at least one row B and one tick T')
        raise ValueError(f'{first}: got shape {tuple(given[first].shape)}, '
                         f'expected {expected[leading - 1]}')
    return given


def dropout_rates(
    value: float | Mapping[str, float], modalities: tuple[str, ...]
) -> tuple[float, ...]:
    """One rate of modality dropout per modality, from a number or rates by name.

    Raises:
        ValueError: Unknown name, or a rate outside [0, 1).
    """
    rates = dict.fromkeys(modalities, 0.0)
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in rates]
        if unknown:
            raise ValueError(f'modality_dropout: got {unknown[0]!r}, '
                             f'expected names among {", ".join(modalities)}')
        rates |= value
    else:
        rates = dict.fromkeys(modalities, value)
    for name, rate in rates.items():
        if not is_number(rate) or not 0 <= rate < 1:
            raise ValueError(f'modality_dropout: got {rate!r} for {name}, expected [0, 1)')
    return tuple(float(rate) for rate in rates.values())
