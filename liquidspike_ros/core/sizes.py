"""The largest sizes a model may be asked for, by the name of the argument.

They are far beyond what runs on a robot, and small enough that asking for them by mistake, or in
somebody else's ``config.json``, cannot hang or fill a machine before the weights are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
import types

from ..untrusted.text import brief

LARGEST: Mapping[str, int] = types.MappingProxyType({
    # Networks; early fusion joins the inputs and neurons of all modalities into one
    'input_dim': 1 << 20, 'encoder_dim': 1 << 16, 'fusion_dim': 1 << 16, 'output_dim': 1 << 22,
    'num_attention_heads': 1024, 'memory_units': 1 << 16,
    'spiking_units': 1 << 20, 'num_spike_steps': 4096,
    'liquid_units': 1 << 16, 'backbone_units': 1 << 16, 'backbone_layers': 64, 'ode_unfolds': 4096,
    'proj_size': 1 << 16, 'outputs': 1 << 12, 'seed': (1 << 32) - 1,
    # Inputs and outputs of the models
    'action_dim': 4096, 'num_classes': 1 << 20,
    'num_sensors': 1 << 16, 'sensor_window': 1 << 20,
    'audio_channels': 32, 'audio_sample_rate': 768_000, 'audio_window': 1 << 24, 'audio_mels': 1024,
    'text_vocab_size': 1 << 22, 'text_seq_length': 1 << 16,
    'video_frames': 4096, 'video_channels': 1024,
})
LARGEST_SIDE = 1 << 16
"""Of images in any of their three sizes, and of a scan."""
LARGEST_NCP = 4096
"""Neurons of an NCP, whose wiring is a square of all of them, drawn one synapse at a time."""
LARGEST_LTC = 8192
"""Neurons of an LTC, whose adjacency is a square of all of them even while only shapes count."""
LARGEST_BYTES = 4 << 30
"""Of all weights of a model: a thousand million of them in single precision."""


def is_number(value: object) -> bool:
    """Whether it is a number, numpy's too; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require_size(name: str, value: object, least: int = 1, largest: int | None = None) -> None:
    """Check a whole number against its largest.

    Args:
        name: Of the argument, a key of ``LARGEST`` unless ``largest`` is given.
        value: What was given.
        least: Smallest that is accepted.
        largest: Greatest that is accepted.

    Raises:
        ValueError: Not a whole number, or out of range.
    """
    most = LARGEST[name] if largest is None else largest
    whole = isinstance(value, Integral) and not isinstance(value, bool)  # numpy's too
    if not (whole and least <= value <= most):  # type: ignore[operator]
        raise ValueError(f'{name}: got {brief(value)}, expected a whole number in '
                         f'[{least}, {most}]')
