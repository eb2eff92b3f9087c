"""What the ready-made models share: configuration, presets, three ways in, explicit state."""

from __future__ import annotations

from collections.abc import Mapping
import inspect
from numbers import Integral, Real
import types
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn, Tensor

from ...untrusted.text import brief
from ..multimodal_fusion import (
    detach_state,
    FusionInfo,
    FusionStrategy,
    ModalityConfig,
    ModalityType,
    MultiModalFusionNetwork,
    reset_state,
    State,
)
from ..multimodal_fusion.config import parse_enum
from ..multimodal_fusion.stepping import Inputs, Stepping
from ..sizes import LARGEST, LARGEST_SIDE, require_size
from .arguments import DEFAULTS, EncoderArguments

# Of the encoders' arguments, those of the network as a whole.
OF_THE_NETWORK = ('fusion_strategy', 'num_attention_heads', 'modality_dropout', 'backend')

SampleShape = tuple[int | str | None, ...]
Model = TypeVar('Model', bound='FusionModel')


class FusionModel(Stepping):
    """A ``MultiModalFusionNetwork`` with named inputs of known shape; holds no state.

    A subclass sets ``network`` and ``sample_shapes`` (the shape of one sample by modality, a name
    or None where a size is free), and calls ``remember`` with its constructor's arguments.
    """

    network: MultiModalFusionNetwork
    outside: Mapping[str, str] = types.MappingProxyType({})  # modality by module beside the network
    sample_shapes: Mapping[str, SampleShape]
    encoder_defaults: ClassVar[EncoderArguments] = {}  # where they differ from ``DEFAULTS``
    # What the arguments that a stored config lacks, being older than they are, stood at.
    earlier: Mapping[str, Any] = types.MappingProxyType({})

    @classmethod
    def preset(cls: type[Model], name: str, **overrides: Any) -> Model:
        """Build the model with the settings recommended for a task.

        Args:
            name: Key of ``presets.PRESETS`` for this class.
            overrides: Constructor arguments that go before those of the preset.

        Raises:
            ValueError: Unknown preset, or an argument is out of range.
        """
        from .presets import preset_arguments

        return cls(**preset_arguments(cls.__name__, name, overrides))

    def remember(self, encoder: EncoderArguments, **own: Any) -> dict[str, Any]:
        """Keep the constructor's arguments for ``config``, their sizes checked.

        Args:
            encoder: What was given of ``EncoderArguments``.
            own: All other arguments, by name.

        Returns:
            Everything by name, with the defaults of what was not given.

        Raises:
            TypeError: An argument is unknown.
            ValueError: A size is no whole number, or out of range.
        """
        defaults = {**DEFAULTS, **self.encoder_defaults}
        unknown = sorted(encoder.keys() - defaults.keys())
        if unknown:
            raise TypeError(f'{type(self).__name__}: got an unexpected argument {unknown[0]!r}, '
                            f'expected one of {", ".join(self.arguments())}')
        arguments = {**own, **defaults, **encoder}
        for name in LARGEST.keys() & arguments.keys():
            if arguments[name] is not None:
                require_size(name, arguments[name], least=int(name != 'num_sensors'))
        self._config = {key: _plain(value) for key, value in arguments.items()}
        return arguments

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """All arguments of the constructor, with their defaults."""
        own = {name: parameter.default
               for name, parameter in inspect.signature(cls).parameters.items()
               if parameter.kind is not inspect.Parameter.VAR_KEYWORD}
        return {**own, **DEFAULTS, **cls.encoder_defaults}

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON takes them; ``from_pretrained`` builds from them."""
        return {key: _plain(value) for key, value in self._config.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of every ``M``."""
        return self.network.modalities

    def _step(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        self._check(inputs, 1)
        return self.network.step(inputs, state, dt, present, return_info)

    def _unroll(
        self, inputs: Inputs, state: State | None, dt: Tensor | float, present: Tensor | None,
        return_info: bool,
    ) -> Any:
        self._check(inputs, 2)
        return self.network.unroll(inputs, state, dt, present, return_info)

    def way(self) -> str:
        """How calls without gradients run, and why not faster; see ``MultiModalFusionNetwork``."""
        return self.network.way()

    def init_state(
        self,
        batch_size: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        """A state at rest for ``batch_size`` rows."""
        return self.network.init_state(batch_size, device, dtype)

    @staticmethod
    def detach_state(state: State) -> State:
        """Cut a state from the graph that made it."""
        return detach_state(state)

    @staticmethod
    def reset_state(state: State, mask: Tensor) -> State:
        """Put the rows where ``mask [B]`` is True back to rest."""
        return reset_state(state, mask)

    def _once(
        self, return_modality_features: bool, return_attention_maps: bool,
        **inputs: Tensor | None,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """One tick from rest, as ``forward`` wants it.

        Samples without a batch, all of them, give an output without one; info keeps a batch of one.
        """
        named = {name: value for name, value in inputs.items()
                 if value is not None or name in self.modalities}
        alone = self._is_one_sample(named)
        if alone:
            named = {name: value if value is None else value.unsqueeze(0)
                     for name, value in named.items()}
        self._check(named, 1)
        result = self.network(named, return_modality_features, return_attention_maps)
        if not alone:
            return result
        return result[0] if isinstance(result, Tensor) else (result[0][0], result[1])

    def _is_one_sample(self, inputs: Mapping[str, Tensor | None]) -> bool:
        """Whether everything given is a sample without a batch, as a control loop has them.

        Sound alone does not tell: two channels look like a batch of two.
        """
        given = {name: value for name, value in inputs.items() if isinstance(value, Tensor)}
        return not given.keys() <= {'audio'} and all(
            value.dim() == len(self.sample_shapes.get(name, ())) for name, value in given.items())

    def _check(self, inputs: Mapping[str, Tensor | None], leading: int) -> None:
        for name, value in inputs.items():
            expected = self.sample_shapes.get(name)
            if value is None or expected is None:
                continue
            got = tuple(value.shape[leading:])
            fits = len(got) == len(expected) and all(
                not isinstance(want, int) or want == size
                for want, size in zip(expected, got, strict=True))
            if not fits or value.dim() != leading + len(expected):
                lead = ['B', 'T'][:leading]
                tail = ['samples' if size is None else size for size in expected]
                raise ValueError(f'{name}: got shape {tuple(value.shape)}, expected '
                                 f'[{", ".join(map(str, [*lead, *tail]))}]')


def build_network(
    preprocessors: Mapping[str, tuple[ModalityType, nn.Module]],
    output_dim: int,
    arguments: Mapping[str, Any],
    *,
    dt_scale: float = 15.0,
) -> MultiModalFusionNetwork:
    """The network of a ready-made model: modalities of equal sizes, a joint memory of that size.

    Args:
        preprocessors: Kind and preprocessor by modality, each ``encoder_dim`` wide.
        output_dim: Width of the output.
        arguments: The constructor's, by name.
        dt_scale: Timespan units per second.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """
    shared = {name: arguments[name] for name in DEFAULTS if name not in OF_THE_NETWORK}
    strategy = parse_enum('fusion_strategy', arguments['fusion_strategy'], FusionStrategy)
    remembers = strategy in (FusionStrategy.HYBRID, FusionStrategy.HIERARCHICAL)
    return MultiModalFusionNetwork(
        {name: ModalityConfig(type=kind, input_dim=arguments['encoder_dim'],
                              preprocessing=module, **shared)
         for name, (kind, module) in preprocessors.items()},
        strategy, arguments['fusion_dim'], arguments['num_attention_heads'], output_dim,
        memory_units=arguments['liquid_units'] if remembers else 0,
        modality_dropout=arguments['modality_dropout'], dt_scale=dt_scale,
        backend=arguments['backend'],
    )


def audio_shape(channels: int) -> SampleShape:
    """Shape of a sound of any length: ``[samples]``, or ``[C, samples]`` of several channels."""
    return ('samples',) if channels == 1 else (channels, 'samples')


def image_shape(name: str, size: tuple[int, int, int]) -> tuple[int, int, int]:
    """Check an image size; returns it as a tuple.

    Raises:
        ValueError: It is not ``(channels, height, width)``.
    """
    if not isinstance(size, (tuple, list)) or len(size) != 3:
        raise ValueError(f'{name}: got {brief(size)}, expected (channels, height, width)')
    channels, height, width = size  # a list too, as JSON has it
    for side in size:
        require_size(name, side, largest=LARGEST_SIDE)
    return channels, height, width


def _plain(value: Any) -> Any:
    """An argument as JSON takes it: tuples as lists, enums by value."""
    if isinstance(value, FusionStrategy):
        return value.value
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, Real) and not isinstance(value, (bool, int, float)):  # numpy's
        return int(value) if isinstance(value, Integral) else float(value)
    return value
