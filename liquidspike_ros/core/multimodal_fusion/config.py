"""What a modality is: its kind, its sizes, its preprocessor."""

from __future__ import annotations

from collections.abc import Mapping
import copy
import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import nn, Tensor

from ...untrusted.text import brief
from ..liquid.build import BACKBONES, check_options
from ..sizes import is_number, require_size
from ..spiking.coding import CODINGS

SPIKING_OPTIONS = ('threshold', 'surrogate', 'learn_beta', 'learn_threshold', 'reset')


class ModalityType(Enum):
    """What kind of signal a modality carries; CUSTOM for anything of the user's own."""

    VISION = 'vision'
    AUDIO = 'audio'
    TEXT = 'text'
    SENSOR = 'sensor'
    VIDEO = 'video'
    CUSTOM = 'custom'


class FusionStrategy(Enum):
    """Where the modalities meet; see ``strategies``."""

    EARLY = 'early'
    LATE = 'late'
    HYBRID = 'hybrid'
    HIERARCHICAL = 'hierarchical'


def parse_enum(name: str, value: object, kind: type[Enum]) -> Any:
    """Return the member of ``kind`` that ``value`` is or names.

    Raises:
        ValueError: It is neither a member nor the name of one.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, str) and value.lower() in [member.value for member in kind]:
        return kind(value.lower())
    options = ', '.join(repr(member.value) for member in kind)
    raise ValueError(f'{name}: got {brief(value)}, expected a {kind.__name__} or one of {options}')


@dataclass(frozen=True, kw_only=True)
class ModalityConfig:
    """One modality of a ``MultiModalFusionNetwork``.

    Attributes:
        type: Kind of signal.
        input_dim: Width of the preprocessed features, or of the raw input without preprocessor.
            Where the first linear layer of a preprocessor that does not tell its ``output_dim``
            takes rows of this width, it is that of the raw input, and the features' is found out.
        encoder_dim: Width of the encoded features; the same for all modalities of a network.
        liquid_units: Units of the liquid cell.
        spiking_units: Neurons of the spike encoder.
        num_spike_steps: Spike steps per control tick.
        beta: Initial membrane decay per spike step, in [0, 1].
        backbone: Liquid cell: ``'cfc'``, ``'ltc'``, ``'ncp'`` (CfC along an AutoNCP wiring) or
            ``'ncp_ltc'`` (LTC along one).
        dropout: Dropout of the encoded features, in [0, 1).
        preprocessing: Any module from the raw input ``[B, …]`` to ``[B, input_dim]``, whose
            features are then layer-normalised. Without one, the raw input ``[B, input_dim]`` goes
            to the neurons as it is: scale it to about ±1.
        backbone_options: Further arguments of the liquid cell by name, such as
            ``{'mixed_memory': True}``, ``{'ode_unfolds': 4}`` or, of a wiring, ``{'outputs': 32,
            'sparsity': 0.7, 'seed': 1}``; ``liquid.build_liquid`` lists them.
        coding: How features reach the neurons: ``'direct'`` as a current held through the tick,
            or as spikes by ``'rate'``, ``'latency'`` or ``'delta'``; see ``spiking.coding``.
        spiking_options: Further arguments of ``LIFPopulation`` by name: ``threshold``,
            ``surrogate``, ``learn_beta``, ``learn_threshold``, ``reset``.
    """

    type: ModalityType
    input_dim: int
    encoder_dim: int = 512
    liquid_units: int = 256
    spiking_units: int = 128
    num_spike_steps: int = 32
    beta: float = 0.95
    backbone: str = 'cfc'
    dropout: float = 0.1
    preprocessing: nn.Module | None = None
    backbone_options: Mapping[str, Any] | None = None
    coding: str = 'direct'
    spiking_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, 'type', parse_enum('type', self.type, ModalityType))
        for name in ('input_dim', 'encoder_dim', 'liquid_units', 'spiking_units',
                     'num_spike_steps'):
            require_size(name, getattr(self, name))
            object.__setattr__(self, name, int(getattr(self, name)))
        _require(is_number(self.beta) and 0 <= self.beta <= 1, 'beta', self.beta,
                 'a number in [0, 1]')
        _require(is_number(self.dropout) and 0 <= self.dropout < 1, 'dropout', self.dropout,
                 'a number in [0, 1)')
        _require(self.backbone in BACKBONES, 'backbone', self.backbone,
                 f'one of {", ".join(BACKBONES)}')
        for name in ('backbone_options', 'spiking_options'):
            value = getattr(self, name)
            _require(value is None or isinstance(value, Mapping), name, value, 'a dict or None')
        check_options(self.backbone, self.backbone_options or {})
        for name in self.spiking_options or {}:
            _require(name in SPIKING_OPTIONS, 'spiking_options', name,
                     f'keys among {", ".join(SPIKING_OPTIONS)}')
        _require(self.coding in CODINGS, 'coding', self.coding, f'one of {", ".join(CODINGS)}')
        _require(self.preprocessing is None or isinstance(self.preprocessing, nn.Module),
                 'preprocessing', self.preprocessing, 'an nn.Module or None')
        if self.preprocessing is not None and not hasattr(self.preprocessing, 'output_dim'):
            object.__setattr__(self, 'input_dim', features_of(self.preprocessing, self.input_dim))
        width = getattr(self.preprocessing, 'output_dim', self.input_dim)
        _require(width == self.input_dim, 'input_dim', self.input_dim,
                 f'{width}, the output_dim of preprocessing')

    @classmethod
    def parse(cls, name: str, value: ModalityConfig | Mapping[str, Any]) -> ModalityConfig:
        """Read the dataclass or its dict form.

        Raises:
            ValueError: Names the modality and key, what was got and what was expected.
        """
        if isinstance(value, ModalityConfig):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f'modality {name!r}: got {type(value).__name__}, '
                             f'expected a ModalityConfig or a dict')
        fields = dataclasses.fields(cls)
        unknown = [key for key in value if key not in {field.name for field in fields}]
        if unknown:
            raise ValueError(f'modality {name!r}: got unknown key {unknown[0]!r}, '
                             f'expected keys among {", ".join(field.name for field in fields)}')
        required = [field.name for field in fields if field.default is dataclasses.MISSING]
        missing = [key for key in required if key not in value]
        if missing:
            raise ValueError(f'modality {name!r}: key {missing[0]!r} is missing, '
                             f'expected {", ".join(required)} at least')
        try:
            return cls(**value)
        except ValueError as error:
            raise ValueError(f'modality {name!r}: {error}') from None


def parse_modalities(
    configs: Mapping[str, ModalityConfig | Mapping[str, Any]],
) -> dict[str, ModalityConfig]:
    """Read all modalities of a network and check that they go together.

    Raises:
        ValueError: None given, one is wrong, or they disagree on ``encoder_dim``.
    """
    if not isinstance(configs, Mapping) or not configs:
        raise ValueError(f'modality_configs: got {configs!r}, expected at least one modality')
    parsed = {name: ModalityConfig.parse(name, value) for name, value in configs.items()}
    widths = {name: config.encoder_dim for name, config in parsed.items()}
    if len(set(widths.values())) > 1:
        listing = ', '.join(f'{name}={width}' for name, width in widths.items())
        raise ValueError(f'encoder_dim: got {listing}, expected the same for all modalities')
    return parsed


def features_of(preprocessing: nn.Module, width: int) -> int:
    """How wide the features of rows of ``width`` are; ``width`` where it is not made for such rows.

    A copy is asked, in evaluation and with zeros, so that the module itself stays as it was.
    """
    first = next((part for part in preprocessing.modules() if isinstance(part, nn.Linear)), None)
    if first is None or first.in_features != width:
        return width
    values = [*preprocessing.parameters(), *preprocessing.buffers()]
    if any(value.is_meta for value in values):
        return width  # built without memory, to get its weights later
    like = next((value for value in values if value.is_floating_point()), torch.zeros(1))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            features = copy.deepcopy(preprocessing).eval()(like.new_zeros(1, width))
    except Exception:  # whatever somebody's module raises: it takes something else
        return width
    fits = isinstance(features, Tensor) and features.dim() == 2 and len(features) == 1
    return int(features.shape[1]) if fits else width


def require_agreement(
    configs: Mapping[str, ModalityConfig], names: tuple[str, ...], reason: str
) -> None:
    """Check that all modalities have the same value of some keys.

    Raises:
        ValueError: Names the key, what each modality has, and the reason.
    """
    for name in names:
        values = {modality: getattr(config, name) for modality, config in configs.items()}
        first = next(iter(values.values()))
        if any(value != first for value in values.values()):
            listing = ', '.join(f'{modality}={value!r}' for modality, value in values.items())
            raise ValueError(f'{name}: got {listing}, expected the same for all: {reason}')


def _require(condition: bool, name: str, got: object, expected: str) -> None:
    if not condition:
        raise ValueError(f'{name}: got {brief(got)}, expected {expected}')
