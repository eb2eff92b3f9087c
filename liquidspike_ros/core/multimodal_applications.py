"""Ready-made models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn, Tensor

from .modality_preprocessing import (
    AudioPreprocessor,
    LidarPreprocessor,
    SensorPreprocessor,
    VisionPreprocessor,
)
from .multimodal_fusion import (
    detach_state,
    FusionInfo,
    FusionStrategy,
    ModalityConfig,
    ModalityType,
    MultiModalFusionNetwork,
    reset_state,
    State,
)
from .multimodal_fusion.network import NOMINAL_DT


class RobotMultiSensorModel(nn.Module):
    """A robot's senses to its action, tick after tick.

    Inputs, each optional at any tick, by name:

    ======= ============================================================================
    camera  ``[B, C, H, W]`` in [0, 1]
    sensors ``[B, num_sensors]`` or ``[B, num_sensors, sensor_window]``, physical units
    lidar   ``[B, 2, beams]``: range / range_max, validity (0 or 1)
    audio   ``[B, audio_channels, samples]`` in [−1, 1]
    ======= ============================================================================

    The action is unbounded; limits belong to the safety gate that stands after the model.

    Args:
        camera_size: ``(C, H, W)``; None for a robot without camera.
        num_sensors: Scalar sensor channels (IMU, joints, …); 0 for none.
        fusion_dim: Width of the fused features.
        action_dim: Width of the action; 7 is six degrees of freedom and a gripper.
        sensor_window: Samples per tick of the scalar sensors; None for one reading.
        lidar_shape: ``(2, beams)``; None for a robot without LiDAR.
        lidar_circular: Whether the scan covers the full circle.
        audio_channels: Microphones; None for a robot without.
        audio_sample_rate: Hz.
        audio_window: Samples per tick; any if None.
        audio_mels: Mel bands.
        camera_architecture: ``'efficient'``, ``'simple'`` or ``'resnet'``.
        fusion_strategy: ``'early'``, ``'late'``, ``'hybrid'`` or ``'hierarchical'``.
        num_attention_heads: Heads of cross-modal attention.
        encoder_dim: Width of preprocessed and encoded features.
        liquid_units: Liquid units per encoder, and of the joint memory.
        spiking_units: Neurons per modality.
        num_spike_steps: Spike steps per tick.
        beta: Initial membrane decay per spike step.
        backbone: Liquid cell, ``'cfc'``.
        dropout: Dropout of encoded features.
        modality_dropout: Chance that a modality is dropped while training.
        control_rate: Nominal control rate, Hz; one period is a timespan of 1 to the liquid cells.
        backend: ``'fused'`` or ``'reference'``.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """

    def __init__(
        self,
        camera_size: tuple[int, int, int] | None = (3, 224, 224),
        num_sensors: int = 10,
        fusion_dim: int = 512,
        action_dim: int = 7,
        *,
        sensor_window: int | None = None,
        lidar_shape: tuple[int, int] | None = None,
        lidar_circular: bool = True,
        audio_channels: int | None = None,
        audio_sample_rate: int = 16000,
        audio_window: int | None = None,
        audio_mels: int = 40,
        camera_architecture: str = 'efficient',
        fusion_strategy: FusionStrategy | str = 'early',
        num_attention_heads: int = 4,
        encoder_dim: int = 256,
        liquid_units: int = 128,
        spiking_units: int = 128,
        num_spike_steps: int = 16,
        beta: float = 0.95,
        backbone: str = 'cfc',
        dropout: float = 0.0,
        modality_dropout: float | Mapping[str, float] = 0.0,
        control_rate: float = 15.0,
        backend: str = 'fused',
    ) -> None:
        config = {key: value for key, value in locals().items() if key not in ('self', '__class__')}
        super().__init__()
        self._config = _plain(config)
        self.sample_shapes = _sample_shapes(
            camera_size, num_sensors, sensor_window, lidar_shape, audio_channels, audio_window
        )
        preprocessors: dict[str, tuple[ModalityType, nn.Module]] = {}
        if camera_size is not None:
            preprocessors['camera'] = (ModalityType.VISION, VisionPreprocessor(
                camera_size[0], encoder_dim, camera_architecture))
        if num_sensors:
            preprocessors['sensors'] = (ModalityType.SENSOR, SensorPreprocessor(
                num_sensors, encoder_dim))
        if lidar_shape is not None:
            preprocessors['lidar'] = (ModalityType.SENSOR, LidarPreprocessor(
                lidar_shape[1], encoder_dim, circular=lidar_circular))
        if audio_channels is not None:
            preprocessors['audio'] = (ModalityType.AUDIO, AudioPreprocessor(
                audio_sample_rate, audio_mels, encoder_dim, channels=audio_channels))
        configs = {
            name: ModalityConfig(
                type=kind, input_dim=encoder_dim, encoder_dim=encoder_dim,
                liquid_units=liquid_units, spiking_units=spiking_units,
                num_spike_steps=num_spike_steps, beta=beta, backbone=backbone, dropout=dropout,
                preprocessing=module,
            )
            for name, (kind, module) in preprocessors.items()
        }
        remembers = str(getattr(fusion_strategy, 'value', fusion_strategy)) in (
            'hybrid', 'hierarchical')
        self.network = MultiModalFusionNetwork(
            configs, fusion_strategy, fusion_dim, num_attention_heads, action_dim,
            memory_units=liquid_units if remembers else 0, modality_dropout=modality_dropout,
            dt_scale=control_rate, backend=backend,
        )
        self.action_dim = action_dim

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON takes them; ``from_pretrained`` builds from them."""
        return dict(self._config)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of every ``M``."""
        return self.network.modalities

    def forward(
        self,
        camera: Tensor | None,
        sensors: Tensor | None,
        lidar: Tensor | None = None,
        audio: Tensor | None = None,
        return_modality_features: bool = False,
        return_attention_maps: bool = False,
    ) -> Tensor | tuple[Tensor, FusionInfo]:
        """One tick from rest: the action ``[B, action_dim]``, or ``(action, info)``.

        Raises:
            ValueError: Names the input, what was got and what was expected.
        """
        inputs = self._named(camera=camera, sensors=sensors, lidar=lidar, audio=audio)
        self._check(inputs, 1)
        return self.network(inputs, return_modality_features, return_attention_maps)

    def step(
        self,
        inputs: Mapping[str, Tensor | None],
        state: State | None = None,
        dt: Tensor | float = NOMINAL_DT,
        present: Tensor | None = None,
        return_info: bool = False,
    ) -> Any:
        """One control tick; see ``MultiModalFusionNetwork.step``.

        Returns:
            ``(action [B, action_dim], state)`` or ``(action, state, info)``.
        """
        self._check(inputs, 1)
        return self.network.step(inputs, state, dt, present, return_info)

    def unroll(
        self,
        inputs: Mapping[str, Tensor | None],
        state: State | None = None,
        dt: Tensor | float = NOMINAL_DT,
        present: Tensor | None = None,
        return_info: bool = False,
    ) -> Any:
        """A sequence of ticks; see ``MultiModalFusionNetwork.unroll``.

        Returns:
            ``(actions [B, T, action_dim], state)`` or ``(actions, state, info)``.
        """
        self._check(inputs, 2)
        return self.network.unroll(inputs, state, dt, present, return_info)

    def init_state(
        self,
        batch_size: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> State:
        """A state at rest for ``batch_size`` robots."""
        return self.network.init_state(batch_size, device, dtype)

    @staticmethod
    def detach_state(state: State) -> State:
        """Cut a state from the graph that made it."""
        return detach_state(state)

    @staticmethod
    def reset_state(state: State, mask: Tensor) -> State:
        """Put the robots where ``mask [B]`` is True back to rest."""
        return reset_state(state, mask)

    def _named(self, **inputs: Tensor | None) -> dict[str, Tensor | None]:
        return {name: value for name, value in inputs.items()
                if value is not None or name in self.modalities}

    def _check(self, inputs: Mapping[str, Tensor | None], leading: int) -> None:
        for name, value in inputs.items():
            expected = self.sample_shapes.get(name)
            if value is None or expected is None:
                continue
            got = tuple(value.shape[leading:])
            fits = len(got) == len(expected) and all(
                want is None or want == size for want, size in zip(expected, got, strict=True))
            if not fits or value.dim() != leading + len(expected):
                lead = ['B', 'T'][:leading]
                tail = ['samples' if size is None else size for size in expected]
                raise ValueError(f'{name}: got shape {tuple(value.shape)}, expected '
                                 f'[{", ".join(map(str, [*lead, *tail]))}]')


def _sample_shapes(
    camera_size: tuple[int, int, int] | None,
    num_sensors: int,
    sensor_window: int | None,
    lidar_shape: tuple[int, int] | None,
    audio_channels: int | None,
    audio_window: int | None,
) -> dict[str, tuple[int | None, ...]]:
    """Shape of one sample by modality; None for a size that is free.

    Raises:
        ValueError: Names the argument, what was got and what was expected.
    """
    shapes: dict[str, tuple[int | None, ...]] = {}
    if camera_size is not None:
        if len(camera_size) != 3 or min(camera_size) < 1:
            raise ValueError(f'camera_size: got {camera_size!r}, '
                             f'expected (channels, height, width)')
        shapes['camera'] = tuple(camera_size)
    if num_sensors < 0:
        raise ValueError(f'num_sensors: got {num_sensors!r}, expected at least 0')
    if sensor_window is not None and sensor_window < 1:
        raise ValueError(f'sensor_window: got {sensor_window!r}, expected at least 1 or None')
    if num_sensors:
        window = () if sensor_window is None else (sensor_window,)
        shapes['sensors'] = (num_sensors, *window)
    if lidar_shape is not None:
        if len(lidar_shape) != 2 or lidar_shape[0] != 2:
            raise ValueError(f'lidar_shape: got {lidar_shape!r}, expected (2, beams)')
        shapes['lidar'] = tuple(lidar_shape)
    if audio_channels is not None:
        if audio_window is not None and audio_window < 1:
            raise ValueError(f'audio_window: got {audio_window!r}, expected at least 1 or None')
        shapes['audio'] = (audio_channels, audio_window)
    if not shapes:
        raise ValueError('camera_size, num_sensors, lidar_shape, audio_channels: got none of '
                         'them, expected at least one sensor')
    return shapes


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as JSON takes them: tuples as lists, enums by value."""
    plain: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, FusionStrategy):
            value = value.value
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = dict(value)
        plain[key] = value
    return plain
